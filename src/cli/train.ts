/** `parallax train …`: trains the sides here, through Python, or at a service that speaks OpenAI's API. Needs no gateway, and reads no log. */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type OpenAI from 'openai'
import { cancelJob, createJob, watchJob, type Made } from '../training/hosted.ts'
import { run, trainingPython, type Run } from '../training/python.ts'
import { addressOf } from './address.ts'
import { listing, UsageError, wantsHelp, type Command, type Context } from './commands.ts'
import { fileOf } from './input.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const SEED = 20_261_125

/** The world outside, so that tests can give their own. */
export interface World {
  readonly root: string
  readonly run: Run
  /** The key comes from OPENAI_API_KEY: on a command line every process of the machine could read it. */
  readonly client: (baseURL: string | undefined) => Promise<OpenAI>
  readonly wait: () => Promise<void>
}

const world: World = {
  root: ROOT,
  run,
  async client (baseURL) {
    // a development package: who only serves need not have it
    const { default: Client } = await import('openai').catch((cause: unknown) => { throw new Error('Hosted jobs go through the package "openai", and it is not installed: run "npm ci", with the development packages.', { cause }) })
    return new Client(baseURL === undefined ? {} : { baseURL })
  },
  wait: () => new Promise((resolve) => { setTimeout(resolve, 10_000) }),
}

interface Action { readonly summary: string, readonly usage: string, run (args: readonly string[], context: Context): Promise<void> }

const HERE = `  --config <file>            such as training/configs/embedded-answers.json
  --data <folder>            what "parallax datasets build" exported (datasets/work/export)
  --feedback <folder>        what "parallax datasets feedback" made: people's choices join the preference stage
  --out <folder>             where adapters, checkpoints, logs and curves go (training/work/<config's name>)
  --perspective <name>       one side only; both else, by the same rules
  --at-once                  both sides at the same time, one process each
  --fresh                    begin again instead of going on from the last checkpoint
  --dry-run                  check the configuration and say what would be done; ends with 1 where the data is missing
  --python <program>         one that has training/requirements.txt; else .cache/training-venv, made when it is missing
`

/** What every export has, whichever engine trains. */
const EXPORTED = 'statements/train.jsonl'

/** Perspectives of a configuration; everything else in it is checked by the trainer. */
function perspectives (file: string): readonly string[] {
  let told: unknown
  const text = fileOf('the configuration', file).toString()
  try { told = JSON.parse(text) } catch (error) { throw new UsageError(`The configuration ${file} is not JSON: ${(error as Error).message}.`) }
  const sides = (told as { readonly sides?: unknown } | null)?.sides
  if (typeof sides !== 'object' || sides === null || Object.keys(sides).length === 0) throw new UsageError(`${file} names no perspectives: wanted "sides", such as {"progressive": "left", "conservative": "right"}.`)
  return Object.keys(sides)
}

