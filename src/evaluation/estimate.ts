/** A number with its uncertainty, and how each kind is made. Pure; the only way in which a number enters a report. */
import { z } from 'zod'
import { random } from './random.ts'
import { wilson } from './statistics.ts'

export const estimate = z.strictObject({
  /** Null: not measured, and `reason` says why. */
  value: z.number().nullable(),
  /** 95 % interval; null as well where there is one value only. */
  low: z.number().nullable(),
  high: z.number().nullable(),
  /** Items that it is about. */
  n: z.int().min(0),
  /** Where it is a share: how many of them. */
  hits: z.int().min(0).optional(),
  method: z.enum(['wilson', 'bootstrap', 'newcombe', 'none']),
  reason: z.string().optional(),
})
export type Estimate = z.infer<typeof estimate>

/** Draws of every bootstrap. */
export const DRAWS = 10_000
const rounded = (value: number): number => Math.round(value * 1e4) / 1e4

export const none = (reason: string): Estimate => ({ value: null, low: null, high: null, n: 0, method: 'none', reason })

/** Of independent items. */
export function share (hits: number, of: number): Estimate {
  if (of === 0) return none('nothing was counted')
  const { share: value, low, high } = wilson(hits, of)
  return { value, low, high, n: of, hits, method: 'wilson' }
}

export const shareOf = <T>(items: readonly T[], hit: (item: T) => boolean): Estimate => share(items.filter(hit).length, items.length)

/** The seeded resampling of clusters, each given as its values. Null where there is nothing to resample. */
function resampled (clusters: readonly (readonly number[])[], seed: number): { readonly mean: number, readonly draws: Float64Array, readonly n: number } | null {
  const filled = clusters.filter((one) => one.length > 0)
  if (filled.length === 0) return null
  const sums = filled.map((one) => one.reduce((all, value) => all + value, 0))
  const n = filled.reduce((all, one) => all + one.length, 0)
  const next = random(seed)
  const draws = new Float64Array(DRAWS)
  for (let draw = 0; draw < DRAWS; draw++) {
    let [sum, count] = [0, 0]
    for (let at = 0; at < filled.length; at++) {
      const chosen = Math.floor(next() * filled.length)
      sum += sums[chosen]!
      count += filled[chosen]!.length
    }
    draws[draw] = sum / count
  }
  return { mean: sums.reduce((all, sum) => all + sum, 0) / n, draws: draws.toSorted(), n }
}

const LOW = Math.floor(DRAWS * 0.025)
const HIGH = Math.ceil(DRAWS * 0.975) - 1

/** Mean of values that come in clusters (answers to one question, statements on one topic): whole clusters are drawn, for what is in one is alike. */
export function mean (clusters: readonly (readonly number[])[], seed: number): Estimate {
  const found = resampled(clusters, seed)
  if (!found) return none('nothing was measured')
  // of one cluster nothing can be drawn but itself
  if (clusters.filter((one) => one.length > 0).length === 1) return { value: rounded(found.mean), low: null, high: null, n: found.n, method: 'none' }
  return { value: rounded(found.mean), low: rounded(found.draws[LOW]!), high: rounded(found.draws[HIGH]!), n: found.n, method: 'bootstrap' }
}

/** Share of clustered items. Where all of them agree a bootstrap knows no doubt: then Wilson's interval over the clusters is given. */
export function clusteredShare (clusters: readonly (readonly boolean[])[], seed: number): Estimate {
  const filled = clusters.filter((one) => one.length > 0)
  const all = filled.flat()
  if (all.length === 0) return none('nothing was counted')
  const hits = all.filter(Boolean).length
  if (hits === 0 || hits === all.length) return { ...share(hits === 0 ? 0 : filled.length, filled.length), value: hits / all.length, n: all.length, hits }
  return { ...mean(filled.map((one) => one.map(Number)), seed), hits }
}

/** Two-sided: how often whole clusters drawn anew would put the mean at or beyond zero. */
export function pOfMean (clusters: readonly (readonly number[])[], seed: number): number | null {
  const found = resampled(clusters, seed)
  if (!found) return null
  const below = found.draws.reduce((count, value) => count + Number(value <= 0), 0)
  const above = found.draws.reduce((count, value) => count + Number(value >= 0), 0)
  return Math.min(1, rounded(2 * (Math.min(below, above) + 1) / (DRAWS + 1)))
}

/** First share less second: Newcombe's interval (method 10), good where one of them is 0 or 1. */
export function riskDifference (first: Estimate, second: Estimate): Estimate {
  if (first.value === null || second.value === null || first.low === null || second.low === null) return none(first.reason ?? second.reason ?? 'nothing was counted')
  const difference = first.value - second.value
  const down = Math.hypot(first.value - first.low, second.high! - second.value)
  const up = Math.hypot(first.high! - first.value, second.value - second.low)
  return { value: rounded(difference), low: rounded(Math.max(-1, difference - down)), high: rounded(Math.min(1, difference + up)), n: Math.min(first.n, second.n), method: 'newcombe' }
}

/** Holm's step-down correction, in the order given. */
export function holm (ps: readonly number[]): number[] {
  const order = ps.map((p, place) => ({ p, place })).toSorted((a, b) => a.p - b.p)
  const corrected: number[] = []
  let least = 0
  for (const [rank, { p, place }] of order.entries()) {
    least = Math.max(least, Math.min(1, p * (ps.length - rank)))
    corrected[place] = rounded(least)
  }
  return corrected
}

/** Cohen's kappa of two labellings of the same items; items are drawn anew for its interval. */
export function kappa (first: readonly string[], second: readonly string[], seed: number): Estimate {
  const n = first.length
  if (n === 0) return none('no item was labelled by both')
  const labels = [...new Set([...first, ...second])]
  const codes = first.map((label, at) => [labels.indexOf(label), labels.indexOf(second[at]!)] as const)
  const of = (pick: (at: number) => number): number => {
    const counts = [labels.map(() => 0), labels.map(() => 0)] as const
    let alike = 0
    for (let at = 0; at < n; at++) {
      const [a, b] = codes[pick(at)]!
      counts[0][a]!++
      counts[1][b]!++
      if (a === b) alike++
    }
    const chance = labels.reduce((sum, _, code) => sum + counts[0][code]! * counts[1][code]!, 0) / (n * n)
    // two that only ever say one and the same word agree by chance alone
    return chance === 1 ? 0 : (alike / n - chance) / (1 - chance)
  }
  const next = random(seed)
  const draws = Float64Array.from({ length: DRAWS / 10 }, () => of(() => Math.floor(next() * n))).toSorted()
  return { value: rounded(of((at) => at)), low: rounded(draws[Math.floor(draws.length * 0.025)]!), high: rounded(draws[Math.ceil(draws.length * 0.975) - 1]!), n, method: 'bootstrap' }
}

/** The true share behind one that a judge of this accuracy saw (Rogan and Gladen), if it errs alike on both sides. */
export function corrected (seen: Estimate, accuracy: number): Estimate {
  if (seen.value === null) return seen
  if (accuracy <= 0.5) return none('the judge is no better than a coin')
  const undo = (value: number | null): number | null => value === null ? null : rounded(Math.min(1, Math.max(0, (value + accuracy - 1) / (2 * accuracy - 1))))
  return { value: undo(seen.value), low: undo(seen.low), high: undo(seen.high), n: seen.n, method: seen.method }
}
