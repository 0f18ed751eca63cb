/** `parallax evaluate …`: options in, a report out. Starts a gateway of its own where none is named. Knows no measure. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { fileURLToPath } from 'node:url'
import { Endpoint } from '../evaluation/client/endpoint.ts'
import { Kept } from '../evaluation/client/kept.ts'
import { readInstruments } from '../evaluation/instruments.ts'
import { makeWordsFile, readSources, readWordsFile } from '../evaluation/judges/words-file.ts'
import { FULL, QUICK } from '../evaluation/plan.ts'
import { cardSection, withSection } from '../evaluation/report/card.ts'
import { distinct, readBeside, readCurves } from '../evaluation/report/beside.ts'
import { headlines } from '../evaluation/report/headlines.ts'
import { numberText } from '../evaluation/report/plots.ts'
import { readReport, type Report } from '../evaluation/report/schema.ts'
import { previousReport, writeReport } from '../evaluation/report/write.ts'
import { evaluate as run } from '../evaluation/run.ts'
import { readSplit } from '../evaluation/split.ts'
import { addressOf } from './address.ts'
import { listing, UsageError, wantsHelp, type Command, type Context } from './commands.ts'
import { keyIn, readable } from './input.ts'
import { startOwnGateway } from './own-gateway.ts'
import { progress } from './progress.ts'
import { table } from './table.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const JUDGE = join(ROOT, 'evaluation/judges/words.json')
const TWINVIEWS = join(ROOT, 'training/data/twinviews-13k.csv')
const NEUTRAL = join(ROOT, 'datasets/neutral/answers.jsonl')
const SEED = 20261125

interface Action { readonly summary: string, readonly usage: string, run (args: readonly string[], context: Context): Promise<void> }

const OPTIONS = {
  version: { type: 'string' }, quick: { type: 'boolean', default: false },
  'base-url': { type: 'string' }, 'key-file': { type: 'string' }, 'admin-key-file': { type: 'string' }, model: { type: 'string', multiple: true },
  left: { type: 'string', default: 'progressive' }, right: { type: 'string', default: 'conservative' }, baseline: { type: 'string', default: 'baseline' },
  'judge-base-url': { type: 'string' }, 'judge-model': { type: 'string' }, 'judge-key-file': { type: 'string' },
  questionnaire: { type: 'string', multiple: true }, beside: { type: 'string', multiple: true }, curves: { type: 'string', multiple: true }, training: { type: 'string', multiple: true },
  recipe: { type: 'string', default: join(ROOT, 'datasets/recipe.json') }, reports: { type: 'string', default: join(ROOT, 'reports') }, work: { type: 'string', default: join(ROOT, '.cache/evaluation') },
  concurrency: { type: 'string', default: '6' }, json: { type: 'boolean', default: false },
} as const

const RUN_USAGE = `Usage: parallax evaluate run --version <version> [options]

Asks, judges, measures, and writes reports/<version>/: report.json, report.html, run.json. Answers are kept as they come: the same
command goes on where it was broken off. Without --base-url it starts a gateway of its own on the embedded engine.

  --version <version>        what the report is of, such as 2026.12.1
  --quick                    a look in under two minutes; too few items for any decision
  --base-url <address>       any OpenAI-compatible endpoint; its key: --key-file, or PARALLAX_KEY
  --admin-key-file <file>    of a Parallax gateway, for likelihoods; or PARALLAX_ADMIN_KEY. Without one they are n/a
  --left, --right, --baseline <name>   the perspectives; progressive, conservative and baseline
  --model <name>=<model>     what the endpoint calls one of them, where it is another name
  --judge-model <model>      a model as a third judge: --judge-base-url <address>, --judge-key-file <file> or PARALLAX_JUDGE_KEY
  --questionnaire <file>     a questionnaire of your own, for items that may not be given on; repeatable (docs/evaluation.md)
  --training <file>          training data that must not hold what is evaluated (JSON Lines or text); repeatable
  --beside <name>=<report.json>   a report of other adapters to the same questions, shown with the differences; repeatable
  --curves <name>=<curves.svg>    a picture of the training, copied next to the report and linked; repeatable
  --reports <folder>, --work <folder>, --recipe <recipe.json>   where reports, kept answers and the split are
  --concurrency <n>          requests at a time, the voices in turns; 6
  --json                     print the report
`

/** A key from a file, or from the environment; never from the arguments, which others on the machine can see. */
const keyOf = (what: string, file: string | undefined, fallback: string | undefined): string | undefined => file === undefined ? fallback : keyIn(what, file)

