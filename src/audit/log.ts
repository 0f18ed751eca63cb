/**
 * What the gateway may expect of the audit log, whichever store keeps it.
 * Knows nothing of HTTP, experts or perspectives: fields arrive as plain JSON.
 */

import type { Tile } from './tile.ts'

/** A JSON value that canonical JSON (RFC 8785) can carry. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json | undefined }

export const LEAF_TYPES = [
  'completion.begin', 'completion.end', 'completion.late', 'completion.refused', 'feedback', 'audit.read', 'access.refused', 'erasure',
  'payload.expired', 'hold.set', 'hold.lifted', 'kek.rotated', 'draw.epoch', 'key.created', 'key.revoked',
  'config.changed', 'model.loaded', 'release.accepted', 'release.refused', 'log.start', 'log.stop', 'log.restored', 'log.rekeyed', 'clock.anomaly',
] as const
export type LeafType = typeof LEAF_TYPES[number]

/** One leaf as its writer knows it: the log adds `v`, `t`, `key_seq`, the index and the payload's commitment. */
export interface LeafDraft {
  readonly type: LeafType
  /** UUIDv7, unique in the log: a second append with the same id is refused. */
  readonly id: string
  /** Pseudonym of the key that caused it (`k_…`), or null for the gateway's own leaves. `key_seq` counts per key, without gaps. */
  readonly key: string | null
  /** Further members of the leaf; must not name a member that the log adds. */
  readonly fields: { readonly [name: string]: Json | undefined }
  /** Transcript bytes (request as received, answer as sent), sealed in a row of its own and committed to by a salted hash in the leaf. */
  readonly payload?: Uint8Array
  /** Whose transcript it is: what erasure and holds go by. Never in the leaf. */
  readonly owner?: Owner | KeptOwner
  /** What the store does to transcripts in the very transaction that appends the leaf. */
  readonly effect?: Effect
}

/** `user`: the tenant's own name for the person who asked (`safety_identifier` or `user`); the store keeps a keyed hash of it only. */
export interface Owner { readonly tenant: string, readonly user?: string | undefined }

/** Likewise as the store has it, which does not know the end user's name: for leaves about an exchange that somebody else began. */
export interface KeptOwner { readonly tenant: string, readonly subject: string | null }

/** What is kept from erasure and expiry. */
export type HoldScope = { readonly records: readonly string[] } | { readonly tenant: string, readonly user?: string | undefined } | { readonly all: true }

export type Effect =
  /** The transcripts of these records (by begin record, or by the record itself), but for those that are held. */
  | { readonly erase: readonly string[] }
  /** The transcripts of leaves with `from` <= index < `before`, but for those that are held. */
  | { readonly expire: { readonly from: number, readonly before: number } }
  | { readonly hold: { readonly name: string, readonly scope: HoldScope } }
  | { readonly lift: string }
  /** The log's own: everything was brought under the key-encryption key of this id. */
  | { readonly rewrapped: string }

/** Who a held end user is, the store does not know: only a hash of it. */
export interface Hold { readonly name: string, readonly scope: Exclude<HoldScope, { tenant: string }> | { readonly tenant: string } | { readonly user: true } }

/** What there is of transcripts, for whoever has to erase, hold or let them expire. The doing is an `effect` of a leaf. */
export interface Transcripts {
  /** Records with a transcript of this end user that is still there, in the order of the log; at most `limit`, after `afterIndex`. */
  ofUser (owner: Required<Owner>, limit: number, afterIndex?: number): Promise<{ readonly record: string, readonly index: number }[]>
  /** Of these records: those that are held, and by which hold. */
  held (records: readonly string[]): Promise<Map<string, string>>
  /** Of these records: those that have begun and not ended. */
  open (records: readonly string[]): Promise<Set<string>>
  holds (): Promise<Hold[]>
  /** The next leaves older than `olderThan` (ms since the epoch) whose transcripts may expire: about a thousand at a time; null where there are none. */
  expirable (olderThan: number): Promise<{ readonly from: number, readonly before: number, readonly count: number } | null>
}

/** Proof of the place a leaf has: true once the promise that carried it resolved. */
export interface Receipt {
  readonly record: string
  readonly index: number
  readonly key_seq: number | null
  /** base64 of SHA-256(0x00 ‖ leaf bytes), RFC 6962. */
  readonly leaf_hash: string
}

export type EndStatus = 'complete' | 'client_abort' | 'upstream_error' | 'interrupted'

/**
 * The tree over all leaves: what an outsider needs to check the log without trusting whoever runs it (C2SP tlog-tiles).
 * Public but for the entries, which are the auditor's.
 */
