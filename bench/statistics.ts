/** The few statistics the benches need. */

const ascending = (values: readonly number[]): number[] => values.toSorted((a, b) => a - b)

/** NaN for nothing. */
export function median (values: readonly number[]): number {
  const sorted = ascending(values)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** The smallest value that at least `part` of all values do not exceed. */
export function quantile (values: readonly number[], part: number): number {
  const sorted = ascending(values)
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(part * sorted.length) - 1))] ?? NaN
}

export const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
