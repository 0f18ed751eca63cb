/**
 * What the gateway may expect of the room that makes a repeated request one: whoever comes again with the same `Idempotency-Key` gets the first answer
 * again. Knows nothing of HTTP, experts or records but their ids.
 */

/** An answer as it was sent. */
export interface KeptReply {
  readonly kind: 'json' | 'stream'
  /** The whole body, receipt and all; of a stream its frames in one. */
  readonly body: string
  /** The record of the exchange that it answers: what `forget` goes by. */
  readonly record: string
  /** What the caller wants back with it, such as its disclosure. JSON. */
  readonly about: unknown
}

/** The right, and the duty, to answer: it ends with `keep` or `release`, whichever is called first, and is renewed until then. */
export interface NewClaim {
  readonly kind: 'new'
  /** From now on this is the answer. Whether it is kept: not where it is too large, where its record was forgotten meanwhile, or where the store fails. Never rejects. */
  keep (reply: KeptReply): Promise<boolean>
  /** There is no answer: the next to come with this key may try. Never rejects. */
  release (): Promise<void>
}

export type Claim = NewClaim | { readonly kind: 'replay', readonly reply: KeptReply }

/** Since the start of this process: what became of claims, and answers that were not kept. */
export interface IdempotencyCounts { readonly new: number, readonly replayed: number, readonly conflict: number, readonly in_flight: number, readonly unavailable: number, readonly unkept: number }

/**
 * - of all who claim one key of one tenant at the same time, on any number of replicas, one gets it; the others throw `idempotency_in_flight`;
 * - the same key with another fingerprint throws `idempotency_conflict`, also while the first is being answered;
 * - a claim whose replica died comes free with its lease; a reply is kept for the configured time, or until the room for replies is used up: the oldest go first;
 * - keys of one tenant are nothing to another's;
 * - fail closed: a store that cannot be reached throws `idempotency_unavailable`, for answering twice is what the key was sent against.
 */
export interface Idempotency {
  /** `fingerprint` says which request it is: key.ts makes it. */
  claim (tenant: string, key: string, fingerprint: string): Promise<Claim>
  /** Drops the answers of these exchanges, which are being erased. When it resolves none of them is replayed any more, by any replica, and none is kept that arrives later. Rejects where that could not be brought about. */
  forget (records: ReadonlySet<string>): Promise<void>
  readonly counts: IdempotencyCounts
  close (): Promise<void>
}

/** A longer one is not kept: whoever comes again is answered anew. */
export const REPLY_BYTES = 4 * 1024 * 1024

/** How long the answer of an exchange that was forgotten is not kept: longer than one may be under way. */
export const GUARD_MS = 600_000
