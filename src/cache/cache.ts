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
