/**
 * Augment: from statement pairs to one prompt with two answers of several sentences, in several forms, with counterfactual rows that
 * name their parent, and neutral instructions strewn in. One cluster at a time, one window of a cluster at a time.
 */
import { appendFileSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { readForms } from './compose/forms.ts'
import { neutralRows } from './compose/neutral.ts'
import { lowerWords } from './compose/sentence.ts'
import { WindowComposer, type Composer } from './compose/window.ts'
import { digestOf } from './recipe.ts'
import type { Example, SplitPair } from './rows.ts'
import type { Job, Stage } from './stage.ts'
import { ENDS } from './rows.ts'

/** Pairs that are composed among one another. */
const WINDOW = 400
/** Words that are known to be written small; a vocabulary, not a corpus. */
const MOST_WORDS = 60_000

interface Gathered { readonly clusters: readonly { readonly name: string, readonly file: string, readonly rows: number }[], readonly lower: readonly string[] }

/** One file a cluster, so that each can be read by itself. */
function gathered (job: Job): Gathered {
  const folder = job.scratch('clusters')
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const numbers = new Map<string, { number: number, rows: number }>()
  const lower = new Set<string>()
  let pending = new Map<string, string[]>()
  const flush = (): void => {
    for (const [cluster, rows] of pending) {
      const known = numbers.get(cluster) ?? { number: numbers.size, rows: 0 }
      numbers.set(cluster, { ...known, rows: known.rows + rows.length })
      appendFileSync(join(folder, `${known.number}.jsonl`), rows.join(''))
    }
    pending = new Map()
  }
  let held = 0
  for (const row of job.read<SplitPair>('split', 'gathering topics')) {
    const rows = pending.get(row.cluster)
    if (rows === undefined) pending.set(row.cluster, [`${JSON.stringify(row)}\n`])
    else rows.push(`${JSON.stringify(row)}\n`)
    if (lower.size < MOST_WORDS) for (const end of ENDS) for (const word of lowerWords(row[end])) lower.add(word)
    if (++held % job.recipe.part_rows === 0) flush()
  }
  flush()
  const clusters = [...numbers].map(([name, { number, rows }]) => ({ name, file: join('clusters', `${number}.jsonl`), rows })).toSorted((a, b) => a.name < b.name ? -1 : 1)
  return { clusters, lower: [...lower] }
}

function * windows (rows: Iterable<SplitPair>): Generator<SplitPair[]> {
  let window: SplitPair[] = []
  for (const row of rows) {
    window.push(row)
    if (window.length === WINDOW) { yield window; window = [] }
  }
  if (window.length > 0) yield window
}

const slug = (name: string): string => name.replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '')

export const augment: Stage = {
  name: 'augment',
  summary: 'instructions with answers of several sentences; counterfactual rows; neutral instructions',
  after: ['split'],
  settings: (recipe) => ({ code: 2, seed: recipe.seed, ...recipe.compose, forms: digestOf(recipe, recipe.compose.forms), answers: recipe.compose.neutral && digestOf(recipe, recipe.compose.neutral.answers) }),
  async run (job) {
    const { recipe } = job
    const { clusters, lower } = await job.once('gathered', () => gathered(job))
    const given: Composer = { recipe, forms: readForms(recipe), lower: new Set(lower) }
    const files = clusters.map(({ file, rows }) => ({ file: job.scratch(file), rows }))
    job.mapParts<SplitPair>(files, (rows, out, count, part) => {
      const cluster = clusters[part]!.name
      let number = 0
      for (const [index, window] of [...windows(rows)].entries()) {
        const composer = new WindowComposer(given, window, `${cluster} ${index}`)
        for (const [topic, pieces] of composer.byTopic()) {
          const times = Math.max(1, Math.round(recipe.compose.per_form * Math.sqrt(pieces.length)))
          const split = pieces[0]!.split
          const made = composer.topic(topic, pieces, times, () => `${slug(cluster)}.${number++}`, (form) => { count(`${split}: topics without ${form}`) })
          for (const row of made) {
            out.row(row satisfies Example)
            count(`${split}: ${row.kind}`)
            count(`${split}: rows`)
          }
          count(`${split}: topics`)
          if (made.length === 0) count(`${split}: topics without any row`)
        }
      }
    })
    neutralRows(job, clusters.length)
    job.mustHave('train: rows')
  },
}
