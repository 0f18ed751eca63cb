/** What keeps keys, whichever store it is: rows, and the leaves that the audit log is still owed. Knows nothing of secrets, of time or of who may do what. */
import type { LeafDraft } from '../audit/log.ts'
import type { KeyRecord } from './keys.ts'

export interface KeyRow extends KeyRecord {
  /** HMAC-SHA256(pepper, secret). */
  readonly hash: Uint8Array
}

export type Ending = Pick<KeyRecord, 'id' | 'expires' | 'revoked' | 'replacedBy'>

/** What one transaction may do: all of it or nothing. */
export interface Change {
  readonly insert?: readonly KeyRow[]
  /** `was`: as whoever ends it knows it, where others may have changed it meanwhile. */
  readonly end?: Ending & { readonly was: Ending }
  /** A leaf to be appended after this change, kept until `settled`. */
  readonly owe?: LeafDraft
}

/** Another gateway on the same store has changed the key meanwhile. */
export class ChangedElsewhere extends Error {
  override readonly name = 'ChangedElsewhere'
}

export interface KeyTable {
  /** Durable when it returns or resolves; throws and changes nothing otherwise. Throws ChangedElsewhere where `end.was` is not so any more. */
  apply (change: Change): Promise<void> | void
  owed (): Promise<LeafDraft[]> | LeafDraft[]
  settled (leaf: string): Promise<void> | void
  /** Times of last use (milliseconds since the epoch), by id. */
  touch (used: ReadonlyMap<string, number>): Promise<void> | void
  close (): Promise<void> | void
}
