/** `parallax datasets …`: from sources to training data, stage by stage. Needs no gateway; writes only below its own folder. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { DatasetError } from '../datasets/dataset-error.ts'
import { checkOpenAi } from '../datasets/formats/openai-check.ts'
import { readRecipe } from '../datasets/recipe.ts'
import { runStage, type Stage } from '../datasets/stage.ts'
import { STAGES } from '../datasets/stages.ts'
import { shortManifests, verifyWork, writeReport } from '../datasets/work.ts'
import { peopleActions, type Action } from './datasets-people.ts'
import { listing, UsageError, wantsHelp, type Command, type Context } from './commands.ts'
import { readable } from './input.ts'
import { progress } from './progress.ts'

const FOLDER = fileURLToPath(new URL('../../datasets', import.meta.url))

const OPTIONS = {
  recipe: { type: 'string', default: join(FOLDER, 'recipe.json') },
  work: { type: 'string', default: join(FOLDER, 'work') },
  fresh: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
} as const

const OPTION_TEXT = `  --recipe <recipe.json>     every number and list; the shipped one unless given
  --work <folder>            where stages write; datasets/work unless given
  --fresh                    also what is done already
  --json                     answer with the manifests, in JSON
`

async function run (stages: readonly Stage[], args: readonly string[], context: Context): Promise<void> {
  const { values } = parseArgs({ args: [...args], options: OPTIONS })
  const recipe = readRecipe(readable('the recipe', values.recipe))
  const manifests = []
  for (const [number, stage] of stages.entries()) {
    const title = stages.length > 1 ? `${stage.name} (${number + 1} of ${stages.length})` : stage.name
    const bar = progress(title, context.err, context.terminal ?? false)
    const began = performance.now()
    try {
      const { manifest, already } = await runStage(stage, recipe, values.work, (label, done, total) => { bar.to(label, done, total) }, values.fresh)
      bar.end()
      manifests.push(manifest)
      if (!values.json) context.out(`${stage.name}: ${already ? 'done already' : `${((performance.now() - began) / 1000).toFixed(1)} s`}\n${Object.entries(manifest.counts).map(([name, count]) => `  ${String(count).padStart(9)}  ${name}\n`).join('')}${manifest.notes.map((note) => `  note: ${note}\n`).join('')}`)
    } finally { bar.end() }
  }
  if (values.json) context.out(`${JSON.stringify(manifests, null, 2)}\n`)
}

const stageAction = (stage: Stage): Action => ({
  summary: stage.summary,
  usage: `Usage: parallax datasets ${stage.name} [options]

${stage.summary.charAt(0).toUpperCase()}${stage.summary.slice(1)}.${stage.after.length > 0 ? ` Reads what ${stage.after.join(' and ')} made.` : ''} Goes on where it was cut off.

${OPTION_TEXT}`,
  run: async (args, context) => run([stage], args, context),
})

const ACTIONS: Readonly<Record<string, Action>> = {
  build: {
    summary: 'all stages in order; what is done already is kept',
    usage: `Usage: parallax datasets build [options]

${STAGES.map(({ name, summary }) => `  ${name.padEnd(14)} ${summary}`).join('\n')}

${OPTION_TEXT}`,
    run: async (args, context) => run(STAGES, args, context),
  },
  ...Object.fromEntries(STAGES.map((stage) => [stage.name, stageAction(stage)])),
  ...peopleActions(OPTIONS.recipe.default, OPTIONS.work.default),
  verify: {
    summary: 'hold every file that stages wrote against its digest',
    usage: `Usage: parallax datasets verify [--work <folder>]

Every file of every finished stage against the SHA-256 in its manifest. Exit code 1 where one differs.
`,
    async run (args, context) {
      const { values } = parseArgs({ args: [...args], options: { work: OPTIONS.work } })
      const { files, mistakes } = verifyWork(values.work, STAGES.map(({ name }) => name))
      if (mistakes.length > 0) throw new DatasetError(`${mistakes.length} of ${files} files differ:\n  ${mistakes.join('\n  ')}`)
      context.out(`${files} files are as their stages wrote them.\n`)
    },
  },
  validate: {
    summary: 'check a fine-tuning file as OpenAI\'s API would',
    usage: `Usage: parallax datasets validate <file.jsonl> [--kind sft|dpo]

The first twenty mistakes with their rows, and how many more there are. Exit code 1 where there is one.
`,
    async run (args, context) {
      const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options: { kind: { type: 'string', default: 'sft' } } })
      const [file] = positionals
      if (file === undefined || (values.kind !== 'sft' && values.kind !== 'dpo')) throw new UsageError('Wanted a file, and --kind sft or dpo.')
      const { rows, mistakes } = checkOpenAi(readable('the file', file), values.kind)
      if (mistakes.length > 0) throw new DatasetError(`OpenAI's API would refuse it:\n  ${mistakes.join('\n  ')}`)
      context.out(`${rows} rows, and nothing that the API would refuse.\n`)
    },
  },
  report: {
    summary: 'the manifests, the balance report and the card, for the repository',
    usage: `Usage: parallax datasets report [--work <folder>] [--write <folder>]

What was made, from what, and how alike the sides are; with --write into a folder (datasets/report for the repository), else the manifests in JSON.
`,
    async run (args, context) {
      const { values } = parseArgs({ args: [...args], options: { work: OPTIONS.work, write: { type: 'string' } } })
      const manifests = shortManifests(values.work, STAGES.map(({ name }) => name))
      if (values.write === undefined) return context.out(`${JSON.stringify(manifests, null, 2)}\n`)
      const written = writeReport(values.work, values.write, manifests)
      context.out(`${written.join('\n')}\n`)
    },
  },
}

export const datasets: Command = {
  usage: `Usage: parallax datasets <action> [options]

Actions:
${listing(ACTIONS)}

parallax datasets <action> --help says more.
`,
  async run ([name, ...rest], context) {
    const action = name !== undefined && Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined
    if (action === undefined) throw new UsageError(`${name === undefined ? 'An action is missing' : `Unknown action ${JSON.stringify(name)}`}. Wanted one of: ${Object.keys(ACTIONS).join(', ')}.`)
    if (wantsHelp(rest)) return context.out(action.usage)
    await action.run(rest, context)
  },
}
