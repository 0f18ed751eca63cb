/** `parallax release <version>`: the gate's answer, and what comes of it. Options in, sentences out; the rules are src/release's. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Config } from '../config.ts'
import { callControl, controlPath, isHeld } from '../control.ts'
import { loadPerspectives } from '../perspectives/registry.ts'
import type { Perspective } from '../perspectives/perspective.ts'
import { writeCandidate } from '../release/candidate.ts'
import { decide, declaredBy, finishPending, together } from '../release/force.ts'
import type { Check } from '../release/gate.ts'
import { readRefused, refusedBefore, rememberRefused, type Refusal } from '../release/refused.ts'
import { judgeRelease } from '../release/release.ts'
import { archive, hasVersion, readVersion, versionNames, versionsOf, writeVersion, type Version } from '../release/version.ts'
import { startTested } from '../releases.ts'
import { withLock } from '../../setup/process-lock.js'
import { NotPassed, UsageError, type Command, type Context } from './commands.ts'
import { replyError } from './key-admin.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** Starting and testing a large model takes its time. */
const LIMIT_MS = 900_000

const options = {
  adapters: { type: 'string' }, report: { type: 'string' }, candidate: { type: 'string' }, list: { type: 'boolean' }, 'dry-run': { type: 'boolean' },
  gate: { type: 'string' }, refused: { type: 'string' }, json: { type: 'boolean' }, 'data-dir': { type: 'string' },
} as const
type Values = ReturnType<typeof parseArgs<{ options: typeof options }>>['values']

interface Place { readonly root: string, readonly perspectives: readonly Perspective[], readonly config: Config, readonly gate: string, readonly refused: string }

const number = (value: number | null): string => value === null ? '–' : String(Math.round(value * 1000) / 1000)

function tableOf (checks: readonly Check[]): string {
  const rows = checks.map(({ threshold, perspective, wanted, value, low, high, n, outcome, reason }) =>
    [outcome.toUpperCase(), threshold, perspective ?? 'between sides', wanted, `${number(value)}${low === null ? '' : ` (${number(low)} to ${number(high)})`}`, `n ${n}`, reason ?? ''])
  const widths = [0, 1, 2, 3, 4, 5].map((at) => Math.max(...rows.map((row) => row[at]!.length)))
  return rows.map((row) => `${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  ').trimEnd()}\n`).join('')
}

const failedText = ({ adapters, failed }: Refusal): string =>
  `${Object.entries(adapters).map(([id, digest]) => `${id} ${digest.slice(0, 12)}…`).join(' and ')}: ${failed.map((one) => `${one.threshold} ${number(one.found)}, wanted ${one.wanted}`).join('; ')}`

async function post<T> (config: Config, url: string, body: unknown): Promise<T> {
  const reply = await callControl(controlPath(config.dataDir), { method: 'POST', url: `/admin/v1/releases${url}`, body, limitMs: LIMIT_MS })
  if (reply === null) throw new Error('The gateway stopped before it answered. Its log says what was done: look for the newest "release.accepted" record.')
  if (reply.status >= 400) throw replyError(reply.status, reply.body)
  return reply.body as T
}

/** Through the gateway that runs, which tests it and goes on answering; where none runs, tested here. */
async function putInForce ({ root, perspectives, config }: Place, version: Version): Promise<string> {
  const { version: name } = version.manifest
  if (await isHeld(controlPath(config.dataDir))) {
    const { switched } = await post<{ switched: boolean }>(config, '', { version: name, release_sha256: version.sha256 })
    return switched ? `The version ${name} is in force, in the running gateway too: new requests meet it, what had begun ends on the old one.` : `The version ${name} was in force already.`
  }
  const declared = declaredBy(root, version)
  const tested = await startTested(config, perspectives.map((one) => declared.find(({ id }) => id === one.id) ?? one), () => {})
  await tested.close()
  decide(root, name)
  finishPending(root)
  return `The version ${name} is in force: the next start of a gateway serves it and says so in the log. None runs on ${config.dataDir}.`
}

async function refuse ({ refused, config }: Place, refusals: readonly Refusal[]): Promise<string> {
  rememberRefused(refused, refusals)
  if (!await isHeld(controlPath(config.dataDir))) return ''
  await post(config, '/refusals', { refusals })
  return ' On record in the log of the running gateway as well.'
}

/** An older version: what it was accepted by then holds. */
async function again (place: Place, name: string, values: Values, context: Context): Promise<void> {
  const version = readVersion(place.root, name)
  const before = refusedBefore(readRefused(place.refused), Object.values(version.manifest.adapters).map(({ sha256 }) => sha256))
  if (before) return remembered(before, values, context)
  if (values['dry-run']) context.out(`The version ${name} is whole and could be put in force. Nothing was changed.\n`)
  else context.out(say(values, { version: name, outcome: 'released' }, await putInForce(place, version)))
}

