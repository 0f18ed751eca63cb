/**
 * What the gateway may expect of its limits, whichever store counts: requests and tokens a minute, streams at a time, tokens a day, each per key.
 * Knows nothing of HTTP, experts or what a token is.
 */
import type { Quota } from '../quota.ts'

export type { Quota } from '../quota.ts'

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
  /** `x-ratelimit-*` as OpenAI sends them, `RateLimit` and `RateLimit-Policy`; empty for a key without limits. */
  readonly headers: Readonly<Record<string, string>>
  /**
   * What it cost after all: the difference goes to the window that the reservation was taken from, never to a later one, and the stream's
   * place is free. More than was reserved is charged too. Only the first call counts; never rejects, and need not be waited for.
   */
  settle (tokens: number): Promise<void> | void
}

/** Which limit refused: the four of the quota, or a request that is larger than its limit will ever be, or the store. */
export type RefusedBy = 'requests' | 'tokens' | 'streams' | 'tokens_day' | 'too_large' | 'unavailable'

/**
 * - exact: over any number of replicas that share a store, the limit is L, not L a replica; and in any span of a minute (a day), not
 *   only in those that begin with a window, never more than L is reserved;
 * - a request is refused whole (`rate_limit_exceeded` with `Retry-After` and the headers, or `request_exceeds_quota` where waiting cannot
 *   help) or admitted whole: no limit is charged for a refused one;
 * - fail closed: a store that cannot be reached, or takes too long, refuses (`limits_unavailable`, 503), for counting locally would be R x L;
 *   it may then have charged what it refused, never admitted what it did not charge. It recovers by itself;
 * - what a killed replica had reserved comes free by itself: reservations with their window, streams with their lease;
 * - a key without limits is admitted without asking the store.
 */
export interface Limits {
  admit (ask: Ask): Promise<Admission>
  /** How often each limit has refused since the start, for the metrics. */
  readonly refused: Readonly<Record<RefusedBy, number>>
  close (): Promise<void>
}