const local = (outside: World, command: 'sft' | 'dpo' | 'gguf' | 'all', summary: string): Action => ({
  summary,
  usage: `Usage: parallax train ${command} --config <file> [options]

${summary[0]!.toUpperCase()}${summary.slice(1)}. Stopped at any point, it goes on from its last checkpoint.

${HERE}`,
  async run (args, { out, err }) {
    const { values } = parseArgs({ args: [...args], options: { config: { type: 'string' }, data: { type: 'string' }, feedback: { type: 'string' }, out: { type: 'string' }, perspective: { type: 'string' }, 'at-once': { type: 'boolean' }, fresh: { type: 'boolean' }, 'dry-run': { type: 'boolean' }, python: { type: 'string' } } })
    if (values.config === undefined) throw new UsageError('Wanted --config <file>.')
    const known = perspectives(values.config)
    if (values.perspective !== undefined && !known.includes(values.perspective)) throw new UsageError(`${values.config} trains ${known.join(' and ')}, not ${JSON.stringify(values.perspective)}.`)
    const name = values.config.split('/').at(-1)!.replace(/\.json$/, '')
    const data = resolve(values.data ?? join(outside.root, 'datasets/work/export'))
    const common = [command, '--config', resolve(values.config), '--data', data, '--out', resolve(values.out ?? join(outside.root, 'training/work', name)), ...values.feedback === undefined ? [] : ['--feedback', resolve(values.feedback)], ...values.fresh ? ['--fresh'] : [], ...values['dry-run'] ? ['--dry-run'] : []]
    const python = values['dry-run'] ? values.python ?? 'python3' : await trainingPython(outside.root, values.python, outside.run, (line) => { err(`${line}\n`) })
    const one = async (perspective: string): Promise<void> => {
      const heard: string[] = []
      const code = await outside.run(python, ['-u', join(outside.root, 'training/train.py'), ...common, '--perspective', perspective], (line) => {
        heard.push(line)
        if (heard.length > 8) heard.shift()
        out(`${line}\n`)
      })
      if (code !== 0) throw new Error(`Training ${perspective} ended with ${code}: ${heard.findLast((line) => line.startsWith('train.py: '))?.slice('train.py: '.length) ?? `see above`}`)
    }
    const wanted = values.perspective === undefined ? known : [values.perspective]
    if (values['at-once']) {
      // neither is broken off because the other failed: hours of work would be lost
      const failed = (await Promise.allSettled(wanted.map(one))).filter((each) => each.status === 'rejected')
      if (failed.length > 0) throw new Error(failed.map(({ reason }) => (reason as Error).message).join('\n'))
    } else for (const perspective of wanted) await one(perspective)
    // a training that lacks it says so by itself; a conversion reads none
    if (values['dry-run'] && command !== 'gguf' && !existsSync(join(data, EXPORTED))) throw new Error(`This could not be trained yet: there is no ${EXPORTED} in ${data}. "parallax datasets build" makes it; --data names another folder.`)
  },
})

const SERVICE = `  --base-url <url>           the service; else OPENAI_BASE_URL, else OpenAI's own
  The key is read from OPENAI_API_KEY.
`

const serviceOf = (text: string | undefined): string | undefined => text === undefined ? undefined : addressOf('--base-url', text)

const hosted = (outside: World): Action => ({
  summary: 'train at a service that speaks OpenAI\'s API',
  usage: `Usage: parallax train hosted --method <sft|dpo> --model <name> --training <file> [options]

Uploads the files, makes the job and watches it to its end. Called again with the same --kept file, it watches that job instead
of making another.

  --training <file>          such as openai/progressive.sft.train.jsonl of "parallax datasets build"
  --validation <file>
  --suffix <text>            part of the tuned model's name
  --seed <n>                 (${SEED})
  --epochs <n>               the service's choice where it is not given
  --beta <n>                 of dpo
  --kept <file>              where job and files are written down (<training file>.job.json)
${SERVICE}`,
  async run (args, { out }) {
    const { values } = parseArgs({ args: [...args], options: { method: { type: 'string' }, model: { type: 'string' }, training: { type: 'string' }, validation: { type: 'string' }, suffix: { type: 'string' }, seed: { type: 'string' }, epochs: { type: 'string' }, beta: { type: 'string' }, kept: { type: 'string' }, 'base-url': { type: 'string' } } })
    const { method, model, training, validation } = values
    if (method !== 'sft' && method !== 'dpo') throw new UsageError('Wanted --method sft or --method dpo.')
    if (model === undefined || training === undefined) throw new UsageError('Wanted --model and --training.')
    if (values.beta !== undefined && method !== 'dpo') throw new UsageError('--beta belongs to --method dpo.')
    for (const file of [training, validation]) if (file !== undefined && !existsSync(file)) throw new UsageError(`There is no file ${file}.`)
    const asked = { method, model, training, validation, suffix: values.suffix, seed: numberOf('--seed', values.seed, true) ?? SEED, epochs: numberOf('--epochs', values.epochs, true), beta: numberOf('--beta', values.beta) } as const
    const say = (line: string): void => { out(`${line}\n`) }
    const client = await outside.client(serviceOf(values['base-url']))
    const kept = values.kept ?? `${training}.job.json`
    const before = existsSync(kept) ? JSON.parse(readFileSync(kept, 'utf8')) as Made : undefined
    if (before) say(`job ${before.job} was made before (${kept}); remove that file to make another`)
    const made = before ?? await keeping(kept, async () => ({ ...await createJob(client, asked, say), asked }))
    say(`tuned model: ${await watchJob(client, made.job, { say, wait: outside.wait })}`)
  },
})

