/** What a key may use: the four limits by name, as the configuration, a key and the limits that count all mean them. Pure. */

/** Null: not limited. */
export interface Quota {
  readonly requestsPerMinute: number | null
  readonly tokensPerMinute: number | null
  /** At a time. */
  readonly streams: number | null
  readonly tokensPerDay: number | null
}

export const QUOTAS = ['requestsPerMinute', 'tokensPerMinute', 'streams', 'tokensPerDay'] as const satisfies readonly (keyof Quota)[]

/** What a key sets of its own; what it leaves out is the configuration's. */
export type QuotaOverrides = Partial<Quota>

export const UNLIMITED: Quota = Object.freeze({ requestsPerMinute: null, tokensPerMinute: null, streams: null, tokensPerDay: null })

/** Also the largest that is exact where Redis counts it, whose scripts know doubles. */
export const LARGEST_QUOTA = 1_000_000_000_000

/** Frozen, for it is shared by every request of a key. */
export const quotaOf = (defaults: Quota, overrides: QuotaOverrides = {}): Quota => Object.freeze({ ...defaults, ...overrides })
