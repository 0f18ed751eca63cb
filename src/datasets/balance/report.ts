/** What was counted, as the report that people read: how alike the two sides are in everything but what they say. Pure. */
import type { Counts } from '../stage.ts'
import type { Families } from '../topics/families.ts'
import { ENDS, type End } from '../rows.ts'
import { FEATURES, type Feature } from './features.ts'

interface Side { readonly mean: number, readonly deviation: number }
export interface BalanceReport {
  readonly rows: number
  readonly most_difference: number
  readonly features: readonly { readonly feature: Feature, readonly left: Side, readonly right: Side, readonly difference: number }[]
  readonly outside: readonly Feature[]
  readonly forms: Readonly<Record<string, number>>
  /** Always covered, one by one. */
  readonly fixtures: readonly { readonly fixture: string, readonly rows: number, readonly words: Readonly<Record<End, number>> }[]
  readonly dimensions: Readonly<Record<string, number>>
  readonly clusters: readonly { readonly cluster: string, readonly fixture: string | null, readonly rows: number, readonly words: Readonly<Record<End, number>> }[]
  readonly lengths: readonly { readonly from: number, readonly left: number, readonly right: number }[]
  /** The commonest beginning of an answer, as a share: no template may stand above the others. */
  readonly commonest_beginning: { readonly words: string, readonly share: number }
}

const rounded = (value: number): number => Math.round(value * 10_000) / 10_000
export const BIN = 10

export function balanceReport (counts: Counts, most: number, families: Families): BalanceReport {
  const of = (name: string): number => counts[name] ?? 0
  const rows = of('rows')
  const features = FEATURES.map((feature) => {
    const side = (end: End): { mean: number, variance: number } => {
      const mean = of(`sum: ${feature}, ${end}`) / Math.max(1, rows)
      return { mean, variance: Math.max(0, of(`squares: ${feature}, ${end}`) / Math.max(1, rows) - mean * mean) }
    }
    const [left, right] = [side('left'), side('right')]
    const pooled = Math.sqrt((left.variance + right.variance) / 2)
    const shown = ({ mean, variance }: typeof left): Side => ({ mean: rounded(mean), deviation: rounded(Math.sqrt(variance)) })
    return { feature, left: shown(left), right: shown(right), difference: pooled === 0 ? 0 : rounded((left.mean - right.mean) / pooled) }
  })
  const under = (prefix: string): [string, number][] => Object.entries(counts).filter(([name]) => name.startsWith(prefix)).map(([name, count]) => [name.slice(prefix.length), count])
  const fixtureOf = (cluster: string): string | null => Object.entries(families.fixtures).find(([, names]) => names.includes(cluster))?.[0] ?? null
  const clusters = under('cluster: ').map(([cluster, count]) => ({ cluster, fixture: fixtureOf(cluster), rows: count, words: { left: rounded(of(`cluster words, left: ${cluster}`) / count), right: rounded(of(`cluster words, right: ${cluster}`) / count) } }))
  const fixtures = Object.keys(families.fixtures).map((fixture) => {
    const here = clusters.filter((one) => one.fixture === fixture)
    const sum = here.reduce((all, one) => all + one.rows, 0)
    const mean = (end: End): number => rounded(here.reduce((all, one) => all + one.words[end] * one.rows, 0) / Math.max(1, sum))
    return { fixture, rows: sum, words: { left: mean('left'), right: mean('right') } }
  })
  const dimensions: Record<string, number> = {}
  for (const { cluster, rows: count } of clusters) {
    const name = families.named(cluster)?.dimension ?? 'of no listed family'
    dimensions[name] = (dimensions[name] ?? 0) + count
  }
  const bins = [...new Set(ENDS.flatMap((end) => under(`length, ${end}: `).map(([from]) => Number(from))))].toSorted((a, b) => a - b)
  const beginning = under('beginning: ').toSorted(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))[0]
  return {
    rows, most_difference: most, features, outside: features.filter(({ difference }) => Math.abs(difference) >= most).map(({ feature }) => feature),
    forms: Object.fromEntries(under('form: ')), fixtures, dimensions, clusters,
    lengths: bins.map((from) => ({ from, left: of(`length, left: ${from}`), right: of(`length, right: ${from}`) })),
    commonest_beginning: { words: beginning?.[0] ?? '', share: rounded((beginning?.[1] ?? 0) / Math.max(1, 2 * rows)) },
  }
}
