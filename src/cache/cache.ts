/** Whole answers kept for an identical request. The promise of every implementation; which request is identical is key.ts's. */
import type { Wire } from '../experts/expert.ts'

export interface CachedAnswer {
  /** A whole chat.completion as the expert gave it, before disclosure and receipt. */
  readonly completion: Wire
  /** The end record of the exchange that it came from. */
  readonly source: string
  /** Milliseconds since the epoch. */
  readonly stored: number
}

/**
 * - `get` returns what `set` was given for the same key, or nothing; never another key's, never one past its ttl;
 * - bounded; when in doubt an entry is dropped: a cache that is full or down costs speed, never correctness.
 */
export interface Cache {
  get (key: string): Promise<CachedAnswer | undefined> | CachedAnswer | undefined
  set (key: string, answer: CachedAnswer, ttlSeconds: number): Promise<void> | void
  /** Drops every answer that came from one of these end records. When it resolves none of them is served any more. */
  forget (sources: ReadonlySet<string>): Promise<void> | void
  close (): Promise<void>
}

/** An answer that was called for now, or that another replica has meanwhile called for and kept. */
export type Flown<T> = { readonly called: T, /** Somebody else's call, which this one joined. */ readonly shared: boolean } | { readonly cached: CachedAnswer }

/**
 * One call for all who ask the same at the same time, streams included, within a process and over replicas that share a cache:
 * - `call` runs at most once at a time for a key; its failure is everybody's who joined, and the next asker calls anew;
 * - whoever joins a stream late gets it from its first chunk; a slow reader does not slow the others, within bounds;
 * - leaving (`signal`) takes only oneself: the call's own signal is aborted when nobody is left;
 * - whole answers and streams of one key share one call;
 * - a replica that dies while it calls delays the others by its lease, no more; a store that is down means that each replica calls for itself.
 */
export interface Flights {
  whole (key: string, call: (signal: AbortSignal) => Promise<Wire>, signal: AbortSignal): Promise<Flown<Wire>>
  stream (key: string, call: (signal: AbortSignal) => Promise<AsyncIterable<Wire[]>>, signal: AbortSignal): Promise<Flown<AsyncIterable<Wire[]>>>
}
