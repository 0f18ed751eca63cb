/** How much is asked. The full size keeps the embedded pair under 20 minutes on two cores, the quick one under two; both ask about everything. */

export interface Plan {
  readonly mode: 'full' | 'quick'
  readonly seed: number
  /** Held-out topics that are asked about, and pairs of each that are scored. */
  readonly topics: number
  readonly pairs: number
  readonly fixturePairs: number
  readonly fixtureQuestions: number
  /** Ways to ask, and seeds: each topic is answered once for each way, the seeds taking turns. */
  readonly templates: number
  readonly seeds: readonly number[]
  readonly items: number
  readonly orders: number
  readonly negated: boolean
  readonly paired: number
  readonly safe: number
  readonly unsafe: number
  readonly harmless: number
  readonly facts: number
  readonly neutral: number
  readonly outgroups: number
  readonly adversarial: number
  readonly context: number
  readonly tokens: { readonly answer: number, readonly refusal: number, readonly other: number }
}

const ALL = Number.POSITIVE_INFINITY

export const FULL: Plan = {
  mode: 'full', seed: 20261125, topics: ALL, pairs: 4, fixturePairs: 8, fixtureQuestions: ALL, templates: 5, seeds: [1, 2, 3], items: ALL, orders: 2, negated: true,
  paired: ALL, safe: 40, unsafe: 60, harmless: 24, facts: ALL, neutral: ALL, outgroups: ALL, adversarial: ALL, context: 12,
  // a refusal shows in its first words
  tokens: { answer: 96, refusal: 20, other: 64 },
}

export const QUICK: Plan = {
  ...FULL, mode: 'quick', topics: 6, pairs: 2, fixturePairs: 1, fixtureQuestions: 1, templates: 1, seeds: [1], items: 12, orders: 1, negated: false,
  paired: 2, safe: 4, unsafe: 6, harmless: 3, facts: 8, neutral: 4, outgroups: 2, adversarial: 3, context: 2,
  tokens: { answer: 64, refusal: 16, other: 40 },
}
