/**
 * Export: what trainers read. Statement pairs and instructions as they are, and for every side and format the supervised and the
 * preference rows, mirror images of one another. The last gate: no topic in two splits, no evaluation item in what trains.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { card } from './card/card.ts'
import { croissant, croissantMistakes } from './card/croissant.ts'
import { gatherFacts } from './card/facts.ts'
import { readForms, fill, topicPhrase } from './compose/forms.ts'
import { readContamination } from './contamination.ts'
import { DatasetError } from './dataset-error.ts'
import { contaminated } from './decontaminate.ts'
import { number32 } from './dice.ts'
import type { RowFile } from './formats/format.ts'
import { FORMATS } from './formats/formats.ts'
import { checkOpenAi } from './formats/openai-check.ts'
import { readRows } from './parts.ts'
import { digestOf } from './recipe.ts'
import { ENDS, SPLITS, type Example, type SplitName, type SplitPair } from './rows.ts'
import { shuffled } from './shuffle.ts'
import type { Job, Stage } from './stage.ts'

/** Which split a topic and a cluster stand in, over everything that is exported. */
class Splits {
  readonly #split = new Map<string, SplitName>()
  check (row: { readonly id: string, readonly topic: string, readonly cluster: string, readonly split: SplitName }): void {
    for (const [what, name] of [['topic', row.topic], ['cluster', row.cluster]] as const) {
      const before = this.#split.get(`${what} ${name}`)
      if (before !== undefined && before !== row.split) throw new DatasetError(`The ${what} ${JSON.stringify(name)} stands in ${before} and in ${row.split} (row ${row.id}). Nothing is exported: run "parallax datasets build --fresh", and if that does not help, correct "split" in the recipe.`)
      this.#split.set(`${what} ${name}`, row.split)
    }
  }
}

async function statements (job: Job, splits: Splits): Promise<void> {
  const { recipe } = job
  const sets = await readContamination(recipe)
  const forms = readForms(recipe)
  const { templates } = forms.forms.opinion
  for (const split of SPLITS) {
    job.file(`statements/${split}.jsonl`, (out, count) => {
      for (const row of job.read<SplitPair>('split', `statements, ${split}`)) {
        if (row.split !== split) continue
        splits.check(row)
        if (split !== 'test' && ENDS.some((end) => sets.find(row[end]) !== undefined)) { count(`statements left out: evaluation items`); continue }
        if (split === 'train' && row.confidence <= recipe.compose.least_confidence) { count('statements left out: read as exchanged'); continue }
        const prompt = fill(templates[number32(recipe.seed, 'asked', row.id) % templates.length]!, { topic: topicPhrase(row.topic, forms) })
        out.row({ id: row.id, topic: row.topic, cluster: row.cluster, confidence: row.confidence, prompt, left: row.left, right: row.right })
        count(`statements: ${split}`)
      }
    })
  }
}

async function instructions (job: Job, splits: Splits): Promise<void> {
  const sets = await readContamination(job.recipe)
  const total = job.rowsOf('decontaminate')
  for (const split of SPLITS) {
    const rows = function * (): Generator<Example> {
      for (const row of job.read<Example>('decontaminate', `instructions, ${split}`)) {
        if (row.split !== split) continue
        if (row.kind !== 'neutral') splits.check(row)
        const hit = split === 'train' ? contaminated(row, sets) : undefined
        if (hit !== undefined) throw new DatasetError(`Row ${row.id} would train, and repeats an item of ${hit.set} (${hit.by}): ${JSON.stringify(hit.text.slice(0, 100))}. Run "parallax datasets decontaminate" again.`)
        yield row
      }
    }
    job.file(`instructions/${split}.jsonl`, (out, count) => {
      for (const line of shuffled(rows(), total, job.recipe.seed, job.scratch(`order-${split}`))) {
        out.line(line)
        count(`instructions: ${split}`)
      }
    })
  }
}

/** A statement pair as the shortest example. */
const asExample = (row: SplitPair & { readonly prompt: string }): Example => ({ id: row.id, kind: 'statement', split: row.split, cluster: row.cluster, topic: row.topic, parent: null, from: [row.id], prompt: [{ role: 'user', content: row.prompt }], left: row.left, right: row.right })

function formats (job: Job): void {
  const { recipe, folder } = job
  for (const name of recipe.export.formats) {
    const format = FORMATS[name]
    const files: RowFile[] = []
    for (const end of ENDS) {
      for (const split of SPLITS) {
        if (split === 'test') continue
        for (const kind of ['sft', 'dpo', 'statements.dpo'] as const) {
          const path = `${recipe.sides[end]}.${kind}.${split}.jsonl`
          job.report(`${name}: ${path}`, 0, 0)
          const pairs = kind === 'statements.dpo'
          job.file(`${name}/${path}`, (out, count) => {
            for (const row of readRows<Example & { prompt: never }>(join(folder, pairs ? 'statements' : 'instructions', `${split}.jsonl`))) {
              const example = pairs ? asExample(row as never) : row
              if (kind !== 'sft' && example.left === example.right) continue
              out.row(kind === 'sft' ? format.sft(example, end) : format.dpo(example, end))
              count(`${name}: ${path}`)
            }
          })
          if (name === 'openai') checked(join(folder, name, path), kind === 'sft' ? 'sft' : 'dpo', split === 'train' ? undefined : 1)
          if (!pairs) files.push({ path, side: recipe.sides[end], kind, split })
        }
      }
    }
    for (const [file, text] of Object.entries(format.beside?.(files) ?? {})) job.text(`${name}/${file}`, text)
  }
}

function checked (file: string, kind: 'sft' | 'dpo', least: number | undefined): void {
  const { mistakes } = checkOpenAi(file, kind, least)
  if (mistakes.length === 0) return
  rmSync(file, { force: true })
  throw new DatasetError(`OpenAI's API would refuse this file:\n  ${mistakes.join('\n  ')}`)
}

export const exportStage: Stage = {
  name: 'export',
  summary: 'what trainers read, for both sides, in every format',
  after: ['collect', 'clean', 'pair', 'annotate', 'split', 'augment', 'decontaminate', 'balance'],
  settings: (recipe) => ({ code: 2, seed: recipe.seed, name: recipe.name, version: recipe.version, title: recipe.title, sides: recipe.sides, ...recipe.export, forms: digestOf(recipe, recipe.compose.forms) }),
  async run (job) {
    const splits = new Splits()
    await statements(job, splits)
    await instructions(job, splits)
    formats(job)
    const facts = gatherFacts(job)
    const metadata = croissant(facts)
    const wrong = croissantMistakes(metadata)
    if (wrong.length > 0) throw new DatasetError(`The Croissant file would be wrong: ${wrong.join('; ')}.`)
    job.text('README.md', card(facts))
    job.text('croissant.json', `${JSON.stringify(metadata, null, 2)}\n`)
  },
}