export interface LogTree {
  /** The log's name in its checkpoints, and the key (C2SP vkey) that checks their signatures. */
  readonly origin: string
  readonly verifier: string
  /** The newest signed checkpoint: it covers every receipt that was given out. */
  checkpoint (): string
  /** Hashes of a tile, or its entries behind their lengths; null where the tree has no such tile, or not that much of it. */
  tile (tile: Tile): Promise<Uint8Array | null>
  /** The tlog-proof that a leaf is in the tree of the newest checkpoint; null for a leaf that it does not cover. */
  proof (index: number): Promise<string | null>
  /** The hashes that prove the tree of `old` leaves to be a beginning of the tree of `size`, the newest checkpoint's unless given; null where it is larger. */
  consistency (old: number, size?: number): Promise<Uint8Array[] | null>
}

/** One exchange between its begin and its end record(s). */
export interface Exchange {
  readonly record: string
  /** Resolves when the begin record is durable (fsynced). No byte of the answer may leave before. Rejects with AuditUnavailable. */
  begun(): Promise<void>
  /**
   * Journals bytes that are about to be sent for one choice. Synchronous: when it returns they survive a `kill -9`
   * of this process (not a power loss). Throws AuditUnavailable when they could not be written; then do not send them.
   */
  chunk(bytes: Uint8Array, choice?: number): void
  /**
   * Appends the end record of one choice and resolves when it is durable, and with it the begin record.
   * The final chunk or the JSON body may leave only then. At most one end per choice (a second call returns the first's promise).
   * `answer` replaces what was journalled (a JSON body); absent: the journalled bytes of that choice are the answer.
   */
  end(end: { readonly status: EndStatus, readonly fields: { readonly [name: string]: Json | undefined }, readonly answer?: Uint8Array, readonly choice?: number }): Promise<Receipt>
}

export interface RecordQuery {
  /** Only records with an index greater than this one (cursor; -1 or absent: from the first). */
  readonly afterIndex?: number
  /** 1…1000. */
  readonly limit?: number
  /** Milliseconds since the epoch, inclusive / exclusive. */
  readonly from?: number
  readonly to?: number
  readonly type?: LeafType
  readonly perspective?: string
  readonly status?: EndStatus
  readonly key?: string
  /** Bring the transcripts along; else a present payload comes with empty bytes. Default false. */
  readonly payloads?: boolean
  /** Tree size that pins a set of pages: records with index < asOf. Default: the size now. */
  readonly asOf?: number
}

/** One stored record as a reader gets it. */
export interface StoredRecord {
  readonly index: number
  readonly id: string
  /** The exact leaf bytes (canonical JSON, UTF-8). */
  readonly leaf: string
  readonly leaf_hash: string
  /** `damaged`: it is there and cannot be opened: altered, or sealed under a key that is not here. */
  readonly payload: { readonly state: 'present', readonly bytes: Uint8Array, readonly salt: Uint8Array } | { readonly state: 'none' | 'erased' | 'expired' | 'damaged' }
}

/**
 * The log. Promises, for every store:
 * - append-only; indices 0…n-1 without gaps; per key a `key_seq` 1…m without gaps;
 * - a resolved promise means fsynced; a rejected one (AuditUnavailable) means: not acknowledged, may or may not be kept, never half;
 * - appends of one call are committed together or not at all, in order;
 * - safe to call concurrently; calls are grouped into commits;
 * - fail closed: when it cannot commit, every append rejects, nothing is queued beyond `limits`, and it recovers by itself when the store can commit again.
 */
export interface AuditLog {
  append(drafts: readonly LeafDraft[]): Promise<Receipt[]>
  /**
   * Opens an exchange. Its begin record is committed at once, or, with `deferMs`, together with its end if that comes
   * within so many milliseconds (a JSON answer has no byte to show before its end: one fsync serves both).
   */
  open(begin: LeafDraft, options?: { readonly deferMs?: number }): Exchange
  /** Number of leaves. */
  size(): number
  records(query: RecordQuery): Promise<StoredRecord[]>
  /** All of them in order, whatever `limit` says, in bounded memory. */
  stream(query: RecordQuery): AsyncIterable<StoredRecord>
  record(id: string): Promise<StoredRecord | null>
  /** The end record(s) of an exchange, by the begin record's id. */
  endsOf(begin: string): Promise<StoredRecord[]>
  readonly tree: LogTree
  readonly transcripts: Transcripts
  /** `heard` is called with records that another gateway on the same log has erased, within seconds: copies of them may be kept here. */
  onErased (heard: (records: readonly string[]) => void): void
  /** What is sealed, and under which key-encryption keys (ids, the current one first). */
  sealing (): Promise<{ readonly keks: readonly string[] }>
  /**
   * Seals every record's key under a new key-encryption key, or goes on where that was interrupted, and appends `kek.rotated`.
   * Rejects where the operator keeps the keys and gave no new one; says how.
   */
  rotateKek (): Promise<{ readonly from: readonly string[], readonly to: string, readonly rewrapped: number, readonly record: string }>
  /** Is the log able to commit, and if not, why (a sentence for people). */
  health(): { readonly ok: true, readonly lastCommitMs: number } | { readonly ok: false, readonly reason: string }
  /** Writes what is queued, closes open exchanges as `interrupted`, appends `log.stop`, releases the store. */
  close(): Promise<void>
}
