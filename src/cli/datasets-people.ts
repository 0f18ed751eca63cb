/** The actions of `parallax datasets` that ask people or a gateway: tasks for annotators, what came back, feedback, neutral answers. */
import { existsSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { join } from 'node:path'
import { INTERFACE, readBack, tasks } from '../datasets/annotation/tasks.ts'
import { DatasetError } from '../datasets/dataset-error.ts'
import { feedbackRows } from '../datasets/feedback/rows.ts'
import { gateway } from '../datasets/gateway.ts'
import { askNeutral } from '../datasets/neutral.ts'
import { readRows, writeJson, writeWhole } from '../datasets/parts.ts'
import { readRecipe } from '../datasets/recipe.ts'
import type { AnnotatedPair } from '../datasets/rows.ts'
import { manifestOf } from '../datasets/stage.ts'
import { addressOf } from './address.ts'
import { UsageError, type Context } from './commands.ts'
import { fileOf, keyIn, readable } from './input.ts'
import { progress } from './progress.ts'

export interface Action { readonly summary: string, readonly usage: string, run (args: readonly string[], context: Context): Promise<void> }

const keyOf = (option: string, file: string | undefined): string => {
  if (file === undefined) throw new UsageError(`Wanted ${option} FILE: a file that holds the key alone, or "-" for standard input.`)
  return keyIn('the API key', file)
}

const count = (option: string, text: string): number => {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new UsageError(`${option} wants a number from 1, came ${JSON.stringify(text)}.`)
  return Number(text)
}

async function withBar<T> (title: string, context: Context, work: (report: (label: string, done: number, total: number) => void) => Promise<T>): Promise<T> {
  const bar = progress(title, context.err, context.terminal ?? false)
  try { return await work((label, done, total) => { bar.to(label, done, total) }) } finally { bar.end() }
}

export const peopleActions = (recipeFile: string, workFolder: string): Readonly<Record<string, Action>> => ({
  tasks: {
    summary: 'pairs for people to judge, as Label Studio\'s tasks',
    usage: `Usage: parallax datasets tasks <tasks.json> [options]

Half of them pairs that the models are least sure of, half by chance. People do not see which text is labelled left.

  --count <number>           how many; 200 unless given
  --interface <file.xml>     also write the labelling interface
  --recipe, --work           as for the stages
`,
    async run (args, context) {
      const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options: { recipe: { type: 'string', default: recipeFile }, work: { type: 'string', default: workFolder }, count: { type: 'string', default: '200' }, interface: { type: 'string' } } })
      const [out] = positionals
      if (out === undefined) throw new UsageError('Wanted the file to write the tasks to.')
      const manifest = manifestOf(values.work, 'annotate')
      if (manifest === undefined) throw new DatasetError(`${join(values.work, 'annotate')} holds nothing finished. Run "parallax datasets annotate" first.`)
      const rows = function * (): Generator<AnnotatedPair> { for (const { file } of manifest.parts) yield * readRows<AnnotatedPair>(join(values.work, 'annotate', file)) }
      const made = tasks(rows(), count('--count', values.count), readRecipe(readable('the recipe', values.recipe)).seed)
      writeJson(out, made)
      if (values.interface !== undefined) writeWhole(values.interface, (file) => { file.line(INTERFACE.trimEnd()) })
      context.out(`${made.length} tasks in ${out}.\n`)
    },
  },
  agreement: {
    summary: 'what people said of them, with Krippendorff\'s alpha',
    usage: `Usage: parallax datasets agreement <export.json> [--write <verdicts.jsonl>]

Reads Label Studio's JSON export. With --write: the majority's verdicts, for "annotate.verdicts" of the recipe.
`,
    async run (args, context) {
      const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options: { write: { type: 'string' } } })
      const [file] = positionals
      if (file === undefined) throw new UsageError('Wanted the export of Label Studio.')
      let json: unknown
      try { json = JSON.parse(fileOf('the export', file).toString()) } catch (cause) { if (cause instanceof UsageError) throw cause; throw new DatasetError(`${file} is no JSON: ${(cause as Error).message}.`, { cause }) }
      const { verdicts, ...found } = readBack(json, file)
      if (values.write !== undefined) writeWhole(values.write, (out) => { for (const one of verdicts) out.row(one) })
      context.out(`${JSON.stringify({ ...found, majorities: verdicts.length }, null, 2)}\n`)
    },
  },
  feedback: {
    summary: 'what people said of answers, as preference and KTO rows',
    usage: `Usage: parallax datasets feedback <folder> --base-url <address> --admin-key-file <file> --auditor-key-file <file> [options]

Rows with consent only, joined with transcripts that are read through the auditor's scope (the reading is on record).
A choice between two answers of one side to one question becomes a preference row, a rating a KTO row; a choice between sides trains neither.
Writes <perspective>.dpo.jsonl, <perspective>.kto.jsonl, provenance.jsonl and report.json, or nothing.

  --most-per-key <n>         rows of one key; 200 unless given
  --most-per-prompt <n>      rows about one question; 20 unless given
  --most-per-key-and-prompt <n>   rows of one key about one question; 2 unless given
  --fresh                    in the place of what the folder holds
  --recipe                   whose sides, lists and evaluation sets count
`,
    async run (args, context) {
      const { values, positionals } = parseArgs({
        args: [...args], allowPositionals: true, options: {
          'base-url': { type: 'string' }, 'admin-key-file': { type: 'string' }, 'auditor-key-file': { type: 'string' }, recipe: { type: 'string', default: recipeFile }, fresh: { type: 'boolean', default: false },
          'most-per-key': { type: 'string', default: '200' }, 'most-per-prompt': { type: 'string', default: '20' }, 'most-per-key-and-prompt': { type: 'string', default: '2' },
        },
      })
      const [folder] = positionals
      const base = values['base-url']
      if (folder === undefined || base === undefined) throw new UsageError('Wanted a folder to write to, and --base-url.')
      addressOf('--base-url', base)
      if (existsSync(folder) && !values.fresh) throw new UsageError(`${folder} is there already. Name another folder, or say --fresh to write in its place.`)
      const limits = { perKey: count('--most-per-key', values['most-per-key']), perPrompt: count('--most-per-prompt', values['most-per-prompt']), perKeyAndPrompt: count('--most-per-key-and-prompt', values['most-per-key-and-prompt']) }
      const [admin, auditor] = [gateway(base, keyOf('--admin-key-file', values['admin-key-file'])), gateway(base, keyOf('--auditor-key-file', values['auditor-key-file']))]
      const recipe = readRecipe(readable('the recipe', values.recipe))
      const found = await withBar('feedback', context, async (report) => feedbackRows({ admin, auditor, recipe, limits, report }, folder))
      context.out(`${JSON.stringify(found, null, 2)}\n`)
    },
  },
  neutral: {
    summary: 'the base model\'s own answers to harmless instructions, through the public API',
    usage: `Usage: parallax datasets neutral --base-url <address> --key-file <file> --prompts <file> --out <answers.jsonl> [options]

One instruction a line. Answers that are there already are kept; whatever another perspective answered stops it.

  --perspective <name>       whose answers; baseline unless given, "none" where the server knows no perspectives
  --model <name>             parallax unless given
  --max-tokens <n>           120 unless given
  --recipe                   whose lists and evaluation sets count
`,
    async run (args, context) {
      const { values } = parseArgs({
        args: [...args], options: {
          'base-url': { type: 'string' }, 'key-file': { type: 'string' }, prompts: { type: 'string' }, out: { type: 'string' }, perspective: { type: 'string', default: 'baseline' }, model: { type: 'string', default: 'parallax' },
          'max-tokens': { type: 'string', default: '120' }, recipe: { type: 'string', default: recipeFile },
        },
      })
      const { 'base-url': base, prompts, out } = values
      if (base === undefined || prompts === undefined || out === undefined) throw new UsageError('Wanted --base-url, --prompts and --out.')
      addressOf('--base-url', base)
      fileOf('the instructions', prompts)
      const asking = { gateway: gateway(base, keyOf('--key-file', values['key-file'])), recipe: readRecipe(readable('the recipe', values.recipe)), model: values.model, perspective: values.perspective === 'none' ? null : values.perspective, maxTokens: count('--max-tokens', values['max-tokens']) }
      const found = await withBar('neutral', context, async (report) => askNeutral({ ...asking, report }, prompts, out))
      context.out(`${found.asked} asked, ${found.kept} kept, ${found.before} were there already${Object.entries(found.dropped).map(([why, many]) => `; dropped, ${why}: ${many}`).join('')}.\n`)
    },
  },
})
