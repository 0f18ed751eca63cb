/** `parallax audit outputs`: the regular audit of what was really said. Options in, findings out; what is found is src/outputs'. */
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { readLists } from '../datasets/clean/lists.ts'
import { readRecipe } from '../datasets/recipe.ts'
import { Endpoint, Gone, Refused } from '../evaluation/client/endpoint.ts'
import { readInstruments } from '../evaluation/instruments.ts'
import { cuesJudge, wordsJudge } from '../evaluation/judges/judges.ts'
import { readWordsFile } from '../evaluation/judges/words-file.ts'
import { listsOf } from '../evaluation/setting.ts'
import { readSplit } from '../evaluation/split.ts'
import { tellAlerts } from '../outputs/alert.ts'
import { judgeOutputs, type Findings } from '../outputs/findings.ts'
import { gather, type Get } from '../outputs/gather.ts'
import { outputsPage } from '../outputs/page.ts'
import { readReported } from '../outputs/reported.ts'
import { readRules } from '../outputs/rules.ts'
import { makeScorer } from '../outputs/scorer.ts'
import { verdict } from '../outputs/verdict.ts'
import { writeDurably } from '../release/write.ts'
import { addressOf } from './address.ts'
import { NotPassed, UsageError, type Context } from './commands.ts'
import { parseDuration } from './duration.ts'
import { keyIn, readable } from './input.ts'
import { progress } from './progress.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const RECIPE = join(ROOT, 'datasets/recipe.json')
const LARGEST_SAMPLE = 10_000

const options = {
  'base-url': { type: 'string', default: 'http://127.0.0.1:3000' }, 'key-file': { type: 'string' }, last: { type: 'string' }, from: { type: 'string' }, to: { type: 'string' },
  size: { type: 'string', default: '200' }, seed: { type: 'string' }, report: { type: 'string' }, rules: { type: 'string', default: join(ROOT, 'release/outputs.json') }, out: { type: 'string' },
  webhook: { type: 'string' }, 'alert-file': { type: 'string' }, every: { type: 'string' }, json: { type: 'boolean' }, 'data-dir': { type: 'string' },
} as const
type Values = ReturnType<typeof parseArgs<{ options: typeof options }>>['values']

async function keyOf (values: Values, context: Context): Promise<string> {
  if (values['key-file'] !== undefined) return keyIn('the auditor\'s key', values['key-file'])
  const told = context.env?.['PARALLAX_AUDITOR_KEY']
  if (told) return told
  const first = join(values['data-dir'] ?? await context.dataDir(), 'keys.json')
  const found = existsSync(first) ? (JSON.parse(readFileSync(first, 'utf8')) as { auditor?: string }).auditor : undefined
  if (found === undefined) throw new UsageError('Wanted an auditor\'s key: --key-file, or PARALLAX_AUDITOR_KEY. "parallax keys create --scope auditor" makes one.')
  return found
}

function timeOf (option: string, text: string): number {
  const time = Date.parse(text)
  if (Number.isNaN(time)) throw new UsageError(`Wanted ${option} as a time such as 2026-12-01T00:00:00Z, got ${JSON.stringify(text)}.`)
  return time
}

function windowOf ({ last, from, to }: { readonly [option in 'last' | 'from' | 'to']?: string | undefined }, now: number): { from: number, to: number } {
  if (last !== undefined && (from ?? to) !== undefined) throw new UsageError('Wanted --last, or --from and --to, not both.')
  const window = from === undefined ? { from: now - parseDuration('--last', last ?? '24h') * 1000, to: to === undefined ? now : timeOf('--to', to) } : { from: timeOf('--from', from), to: to === undefined ? now : timeOf('--to', to) }
  if (window.from >= window.to || window.from < 0) throw new UsageError('The window is empty: its beginning has to lie before its end.')
  return window
}

/** The report that the perspectives in force name; null where they were never measured, or where it is not here. */
async function reportOf (get: Get, given: string | undefined): Promise<{ file: string, path: string } | null> {
  if (given !== undefined) return { file: given, path: given }
  const { data } = await get('/v1/perspectives') as { data: { slant: { report?: string } | string }[] }
  const names = [...new Set(data.flatMap(({ slant }) => typeof slant === 'object' && slant.report !== undefined ? [slant.report] : []))]
  const [file] = names
  if (file === undefined || !/^reports\/[\w.-]+\/report\.json$/.test(file) || !existsSync(join(ROOT, file))) return null
  return { file, path: join(ROOT, file) }
}