function remembered (refusal: Refusal, values: Values, context: Context): never {
  context.out(say(values, { outcome: 'refused', remembered: refusal }, `Refused on ${refusal.at.slice(0, 10)} as version ${refusal.version}, by its digest, and a refused release stays refused.\n  ${failedText(refusal)}\nTrain it anew.`))
  throw new NotPassed()
}

const say = ({ json }: Values, told: object, text: string): string => json ? `${JSON.stringify(told)}\n` : `${text}\n`

async function anew (place: Place, name: string, values: Values, context: Context): Promise<void> {
  const { root, perspectives, gate, refused } = place
  const published = `reports/${name}/report.json`
  const now = new Date()
  const judged = judgeRelease({ version: name, perspectives, adapters: values.adapters!, report: values.report ?? join(ROOT, published), published, gate, refused, now })
  if (judged.kind === 'remembered') return remembered(judged.refusal, values, context)
  const { checks } = judged
  if (!values.json) context.out(tableOf(checks))
  if (judged.kind === 'incomplete') {
    if (values.json) context.out(say(values, { version: name, outcome: 'incomplete', checks }, ''))
    throw new Error('Not released: what is UNMEASURED says nothing for it and nothing against it. Measure it, or waive it by name in the gate\'s file.')
  }
  if (judged.kind === 'refused') {
    const where = values['dry-run'] ? ' Nothing was recorded (--dry-run).' : await refuse(place, judged.refusals)
    context.out(say(values, { version: name, outcome: 'refused', checks, refusals: judged.refusals }, `Refused.${where}\n${judged.refusals.map((one) => `  ${failedText(one)}\n`).join('')}${values['dry-run'] ? '' : 'These digests stay refused, whatever else is changed.'}`))
    throw new NotPassed()
  }
  if (values['dry-run']) {
    context.out(say(values, { version: name, outcome: 'passed', checks }, 'The gate lets it pass. Nothing was written (--dry-run).'))
    return
  }
  archive(root, perspectives, now.toISOString())
  const text = await putInForce(place, writeVersion(root, judged.version))
  context.out(say(values, { version: name, outcome: 'released', checks }, text))
}

export const release: Command = {
  usage: `Usage: parallax release <version> --adapters <folder> [options]
       parallax release <version>            an older one: back to it
       parallax release --list

Both sides together, or neither. The report of the evaluation is held against release/gate.json; what falls short is refused, and its digest stays refused.
What passes is written as a version of its own, tested (A-B-A) in a second engine, put on record, and served; what had begun ends on the old version.

  --adapters <folder>        with a folder a side, as "parallax train" leaves it
  --report <file>            instead of reports/<version>/report.json
  --candidate <folder>       only write a folder of perspectives that a gateway can serve them from, to evaluate them
  --dry-run                  say what the gate says; write and record nothing
  --gate <file>              instead of release/gate.json
  --refused <file>           instead of release/refused.json
  --json                     answer in JSON
  --data-dir <directory>     instead of DATA_DIR: which gateway is told

Exit codes: 0 released, 1 it could not be judged or put in force, 2 called wrongly, 3 refused.
`,
  async run (args, context) {
    const { values, positionals: [version, ...more] } = parseArgs({ args: [...args], allowPositionals: true, options })
    if (more.length > 0 || (version === undefined) !== (values.list === true)) throw new UsageError('Wanted one version, such as: parallax release 2026.12.1 --adapters <folder>.')
    if (values.adapters === undefined && (values.report ?? values.candidate) !== undefined) throw new UsageError('--report and --candidate are about new adapters: wanted --adapters <folder> as well.')
    const config = await context.settings!(values['data-dir'])
    for (const root of config.perspectives) finishPending(root)
    const found = together(loadPerspectives(config.perspectives).list())
    const place: Place = { ...found, config, gate: values.gate ?? join(ROOT, 'release/gate.json'), refused: values.refused ?? join(ROOT, 'release/refused.json') }
    if (version === undefined) {
      const inForce = new Set(found.perspectives.map((one) => one.version))
      const all = [...new Set([...versionNames(place.root), ...inForce])].toSorted().map((name) => ({ version: name, in_force: inForce.has(name), kept: hasVersion(place.root, name) }))
      return context.out(say(values, { versions: all }, all.map((one) => `${one.version}${one.in_force ? '  in force' : ''}`).join('\n')))
    }
    if (values.candidate !== undefined) {
      writeCandidate(values.candidate, { version, perspectives: found.perspectives, adapters: values.adapters! })
      return context.out(say(values, { version, candidate: values.candidate }, `Serve it with PARALLAX_PERSPECTIVES=${values.candidate} and a DATA_DIR of its own, and evaluate it as ${version}.`))
    }
    const work = () => values.adapters === undefined ? again(place, version, values, context) : anew(place, version, values, context)
    if (values['dry-run']) return work()
    return withLock(join(versionsOf(place.root), '.lock'), (pid) => { context.err(`Waiting for another release (process ${pid}).\n`) }, work)
  },
}
