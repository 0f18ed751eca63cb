/**
 * Pair: every row gets its cluster, and texts that came alone find a counterpart of the other end on the same topic. What finds none is
 * left out, so both ends have as many. Knows nothing of splits.
 */
import { NumberSort } from './clean/number-sort.ts'
import { DatasetError } from './dataset-error.ts'
import { number32 } from './dice.ts'
import { clusterLabels, type Label, type Shared } from './topics/clusters.ts'
import { gather } from './gather.ts'
import { readRows } from './parts.ts'
import { counterparts, inTurn } from './topics/counterparts.ts'
import { labelKey, readFamilies } from './topics/families.ts'
import { digestOf } from './recipe.ts'
import { ENDS, type Collected, type Pair } from './rows.ts'
import type { Job, Stage } from './stage.ts'

/** Labels are held in memory; more than this are no topics. */
const MOST_LABELS = 50_000

/** Statements under several labels, counted label by label without holding a statement. */
function sharedStatements (job: Job, names: readonly string[], labelOf: (row: Collected) => string): Shared[] {
  const ids = new Map(names.map((name, id) => [name, id]))
  const sort = new NumberSort(job.scratch('statements'))
  for (const row of job.read<Collected>('clean', 'shared statements')) {
    for (const end of ENDS) if (row[end] !== undefined) sort.add(number32(row[end].toLowerCase().replace(/\W+$/, '')), ids.get(labelOf(row))!)
  }
  const counts = new Map<string, number>()
  let statement = -1
  let under = new Set<number>()
  const flush = (): void => {
    // a sentence under many labels is a commonplace and joins nothing
    if (under.size > 1 && under.size <= 8) for (const one of under) for (const two of under) if (one < two) counts.set(`${one} ${two}`, (counts.get(`${one} ${two}`) ?? 0) + 1)
  }
  for (const { hi, lo } of sort.sorted()) {
    if (hi !== statement) { flush(); statement = hi; under = new Set() }
    if (under.size <= 8) under.add(lo)
  }
  flush()
  return [...counts].map(([key, statements]) => {
    const [one, two] = key.split(' ').map(Number) as [number, number]
    return { one: names[one]!, two: names[two]!, statements }
  })
}

export const pair: Stage = {
  name: 'pair',
  summary: 'topic clusters; a counterpart for every text that came alone',
  after: ['clean'],
  settings: (recipe) => ({ code: 1, ...recipe.pair, list: recipe.pair.families && digestOf(recipe, recipe.pair.families) }),
  async run (job) {
    const families = readFamilies(job.recipe)
    // a text without a label is under the family that its words speak of most plainly: the first that matches
    const labelOf = (row: Collected): string => labelKey(row.topic) || (families.find((row.left ?? row.right ?? '').toLowerCase())?.name ?? '')
    const clusters = await job.once('clusters', () => {
      const rows = new Map<string, number>()
      for (const row of job.read<Collected>('clean', 'topics')) {
        const label = labelOf(row)
        rows.set(label, (rows.get(label) ?? 0) + 1)
        if (rows.size > MOST_LABELS) throw new DatasetError(`More than ${MOST_LABELS} topics; the last was ${JSON.stringify(label)} of row ${row.id}. The declaration names a column that holds no topics, or the texts need a "topic" left out so that families are found in them.`)
      }
      rows.delete('')
      const labels: Label[] = [...rows].map(([name, count]) => ({ name, rows: count })).toSorted((a, b) => a.name < b.name ? -1 : 1)
      return clusterLabels(labels, sharedStatements(job, labels.map(({ name }) => name), labelOf), families, job.recipe.pair)
    })
    const alone = (row: Collected): boolean => row.left === undefined || row.right === undefined
    job.mapParts<Collected>('clean', (rows, out, count) => {
      for (const row of rows) {
        const topic = labelOf(row)
        const cluster = clusters[topic]
        if (cluster === undefined) count('left out: no topic')
        else if (!alone(row)) {
          out.row({ id: row.id, source: row.source, topic, cluster, left: row.left!, right: row.right! } satisfies Pair)
          count('pairs')
        }
      }
    })
    const groups = await job.once('alone', () => gather(
      (function * () { for (const row of job.read<Collected>('clean', 'texts alone')) if (alone(row)) yield { ...row, topic: labelOf(row) } })(),
      (row) => clusters[row.topic] && `${clusters[row.topic]}\t${row.left === undefined ? 'right' : 'left'}`, job.scratch('alone')))
    const found = Object.entries(Object.groupBy(groups, ({ name }) => name.split('\t')[0]!)).toSorted(([a], [b]) => a < b ? -1 : 1)
    for (const [number, [cluster, files]] of found.entries()) {
      job.report('texts alone, by topic', number, found.length)
      job.part(job.partsOf('clean').length + number, (out, count) => {
        for (const one of counterparts(inTurn(files!.map(({ file }) => readRows<Collected>(file))))) {
          if ('alone' in one) count(`left out: ${one.alone} text without a counterpart`)
          else {
            out.row({ id: `${one.left.id}+${one.right.id}`, source: [...new Set([one.left.source, one.right.source])].join('+'), topic: one.left.topic, cluster, left: one.left.left!, right: one.right.right! } satisfies Pair)
            count('pairs')
            count('pairs of texts that came alone')
          }
        }
      })
    }
    job.mustHave('pairs')
  },
}