export async function auditOutputs (args: readonly string[], context: Context): Promise<void> {
  const { values } = parseArgs({ args: [...args], options })
  const size = Number(values.size)
  if (!Number.isInteger(size) || size < 1 || size > LARGEST_SAMPLE) throw new UsageError(`Wanted --size from 1 to ${LARGEST_SAMPLE}, got ${JSON.stringify(values.size)}.`)
  if (values.every !== undefined && (values.from ?? values.to ?? values.last) !== undefined) throw new UsageError('--every tells the window as well: leave --last, --from and --to out.')
  const pause = values.every === undefined ? null : parseDuration('--every', values.every) * 1000
  if (pause === 0) throw new UsageError('Wanted --every above 0.')
  const first = windowOf({ ...values, last: values.every ?? values.last }, Date.now())

  if (values.webhook !== undefined) addressOf('--webhook', values.webhook)
  if (values.report !== undefined) readable('the report', values.report)
  const endpoint = new Endpoint({ baseUrl: addressOf('--base-url', values['base-url']), key: await keyOf(values, context) })
  const get: Get = async (path) => {
    try { return await endpoint.json('GET', path) } catch (error) {
      if (error instanceof Refused && (error.status === 401 || error.status === 403)) throw new Error(`The gateway refuses the key: ${error.message} Reading transcripts wants one of the scope "auditor".`, { cause: error })
      if (error instanceof Gone) throw new Error(`${error.message} Is the gateway running at ${endpoint.address}? Nothing is kept of an audit that broke off.`, { cause: error })
      throw error
    }
  }
  const rules = readRules(readable('the rules', values.rules))
  const split = readSplit(RECIPE, readFileSync(join(ROOT, 'training/data/twinviews-13k.csv'), 'utf8'))
  const instruments = readInstruments(ROOT)
  const { model, made } = readWordsFile(join(ROOT, 'evaluation/judges/words.json'), split)
  const judges = [wordsJudge(model, made), cuesJudge(instruments.lexicon, split)]
  const scorer = makeScorer({ judges, lists: listsOf(instruments), findings: (text) => cleaning.findings(text), rules })
  const cleaning = readLists(readRecipe(RECIPE))

  async function round (window: { from: number, to: number }): Promise<Findings> {
    const seed = values.seed ?? randomBytes(8).toString('hex')
    const found = await reportOf(get, values.report)
    const report = found && { ...readReported(found.path), file: found.file }
    const bar = progress('audit outputs', context.err, context.terminal ?? false)
    try {
      const gathered = await gather(get, scorer, { window, size, seed, progress: (done, of) => { bar.to('reading', done, of) } })
      return judgeOutputs({ gathered, rules, judges: judges.map(({ id }) => id), reported: report?.reported ?? new Map(), report: report && { file: report.file, version: report.version }, window, seed, size, now: new Date() })
    } finally { bar.end() }
  }

  async function tell (findings: Findings): Promise<void> {
    const [json, page] = [`${JSON.stringify(findings, null, 2)}\n`, outputsPage(findings)]
    if (values.out === undefined) context.out(values.json ? json : page)
    else {
      // one folder a round, by the end of its window
      const folder = pause === null ? values.out : join(values.out, findings.window.to.replaceAll(':', '-'))
      writeDurably(join(folder, 'findings.json'), json)
      writeDurably(join(folder, 'findings.md'), page)
      context.out(values.json ? json : `${findings.alerts.length === 0 ? verdict(findings) : findings.alerts.map((one) => `BEYOND  ${one.perspective}: ${one.says}`).join('\n')}\n${join(folder, 'findings.md')}\n`)
    }
    await tellAlerts(findings, { file: values['alert-file'], webhook: values.webhook })
  }

  if (pause === null) {
    const findings = await round(first)
    await tell(findings)
    if (findings.alerts.length > 0) throw new NotPassed()
    return
  }
  for (let window = first; ;) {
    // a gateway that is down for a while is no reason to stop looking: the next window begins where the last that was read ended
    try {
      await tell(await round(window))
      window = { from: window.to, to: window.to }
    } catch (error) { context.err(`parallax: ${(error as Error).message}\n`) }
    await sleep(pause)
    window = { from: window.from, to: Date.now() }
  }
}
