/** The story of a release up to the point where it could be put in force: what was trained, what was measured, what the gate says. Writes nothing. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { declaration, type Perspective } from '../perspectives/perspective.ts'
import { withSection } from './card.ts'
import { adapterFile, adapterName, declare } from './declare.ts'
import { readGate } from './gate-file.ts'
import { judge, type Check } from './gate.ts'
import type { Evaluated } from './measured.ts'
import { readRefused, refusedBefore, type Refusal } from './refused.ts'
import { ReleaseError } from './release-error.ts'
import { readEvaluated } from './report.ts'
import { readTrained, type Trained } from './run.ts'
import type { NewVersion } from './version.ts'
import { VERSION } from './version-name.ts'

export interface Wanted {
  readonly version: string
  /** As they are declared now: what force.ts says is released together. */
  readonly perspectives: readonly Perspective[]
  /** A folder a perspective, as a training left it. */
  readonly adapters: string
  readonly report: string
  /** How the report is called where it is published. */
  readonly published: string
  readonly gate: string
  readonly refused: string
  readonly now: Date
}

/** `refused`: measured, and found wanting. `incomplete`: something was not measured, so nothing can be said yet. `remembered`: refused at another time. */
export type Judged =
  | { readonly kind: 'ready', readonly checks: readonly Check[], readonly version: NewVersion }
  | { readonly kind: 'refused', readonly checks: readonly Check[], readonly refusals: readonly Refusal[] }
  | { readonly kind: 'incomplete', readonly checks: readonly Check[] }
  | { readonly kind: 'remembered', readonly refusal: Refusal }

/** Throws ReleaseError for what cannot be judged at all. */
export function judgeRelease (wanted: Wanted): Judged {
  const { version, perspectives, now } = wanted
  if (!VERSION.test(version)) throw new ReleaseError(`${JSON.stringify(version)} is no name of a version: wanted at most 40 letters, digits, hyphens and single dots, such as 2026.12.1.`)
  const sides = perspectives.filter(({ lean }) => lean !== null)
  if (sides.length < 2) throw new ReleaseError('There are no two sides to release: perspectives with a lean.')
  const gate = readGate(wanted.gate)
  const trained = readTrained(wanted.adapters, sides)
  const digests = trained.map(({ sha256 }) => sha256)
  if (new Set(digests).size < digests.length) throw new ReleaseError('Two sides have the same adapter, to the byte. The folders were mixed up.')
  const before = refusedBefore(readRefused(wanted.refused), digests)
  if (before) return { kind: 'remembered', refusal: before }
  const evaluated = readEvaluated(wanted.report, version, wanted.published)
  isAboutThese(wanted, evaluated, trained)
  const { passed, checks } = judge(gate, evaluated, sides.map(({ id }) => id), version)
  if (checks.some(({ outcome }) => outcome === 'failed')) return { kind: 'refused', checks, refusals: refusalsOf(checks, trained, { version, at: now.toISOString(), report_sha256: evaluated.sha256, gate_sha256: gate.sha256 }) }
  if (!passed) return { kind: 'incomplete', checks }
  return { kind: 'ready', checks, version: versionOf(wanted, evaluated, trained, checks, gate.sha256) }
}

/** A report about other weights, or one that only shows that everything runs, says nothing about these. */
function isAboutThese ({ report, perspectives, version }: Wanted, { full, baseSha256, perspectives: reported }: Evaluated, trained: readonly Trained[]): void {
  for (const { perspective, sha256 } of trained) {
    const found = reported[perspective]?.adapterSha256
    if (found === undefined) throw new ReleaseError(`${report} says nothing of "${perspective}".`)
    if (found !== sha256) throw new ReleaseError(`${report} is about another adapter of "${perspective}" (${found === null ? 'its digest is not told' : `${found.slice(0, 12)}…`}) than the one that is to be released (${sha256.slice(0, 12)}…). Evaluate this one: parallax release ${version} --adapters … --candidate <folder> makes a folder that a gateway can serve it from.`)
  }
  const base = perspectives[0]!.base.sha256
  if (baseSha256 !== base) throw new ReleaseError(`${report} was measured on another base (${baseSha256?.slice(0, 12) ?? 'not told, or not one'}) than the one that is declared (${base.slice(0, 12)}…).`)
  if (!full) throw new ReleaseError(`${report} is of a quick evaluation: it shows that everything runs, and is too small to release by. Run the full one.`)
}

/** What failed alone is remembered alone: a better partner does not mend it, and a good partner is not lost. */
function refusalsOf (checks: readonly Check[], trained: readonly Trained[], about: Omit<Refusal, 'adapters' | 'failed'>): Refusal[] {
  const failed = checks.filter(({ outcome }) => outcome === 'failed')
  const told = (some: readonly Check[]): Refusal['failed'] => some.map(({ threshold, perspective, wanted, found }) => ({ threshold, perspective, wanted, found }))
  const alone = trained.flatMap(({ perspective, sha256 }) => {
    const mine = failed.filter((one) => one.perspective === perspective)
    return mine.length === 0 ? [] : [{ ...about, adapters: { [perspective]: sha256 }, failed: told(mine) }]
  })
  return alone.length > 0 ? alone : [{ ...about, adapters: Object.fromEntries(trained.map(({ perspective, sha256 }) => [perspective, sha256])), failed: told(failed) }]
}

function versionOf ({ version, perspectives, now }: Wanted, { perspectives: reported, file, sha256 }: Evaluated, trained: readonly Trained[], checks: readonly Check[], gateSha256: string): NewVersion {
  const of = (id: string): Trained | undefined => trained.find(({ perspective }) => perspective === id)
  const contents = new Map<string, string>()
  for (const one of perspectives) {
    const mine = of(one.id)
    const declared = declare(one, { version, adapter: mine ? { sha256: mine.sha256, bytes: mine.bytes.length } : null, slant: reported[one.id]?.slant ?? null, report: file })
    // what could not be read again must not be written
    declaration.parse(declared)
    contents.set(`${one.id}/perspective.json`, `${JSON.stringify(declared, null, 2)}\n`)
    contents.set(`${one.id}/card.md`, withSection(readFileSync(join(one.folder, 'card.md'), 'utf8'), { declared, released: now.toISOString().slice(0, 10), checks, report: { file, sha256 }, gateSha256, training: mine?.manifest ?? null }))
  }
  return {
    version, at: now.toISOString(), contents,
    gate: { sha256: gateSha256, waived: checks.flatMap(({ waiver }) => waiver ? [{ threshold: waiver.threshold, perspective: waiver.perspective, value: waiver.value, reason: waiver.reason, date: waiver.date, by: waiver.by }] : []) },
    report: { file, sha256 },
    adapters: Object.fromEntries(trained.map(({ perspective, sha256: digest, bytes }) => [perspective, { name: adapterName(perspective, version), file: adapterFile(perspective, version), sha256: digest, bytes: bytes.length }])),
    trainings: Object.fromEntries(trained.map(({ perspective, manifest }) => [perspective, { stage: manifest.stage, sha256: manifest.sha256 }])),
    weights: new Map(trained.map(({ perspective, bytes }) => [perspective, bytes])),
  }
}
