/**
 * What the gateway may expect of its limits, whichever store counts: requests and tokens a minute, streams at a time, tokens a day, each per key.
 * Knows nothing of HTTP, experts or what a token is.
 */

/** Null: not limited. */
export interface Quota {
  readonly requestsPerMinute: number | null
  readonly tokensPerMinute: number | null
  readonly streams: number | null
  readonly tokensPerDay: number | null
}

export interface Ask {
  /** Pseudonym of the key that is charged. */
  readonly key: string
  readonly quota: Quota
  /** Tokens that the request may cost at most, as far as that is known before: reserved now, settled afterwards. */
  readonly tokens: number
  readonly stream: boolean
}

/** A request that was let in. */
export interface Admission {
  /** `x-ratelimit-*` as OpenAI sends them, `RateLimit` and `RateLimit-Policy`. */
  readonly headers: Readonly<Record<string, string>>
  /** What it cost after all; the rest of the reservation goes back to the window that it was taken from, and the stream's place is free. Only the first call counts; never rejects. */
  settle (tokens: number): Promise<void> | void
}

/**
 * - exact: over any number of replicas that share a store, the limit is L, not L a replica;
 * - a request is refused whole (`rate_limit_exceeded`, with `Retry-After` and the headers) or admitted whole: no limit is charged for a refused one;
 * - fail closed: a store that cannot be reached refuses (`limits_unavailable`, 503), for counting locally would be R x L;
 * - what a killed replica had reserved comes free by itself: reservations with their window, streams with their lease.
 */
export interface Limits {
  admit (ask: Ask): Promise<Admission>
  close (): Promise<void>
}
