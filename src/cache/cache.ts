/** Whole answers kept for an identical request, and calls that identical requests share. The promises of every implementation; which request is identical is key.ts's. */
import type { Wire } from '../experts/expert.ts'

export interface CachedAnswer {
  /** A whole chat.completion as the expert gave it, before disclosure and receipt. */
  readonly completion: Wire
  /** The end record of the exchange that it came from. It stands for this one answer: another key's answer with the same source takes its place. */
  readonly source: string
  /** Milliseconds since the epoch. */
  readonly stored: number
  /** Whose answer it is, as key.ts writes it: what `evict` goes by. */
  readonly tags: readonly string[]
}

/** The same as it was kept. */
export interface KeptAnswer extends CachedAnswer { readonly ttlSeconds: number }

/** Since the start of this process. `errors`: how often a store was slow, down or spoilt; each was a miss, or an answer that was not kept. Hits and misses are counted by reply. */
export interface CacheCounts { readonly kept: number, readonly errors: number }

/**
 * - `get` returns what `set` was given for the same key, or nothing; never another key's, never one past its ttl;
 * - bounded; when in doubt an entry is dropped: a cache that is full, slow, spoilt or down costs speed, never correctness;
 * - `get` and `set` never reject; `get` waits at most a tenth of a second, `set`, which no answer waits for, half of one; a store that is known to be down is not waited for at all.
 */
export interface Cache {
  get (key: string): Promise<KeptAnswer | undefined> | KeptAnswer | undefined
  /** Whether it is kept. */
  set (key: string, answer: CachedAnswer, ttlSeconds: number): Promise<boolean> | boolean
  /**
   * Drops every answer that came from one of these end records. When it resolves none of them is served any more, by any replica,
   * and a `set` of one of them that arrives later is not kept. Rejects where that could not be brought about within seconds; it is then tried on.
   */
  forget (sources: ReadonlySet<string>): Promise<void> | void
  /** The same for every answer with this tag; for some minutes no answer with it is kept, since calls from before may still be under way. */
  evict (tag: string): Promise<void> | void
  counts (): CacheCounts
  /** False while the store cannot be reached. */
  up (): boolean
  close (): Promise<void>
}

export interface Ask {
  readonly key: string
  readonly tags: readonly string[]
  readonly ttlSeconds: number
  /** Whether an answer that is kept already will do: one that is older than the asker wants will not. */
  readonly usable?: (kept: KeptAnswer) => boolean
  /** The asker's own record, by which those who join can name whose call it was. */
  readonly record?: string
}

/** An answer that was called for now. The object may be everybody's who joined: do not change it. */
export interface Called<T> {
  readonly called: T
  /** Somebody else's call, which this one joined. */
  readonly shared: boolean
  /** The record of whoever called. */
  readonly leader: string | undefined
  /**
   * Keeps the whole answer as this end record's, and lets those in who wait for it on other replicas. Whoever of those aboard has an end record first
   * does it; true for that one only, and only where the answer is whole and the cache takes it.
   */
  keep (source: string): boolean
}

/** Or one that is kept meanwhile; `waited`: another replica called for it while this one waited. */
export type Flown<T> = Called<T> | { readonly cached: KeptAnswer, readonly waited: boolean }

/** `called`: calls begun. `collapsed`: askers who joined one, in this process or by waiting for another replica's. */
export interface FlightCounts { readonly called: number, readonly collapsed: number }

/**
 * One call for all who ask the same at the same time, streams included, within a process and over replicas that share a cache:
 * - `call` runs at most once at a time for a key, until its answer is kept (or two seconds after it came, where nobody keeps it);
 *   its failure is everybody's who joined, and the next asker calls anew;
 * - whoever joins a stream late gets it from its first chunk; a slow reader does not slow the others, within bounds;
 * - leaving (`signal`) takes only oneself: the call's own signal is aborted when nobody is left;
 * - whole answers and streams of one key share one call;
 * - a replica that dies while it calls delays the others by its lease, no more; one that fails lets the next call; a store that is slow is waited for
 *   up to half a second, since a call costs more; one that is down or hangs for longer means that each replica calls for itself.
 */
export interface Flights {
  whole (ask: Ask, call: (signal: AbortSignal) => Promise<Wire>, signal: AbortSignal): Promise<Flown<Wire>>
  stream (ask: Ask, call: (signal: AbortSignal) => Promise<AsyncIterable<Wire[]>>, signal: AbortSignal): Promise<Flown<AsyncIterable<Wire[]>>>
  counts (): FlightCounts
}

/** The right to call for a key, among replicas. */
export interface Claims {
  /** Resolves with the right, or with the answer of whoever had it meanwhile. Rejects with the signal's reason only. */
  claim (key: string, usable: (kept: KeptAnswer) => boolean, signal: AbortSignal): Promise<Claim>
}

export type Claim = { readonly release: () => void } | { readonly cached: KeptAnswer, readonly waited: boolean }