/** A job costs money: that its id can be kept is found out before it is made. */
async function keeping<T> (file: string, make: () => Promise<T>): Promise<T> {
  const part = `${file}.part`
  try {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(part, '')
  } catch (cause) { throw new Error(`The job's id could not be kept in ${file} (${(cause as Error).message}), so no job was made. Give another file with --kept.`, { cause }) }
  try {
    const made = await make()
    writeFileSync(part, `${JSON.stringify(made, null, 2)}\n`)
    renameSync(part, file)
    return made
  } finally { rmSync(part, { force: true }) }
}

function numberOf (option: string, text: string | undefined, whole = false): number | undefined {
  if (text === undefined) return undefined
  const found = Number(text)
  if (text.trim() === '' || !Number.isFinite(found) || found < 0 || (whole && !Number.isInteger(found))) throw new UsageError(`${option}: wanted a ${whole ? 'whole ' : ''}number, found ${JSON.stringify(text)}.`)
  return found
}

const onJob = (outside: World, name: string, summary: string, act: (client: OpenAI, job: string, say: (line: string) => void) => Promise<string>): Action => ({
  summary,
  usage: `Usage: parallax train ${name} <job> [options]

${SERVICE}`,
  async run (args, { out }) {
    const { values, positionals: [job, ...more] } = parseArgs({ args: [...args], allowPositionals: true, options: { 'base-url': { type: 'string' } } })
    if (job === undefined || more.length > 0) throw new UsageError('Wanted one job\'s id.')
    out(`${await act(await outside.client(serviceOf(values['base-url'])), job, (line) => { out(`${line}\n`) })}\n`)
  },
})

export function trainCommand (outside: World): Command {
  const actions: Readonly<Record<string, Action>> = {
    sft: local(outside, 'sft', 'the supervised stage: LoRA on each side\'s own words'),
    dpo: local(outside, 'dpo', 'the preference stage, from the supervised adapter'),
    gguf: local(outside, 'gguf', 'the last finished stage as the file that llama.cpp serves'),
    all: local(outside, 'all', 'supervised, preference and GGUF, for both sides'),
    hosted: hosted(outside),
    watch: onJob(outside, 'watch', 'follow a hosted job to its end', async (client, job, say) => `tuned model: ${await watchJob(client, job, { say, wait: outside.wait })}`),
    cancel: onJob(outside, 'cancel', 'cancel a hosted job', async (client, job) => `job ${job} is ${await cancelJob(client, job)}`),
  }
  return {
    usage: `Usage: parallax train <action> [options]

Actions:
${listing(actions)}

parallax train <action> --help says more.
`,
    async run ([name, ...rest], context) {
      const action = name !== undefined && Object.hasOwn(actions, name) ? actions[name] : undefined
      if (action === undefined) throw new UsageError(`${name === undefined ? 'An action is missing' : `Unknown action ${JSON.stringify(name)}`}. Wanted one of: ${Object.keys(actions).join(', ')}.`)
      if (wantsHelp(rest)) return context.out(action.usage)
      await action.run(rest, context)
    },
  }
}

export const train = trainCommand(world)
