/** The folder that stages write to, seen from outside: is it as they left it, and what of it belongs into the repository. Runs nothing. */
import { createHash } from 'node:crypto'
import { closeSync, copyFileSync, existsSync, mkdirSync, openSync, readSync } from 'node:fs'
import { basename, join } from 'node:path'
import { DatasetError } from './dataset-error.ts'
import { writeJson } from './parts.ts'
import { manifestOf, type Manifest } from './stage.ts'

function digest (file: string): string {
  const hash = createHash('sha256')
  const buffer = Buffer.allocUnsafe(1 << 18)
  const handle = openSync(file, 'r')
  try { for (let read = readSync(handle, buffer); read > 0; read = readSync(handle, buffer)) hash.update(buffer.subarray(0, read)) } finally { closeSync(handle) }
  return hash.digest('hex')
}

const finished = (work: string, stages: readonly string[]): Manifest[] => stages.map((stage) => manifestOf(work, stage)).filter((manifest) => manifest !== undefined)

export function verifyWork (work: string, stages: readonly string[]): { readonly files: number, readonly mistakes: readonly string[] } {
  const mistakes: string[] = []
  let files = 0
  const manifests = finished(work, stages)
  if (manifests.length === 0) throw new DatasetError(`${work} holds no finished stage. Run "parallax datasets build" first.`)
  for (const { stage, parts } of manifests) {
    for (const { file, sha256 } of parts) {
      files++
      const path = join(work, stage, file)
      if (!existsSync(path)) mistakes.push(`${path} is missing`)
      else if (digest(path) !== sha256) mistakes.push(`${path} has another SHA-256 than ${stage} wrote`)
    }
  }
  return { files, mistakes }
}

export interface ShortManifest extends Omit<Manifest, 'parts'> { readonly parts: number, readonly files?: readonly { readonly file: string, readonly rows: number, readonly bytes: number, readonly sha256: string }[] }

/** Manifests without the parts, and of the last stage with its files: small enough to be committed. */
export function shortManifests (work: string, stages: readonly string[]): ShortManifest[] {
  return finished(work, stages).map(({ parts, counts, ...manifest }) => manifest.stage === 'export'
    ? { ...manifest, counts: {}, parts: parts.length, files: parts.map(({ file, rows, bytes, sha256 }) => ({ file, rows, bytes, sha256 })) }
    : { ...manifest, counts, parts: parts.length })
}

const REPORT = ['balance/report.json', 'balance/differences.svg', 'balance/topics.svg', 'balance/lengths.svg', 'objective/objective.json', 'export/README.md', 'export/croissant.json']

export function writeReport (work: string, folder: string, manifests: readonly ShortManifest[]): string[] {
  for (const file of REPORT) if (!existsSync(join(work, file))) throw new DatasetError(`${join(work, file)} is not there. Run "parallax datasets build" first.`)
  mkdirSync(folder, { recursive: true })
  const written = REPORT.map((file) => {
    const to = join(folder, file === 'export/README.md' ? 'card.md' : file === 'balance/report.json' ? 'balance.json' : basename(file))
    copyFileSync(join(work, file), to)
    return to
  })
  writeJson(join(folder, 'manifests.json'), manifests)
  return [...written, join(folder, 'manifests.json')]
}
