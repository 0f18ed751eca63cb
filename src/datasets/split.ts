/**
 * Split: whole topic clusters to train, validation and test. Training pairs leave where they mention a held-out family or nearly repeat
 * a held-out statement, for a split by label alone leaks. A topic in two splits stops everything.
 */
import { DatasetError } from './dataset-error.ts'
import { number32 } from './dice.ts'
import { readFamilies } from './topics/families.ts'
import { StatementIndex } from './topics/statement-index.ts'
import { digestOf } from './recipe.ts'
import { SPLITS, type AnnotatedPair, type SplitName, type SplitPair } from './rows.ts'
import type { Job, Stage } from './stage.ts'

/** Held-out statements are held in memory: enough for a test set, and no more than that. */
const MOST_HELD_OUT = 200_000

/** Clusters to splits: those named, and the rest of the shares drawn by seed among the clusters of middling size. */
function plan (job: Job): Record<string, SplitName> {
  const { seed, split: rule } = job.recipe
  const size = new Map<string, number>()
  let total = 0
  for (const row of job.read<AnnotatedPair>('annotate', 'topics')) { size.set(row.cluster, (size.get(row.cluster) ?? 0) + 1); total++ }
  const splits: Record<string, SplitName> = Object.fromEntries([...size.keys()].toSorted().map((cluster) => [cluster, 'train']))
  for (const name of SPLITS) {
    if (name === 'train') continue
    for (const cluster of rule[name] ?? []) {
      if (!size.has(cluster)) throw new DatasetError(`The recipe holds out ${JSON.stringify(cluster)} for ${name}, and no pair is in such a cluster. Those there are: ${[...size.keys()].toSorted().join(', ')}.`)
      splits[cluster] = name
    }
  }
  const open = [...size.keys()].filter((cluster) => splits[cluster] === 'train' && !rule.always_train.includes(cluster) && size.get(cluster)! <= total * 0.05)
    .toSorted((a, b) => number32(seed, 'split', a) - number32(seed, 'split', b) || (a < b ? -1 : 1))
  for (const [name, share] of [['test', rule.test_share], ['validation', rule.validation_share]] as const) {
    if (rule[name] !== null) continue
    for (let held = 0; held < share * total && open.length > 0;) {
      const cluster = open.shift()!
      splits[cluster] = name
      held += size.get(cluster)!
    }
  }
  for (const name of SPLITS) if (!Object.values(splits).includes(name) && (name === 'train' || rule[`${name}_share`] > 0)) throw new DatasetError(`No topic is left for ${name}: ${size.size} clusters, ${total} pairs. Name some under "split" in the recipe, or ask for smaller shares.`)
  return splits
}

export const split: Stage = {
  name: 'split',
  summary: 'whole topic clusters to train, validation and test',
  after: ['annotate'],
  settings: (recipe) => ({ code: 1, seed: recipe.seed, ...recipe.split, list: recipe.pair.families && digestOf(recipe, recipe.pair.families) }),
  async run (job) {
    const splits = await job.once('plan', () => plan(job))
    const families = readFamilies(job.recipe)
    const patterns = families.all.filter(({ name }) => (splits[name] ?? 'train') !== 'train').map(({ pattern }) => pattern)
    const held = new StatementIndex(job.recipe.split.near_repeat)
    for (const row of job.read<AnnotatedPair>('annotate', 'held-out statements')) {
      if (splits[row.cluster] === 'train') continue
      held.add(row.left)
      held.add(row.right)
      if (held.size > MOST_HELD_OUT) throw new DatasetError(`More than ${MOST_HELD_OUT} statements would be held out. Smaller shares for validation and test are enough for any interval.`)
    }
    const topics = new Map<string, SplitName>()
    job.mapParts<AnnotatedPair>('annotate', (rows, out, count) => {
      for (const row of rows) {
        const to = splits[row.cluster]!
        if (to === 'train') {
          const text = `${row.topic}\n${row.left}\n${row.right}`.toLowerCase()
          if (patterns.some((pattern) => pattern.test(text))) { count('left out of train: mentions a held-out topic'); continue }
          if (held.holds(row.left) || held.holds(row.right)) { count('left out of train: nearly repeats a held-out statement'); continue }
        }
        const before = topics.get(row.topic) ?? to
        if (before !== to) throw new DatasetError(`The topic ${JSON.stringify(row.topic)} (row ${row.id}) would stand in ${before} and in ${to}: its label is in two clusters.`)
        topics.set(row.topic, to)
        out.row({ ...row, split: to } satisfies SplitPair)
        count(`${to}: pairs`)
        if (row.confidence <= 0.5) count(`${to}: read as exchanged`)
      }
    })
    for (const name of SPLITS) if (Object.values(splits).includes(name)) job.mustHave(`${name}: pairs`)
  },
}
