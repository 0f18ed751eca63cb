/**
 * Augment: from statement pairs to one prompt with two answers of several sentences, in several forms, with counterfactual rows that
 * name their parent, and neutral instructions strewn in. One cluster at a time, one window of a cluster at a time.
 */
import { readForms } from './compose/forms.ts'
import { neutralRows } from './compose/neutral.ts'
import { lowerWords } from './compose/sentence.ts'
import { WindowComposer, type Composer } from './compose/window.ts'
import { batches, gather, type Group } from './gather.ts'
import { digestOf } from './recipe.ts'
import { ENDS, type Example, type SplitPair } from './rows.ts'
import type { Job, Stage } from './stage.ts'

/** Pairs that are composed among one another. */
const WINDOW = 400
/** Words that are known to be written small; a vocabulary, not a corpus. */
const MOST_WORDS = 60_000

interface Gathered { readonly clusters: readonly Group[], readonly lower: readonly string[] }

function gathered (job: Job): Gathered {
  const lower = new Set<string>()
  const clusters = gather(job.read<SplitPair>('split', 'gathering topics'), (row) => {
    if (lower.size < MOST_WORDS) for (const end of ENDS) for (const word of lowerWords(row[end])) lower.add(word)
    return row.cluster
  }, job.scratch('clusters'))
  return { clusters, lower: [...lower] }
}

const slug = (name: string): string => name.replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '')

export const augment: Stage = {
  name: 'augment',
  summary: 'instructions with answers of several sentences; counterfactual rows; neutral instructions',
  after: ['split'],
  settings: (recipe) => ({ code: 4, seed: recipe.seed, ...recipe.compose, forms: digestOf(recipe, recipe.compose.forms), answers: recipe.compose.neutral && digestOf(recipe, recipe.compose.neutral.answers) }),
  async run (job) {
    const { recipe } = job
    const { clusters, lower } = await job.once('gathered', () => gathered(job))
    const given: Composer = { recipe, forms: readForms(recipe), lower: new Set(lower) }
    job.mapParts<SplitPair>(clusters, (rows, out, count, part) => {
      const cluster = clusters[part]!.name
      let number = 0
      let index = 0
      for (const window of batches(rows, WINDOW)) {
        const composer = new WindowComposer(given, window, `${cluster} ${index++}`)
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
