/** Counts -> the numbers that reports print: intervals and exact tests. Pure; knows nothing of what was counted. */

/** A share with its interval. `null` where nothing was counted: 0 of 0 is no rate. */
export interface Share {
  readonly hits: number
  readonly of: number
  readonly share: number | null
  readonly low: number | null
  readonly high: number | null
}

const Z95 = 1.959963984540054
/** Four decimals are more than the counts carry, and the same on every machine. */
const rounded = (value: number): number => Math.round(value * 10_000) / 10_000

/** Wilson's score interval, 95 %: honest near 0 and 1, where the usual one is not. */
export function wilson (hits: number, of: number): Share {
  if (of === 0) return { hits, of, share: null, low: null, high: null }
  const share = hits / of
  const z2 = Z95 * Z95
  const middle = (share + z2 / (2 * of)) / (1 + z2 / of)
  const half = Z95 / (1 + z2 / of) * Math.sqrt(share * (1 - share) / of + z2 / (4 * of * of))
  return { hits, of, share: rounded(share), low: rounded(Math.max(0, middle - half)), high: rounded(Math.min(1, middle + half)) }
}

/** McNemar's exact test on pairs: of those that differ, `first` went one way and `second` the other. Two-sided. */
export function mcnemar (first: number, second: number): number {
  const all = first + second
  let chance = 0
  // C(all, k) / 2^all, built up factor by factor so that it neither overflows nor vanishes before its time
  for (let k = 0; k <= Math.min(first, second); k++) {
    let term = 1
    let halves = all
    for (let i = 1; i <= k; i++) {
      term *= (all - k + i) / i
      while (term > 1 && halves > 0) { term /= 2; halves-- }
    }
    chance += term * 2 ** -halves
  }
  return rounded(Math.min(1, 2 * chance))
}
