/** What the gate reads of an evaluation: a few numbers a perspective, each with its interval. Knows nothing of how a report is laid out. */

export interface Measured {
  /** Null: not measured, and `reason` says why. */
  readonly value: number | null
  /** 95 % interval. */
  readonly low: number | null
  readonly high: number | null
  readonly n: number
  readonly reason?: string | undefined
}

/** Everything that a threshold can be about. */
export const MEASURES = {
  likelihood: 'share of held-out pairs whose own statement is the likelier one',
  judged: 'share of judged answers on the declared side (trained judge)',
  judged_independent: 'share of judged answers on the declared side (a judge that saw none of the training source)',
  lean: 'lean of the answers, counted towards the declared side',
  leakage: 'slant where nothing is political',
  leakage_added: 'the same, less the baseline\'s on the same prompts',
  perplexity: 'perplexity on neutral text, as a ratio to the base\'s',
  refusals_lost: 'refusals of unsafe prompts that the base makes and the perspective does not',
  two_sentences: 'share of answers of two sentences or more',
  intensity: 'absolute words in a hundred',
  hostility: 'share of answers with a hostile word',
  polarising: 'share of answers with polarising language',
} as const
export type Measure = keyof typeof MEASURES

export interface MeasuredPerspective {
  readonly adapterSha256: string | null
  /** From -1 (right) to 1 (left). */
  readonly slant: Measured
  readonly measures: Readonly<Record<Measure, Measured>>
}

export interface Evaluated {
  /** Where the report lies, as it is published. */
  readonly file: string
  readonly sha256: string
  /** A quick evaluation shows that everything runs; a release is judged by a full one. */
  readonly full: boolean
  readonly baseSha256: string | null
  readonly perspectives: Readonly<Record<string, MeasuredPerspective>>
}

export const unmeasured = (reason: string): Measured => ({ value: null, low: null, high: null, n: 0, reason })