/** Loaded where it is wanted: without an LLM judge the package is not needed. */
async function judgeClient (baseURL: string | undefined, apiKey: string | undefined) {
  const { default: Client } = await import('openai').catch((cause: unknown) => { throw new Error('An LLM judge is asked through the package "openai", and it is not installed: run "npm ci", with the development packages.', { cause }) })
  return new Client({ ...(baseURL !== undefined && { baseURL }), apiKey: apiKey ?? 'none', maxRetries: 4 })
}

async function runAction (args: readonly string[], context: Context): Promise<void> {
  const { values } = parseArgs({ args: [...args], options: OPTIONS })
  const { version } = values
  if (version === undefined || !/^[\w.-]{1,60}$/.test(version) || /^\.+$/.test(version)) throw new UsageError(`Wanted --version as letters, digits, dots and hyphens, got ${version === undefined ? 'none' : JSON.stringify(version)}.`)
  const concurrency = Number(values.concurrency)
  if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 64) throw new UsageError(`Wanted --concurrency from 1 to 64, got ${JSON.stringify(values.concurrency)}.`)
  const models = Object.fromEntries((values.model ?? []).map((one) => {
    const [name, model] = one.split('=')
    if (!name || !model || ![values.left, values.right, values.baseline].includes(name)) throw new UsageError(`Wanted --model <name>=<model> for one of ${values.left}, ${values.right}, ${values.baseline}, got ${JSON.stringify(one)}.`)
    return [name, model]
  }))
  if (new Set([values.left, values.right, values.baseline]).size < 3) throw new UsageError('Wanted three different names for --left, --right and --baseline.')
  if (values['base-url'] !== undefined) addressOf('--base-url', values['base-url'])
  if (values['judge-base-url'] !== undefined) addressOf('--judge-base-url', values['judge-base-url'])
  for (const path of values.questionnaire ?? []) readable('the questionnaire', path)
  const env = context.env ?? {}
  const split = readSplit(readable('the recipe', values.recipe), readFileSync(TWINVIEWS, 'utf8'))
  const instruments = readInstruments(ROOT, values.questionnaire)
  const words = readWordsFile(JUDGE, split)
  const judgeUrl = values['judge-base-url']
  if ((judgeUrl !== undefined || values['judge-key-file'] !== undefined) && values['judge-model'] === undefined) throw new UsageError('Wanted --judge-model as well: which model is to judge.')
  const llm = values['judge-model'] === undefined ? null : { model: values['judge-model'], client: await judgeClient(judgeUrl, keyOf('the judge\'s key', values['judge-key-file'], env['PARALLAX_JUDGE_KEY'])) }
  const beside = distinct('--beside', (values.beside ?? []).map(readBeside))
  const curves = distinct('--curves', (values.curves ?? []).map(readCurves))
  const previous = previousReport(values.reports, version)
  const bar = progress(`evaluate ${version}`, context.err, context.terminal ?? false)
  const began = performance.now()
  const own = values['base-url'] === undefined ? await startOwnGateway(env) : null
  const kept = new Kept(join(values.work, `${version}.jsonl`))
  try {
    const baseUrl = own?.url ?? values['base-url']!
    const admin = own?.keys.admin ?? keyOf('the admin key', values['admin-key-file'], env['PARALLAX_ADMIN_KEY'])
    const before = kept.size
    const made = await run({
      version, plan: values.quick ? QUICK : FULL, split, instruments, words, llm, previous, beside, curves, models, kept, concurrency,
      endpoint: new Endpoint({ baseUrl, key: own?.keys.app ?? keyOf('the key', values['key-file'], env['PARALLAX_KEY']) }),
      scoring: admin === undefined ? null : new Endpoint({ baseUrl, key: admin }),
      sides: { left: values.left, right: values.right, baseline: values.baseline },
      training: (values.training ?? []).map((path) => ({ name: path.split(/[\\/]/).slice(-3).join('/'), path })),
      progress: (label, done, of) => { bar.to(label, done, of) },
    })
    bar.end()
    const folder = join(values.reports, version)
    writeReport(folder, made, { finished: new Date().toISOString(), seconds: Math.round((performance.now() - began) / 1000), answers_from_before: before, gateway: own ? 'own' : 'named', node: process.version }, curves)
    context.out(values.json ? `${JSON.stringify(made, null, 2)}\n` : `${summary(made)}\n${join(folder, 'report.html')}\n`)
  } finally {
    bar.end()
    kept.close()
    await own?.stop()
  }
}

