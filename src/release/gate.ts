/** Whether a pair of perspectives may be released: thresholds held against an evaluation. Pure; remembers and writes nothing. */
import type { Gate, Threshold, Waiver } from './gate-file.ts'
import type { Evaluated, Measured } from './measured.ts'

/** `unmeasured`: nothing was found against it, and nothing for it. */
export type Outcome = 'met' | 'failed' | 'waived' | 'unmeasured'

export interface Check {
  readonly threshold: string
  readonly measure: string
  /** Null: between the sides. */
  readonly perspective: string | null
  readonly wanted: string
  /** What the threshold was held against: the value, or an end of its interval. */
  readonly found: number | null
  readonly value: number | null
  readonly low: number | null
  readonly high: number | null
  readonly n: number
  readonly outcome: Outcome
  readonly reason?: string | undefined
  readonly waiver?: Waiver
}

export interface Verdict {
  /** All met or waived. */
  readonly passed: boolean
  readonly checks: readonly Check[]
}

/** Numbers in a waiver were copied from a table, which rounds to thousandths: 0.9135 stands there as 0.914. And a difference of floats is not quite what it is. */
const AS_PRINTED = 0.0005 + 1e-9

const bounds = ({ least, most, take }: Threshold): string => `${take === 'value' ? '' : `${take === 'low' ? 'lower' : 'upper'} end `}${least === undefined ? `<= ${most}` : most === undefined ? `>= ${least}` : `${least} to ${most}`}`

/** How far beyond the threshold: 0 or less is within. */
const excess = ({ least = -Infinity, most = Infinity }: Threshold, found: number): number => Math.max(least - found, found - most)

export function judge (gate: Gate, evaluated: Evaluated, sides: readonly string[], version: string): Verdict {
  const checks = gate.thresholds.flatMap((threshold) => {
    const values = sides.map((id) => [id, evaluated.perspectives[id]?.measures[threshold.measure] ?? { value: null, low: null, high: null, n: 0, reason: 'the report does not speak of it' }] as const)
    return threshold.of === 'each'
      ? values.map(([id, measured]) => check(gate, threshold, id, measured, version))
      : [check(gate, threshold, null, between(values.map(([, measured]) => measured)), version)]
  })
  return { passed: checks.every(({ outcome }) => outcome === 'met' || outcome === 'waived'), checks }
}

/** The largest difference of any two. */
function between (all: readonly Measured[]): Measured {
  const missing = all.find(({ value }) => value === null)
  if (missing || all.length < 2) return { value: null, low: null, high: null, n: 0, reason: missing?.reason ?? 'there are no two sides to compare' }
  const values = all.map(({ value }) => value!)
  // a difference of floats: 0.12 less 0.07 is not quite 0.05
  return { value: Math.round((Math.max(...values) - Math.min(...values)) * 1e6) / 1e6, low: null, high: null, n: Math.min(...all.map(({ n }) => n)) }
}

function check (gate: Gate, threshold: Threshold, perspective: string | null, measured: Measured, version: string): Check {
  const { value, low, high, n } = measured
  const found = measured[threshold.take]
  const about = { threshold: threshold.id, measure: threshold.measure, perspective, wanted: `${perspective === null ? 'difference ' : ''}${bounds(threshold)}`, found, value, low, high, n }
  const waiver = gate.waivers.find((one) => one.threshold === threshold.id && one.perspective === perspective && one.version === version)
  if (found === null || !Number.isFinite(found)) {
    return waiver?.value === null ? { ...about, outcome: 'waived', waiver, reason: measured.reason } : { ...about, outcome: 'unmeasured', reason: measured.reason ?? 'not measured' }
  }
  // a handful of items could have been chosen, or lucky
  if (n < threshold.items) return { ...about, outcome: 'unmeasured', reason: `${n} items, wanted at least ${threshold.items}` }
  const beyond = excess(threshold, found)
  if (beyond <= 0) return { ...about, outcome: 'met' }
  // what was waived is the value that was reached, not whatever comes
  if (waiver && waiver.value !== null && beyond <= excess(threshold, waiver.value) + AS_PRINTED) return { ...about, outcome: 'waived', waiver }
  return { ...about, outcome: 'failed', ...(waiver && { reason: `the waiver covers ${waiver.value}, not this` }) }
}