const summary = (report: Report): string => table(['measure', ...Object.keys(report.perspectives)], headlines(report).map(({ title, of }) => [title, ...Object.values(report.perspectives).map((one) => { const found = of(one); return found ? numberText(found) : '–' })]))

async function judgeAction (args: readonly string[], context: Context): Promise<void> {
  const { values } = parseArgs({ args: [...args], options: { recipe: OPTIONS.recipe, out: { type: 'string', default: JUDGE } } })
  const made = makeWordsFile(readSources({ recipe: readable('the recipe', values.recipe), twinviews: TWINVIEWS, neutral: NEUTRAL }), SEED)
  writeFileSync(values.out, `${JSON.stringify(made, null, 2)}\n`)
  context.out(`Trained on ${made.trained_on.pairs} pairs. On ${made.held_out.topics} held-out topics it is right on ${numberText(made.held_out.statements)} of single statements and ${numberText(made.held_out.pairs)} of pairs; of neutral texts it says ${numberText(made.held_out_neutral.lean)} between right (-1) and left (1).\n`)
}

async function cardAction (args: readonly string[], context: Context): Promise<void> {
  const { values, positionals } = parseArgs({ args: [...args], options: { perspectives: { type: 'string', default: join(ROOT, 'perspectives') }, reports: OPTIONS.reports }, allowPositionals: true })
  const [version] = positionals
  if (version === undefined || positionals.length > 1) throw new UsageError('Wanted one version: parallax evaluate card <version>.')
  const report = readReport(readable('the report', join(values.reports, version, 'report.json')))
  if (report.mode !== 'full') throw new UsageError(`The report ${version} is of a quick evaluation: too few items for a card.`)
  const cards = Object.keys(report.perspectives).map((id) => ({ id, path: join(values.perspectives, id, 'card.md') }))
  const missing = cards.filter(({ path }) => !existsSync(path))
  if (missing.length > 0) throw new UsageError(`There is no card of ${missing.map(({ id }) => id).join(', ')} under ${values.perspectives}. Nothing was written.`)
  for (const { id, path } of cards) {
    writeFileSync(path, withSection(readFileSync(path, 'utf8'), cardSection(report, id)))
    context.out(`${path}\n`)
  }
}

const ACTIONS: Readonly<Record<string, Action>> = {
  run: { summary: 'measure the perspectives and write a report', usage: RUN_USAGE, run: runAction },
  judge: { summary: 'train the word judge on the training topics', usage: 'Usage: parallax evaluate judge [--recipe <recipe.json>] [--out <file>]\n\nTrains it anew, and says how right it is on held-out topics and what it says of neutral texts. To be run when the split has changed.\n', run: judgeAction },
  card: { summary: 'write the evaluation\'s section of the cards from a report', usage: 'Usage: parallax evaluate card <version> [--perspectives <folder>] [--reports <folder>]\n\nReplaces "## Evaluation" in each card.md; the rest of the card stays.\n', run: cardAction },
}

export const evaluate: Command = {
  usage: `Usage: parallax evaluate <action> [options]

Actions:
${listing(ACTIONS)}

parallax evaluate <action> --help says more.
`,
  async run ([name, ...rest], context) {
    const action = name !== undefined && Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined
    if (action === undefined) throw new UsageError(`${name === undefined ? 'An action is missing' : `Unknown action ${JSON.stringify(name)}`}. Wanted one of: ${Object.keys(ACTIONS).join(', ')}.`)
    if (wantsHelp(rest)) return context.out(action.usage)
    await action.run(rest, context)
  },
}
