/**
 * What the gateway may expect of its API keys, whichever store keeps them.
 * Knows nothing of HTTP, of the form of a secret or of how it is hashed.
 */

import { UNLIMITED, type Quota, type QuotaOverrides } from '../quota.ts'

export const SCOPES = ['app', 'auditor', 'admin'] as const
/** `app`: chat and feedback. `auditor`: reads the log. `admin`: keys and configuration, no transcripts. */
export type Scope = typeof SCOPES[number]

/** Who sent a request: what a valid key says about its bearer. Frozen, and the same object for every request of a key. */
export interface Caller {
  /** Pseudonym, `k_` + 12 hex digits: what the log shows. */
  readonly key: string
  /** `t_…`; survives rotation, and several keys may share it. Ownership, cache and idempotency go by it. */
  readonly tenant: string
  readonly scopes: ReadonlySet<Scope>
  readonly name: string
  /** Set by the key's owner, never by us. */
  readonly defaultPerspective: string | null
  /** What it may use: its own limits over the configuration's, so that no request has to look them up. */
  readonly quota: Quota
}

/** A key as its administrator sees it: everything but the secret. Times are milliseconds since the epoch. */
export interface KeyRecord {
  /** The same as `Caller.key`. */
  readonly id: string
  readonly tenant: string
  readonly name: string
  readonly scopes: readonly Scope[]
  readonly defaultPerspective: string | null
  /** What it sets of its own. */
  readonly quota: QuotaOverrides
  readonly created: number
  readonly expires: number | null
  readonly revoked: number | null
  /** The key that took this one's place by rotation. */
  readonly replacedBy: string | null
  /** Written at most once a minute: a crash may set it back by that much. */
  readonly lastUsed: number | null
}

export interface NewKey {
  readonly scopes: readonly Scope[]
  /** 1 to 100 characters for people. Never in the log, which cannot forget. */
  readonly name?: string
  /** An existing tenant, to give it a second key; absent: a new one. */
  readonly tenant?: string
  readonly defaultPerspective?: string | null
  /** Left out: the configuration's; null: unlimited. */
  readonly quota?: QuotaOverrides
  readonly expiresInSeconds?: number | null
}

export interface IssuedKey {
  /** The only time it is seen. */
  readonly secret: string
  readonly record: KeyRecord
}

/** Who acts: the pseudonym of an administrator's key, or null for the gateway itself. It stands in the leaf. */
export type Actor = string | null

/** Keys whose secrets are made and which do not work yet. */
export interface PreparedKeys {
  readonly keys: readonly IssuedKey[]
  /** Writes one `key.created` leaf a key, then makes all of them work together, or none. */
  commit(): Promise<void>
}

/**
 * The keys. Promises, for every store:
 * - `find` is synchronous, takes microseconds, and compares secrets in constant time;
 * - no key works before its `key.created` leaf is durable. Log refuses: no key, and the log's error is thrown.
 *   A crash between leaf and store leaves a leaf of a key that never works, never a key without a leaf;
 * - a change works at once here, and within a second on every other gateway on the same store;
 * - a revocation works at once and durably, before its leaf: a log that cannot commit must not keep a leaked key alive.
 *   The leaf is owed, durably, and is written by the next change, or at the next start;
 * - mistakes are ParallaxErrors (`invalid_request`), with the remedy.
 */
export interface KeyStore {
  /** The caller behind a presented key; null for whatever is malformed, unknown, expired or revoked. Never throws. */
  find(presented: string): Caller | null
  /** Whether the key of a caller that `find` gave still works, and so the caller's next request does. Costs a look, and no hash. Never throws. */
  works(caller: Caller): boolean
  prepare(requests: readonly NewKey[], by: Actor): PreparedKeys
  /** `prepare` and `commit` of one. */
  create(request: NewKey, by: Actor): Promise<IssuedKey>
  /** Oldest first, those revoked and expired among them. */
  list(): KeyRecord[]
  /** Null: no such key. Revoking again changes nothing. Throws `audit_unavailable` when the key stopped working but its leaf is still owed. */
  revoke(id: string, by: Actor): Promise<KeyRecord | null>
  /** A new secret for the same tenant, scopes, name, limits and lifetime; the old one works `overlapSeconds` longer. Null: no such key. */
  rotate(id: string, overlapSeconds: number, by: Actor): Promise<IssuedKey | null>
  /** Writes what is owed to the store itself and lets go of it. */
  close(): void | Promise<void>
}

/** Whoever speaks through the control socket: the person who owns the data directory. Reads no transcripts: that wants an auditor's key. */
export const LOCAL_ADMIN: Caller = Object.freeze({ key: 'k_local', tenant: 't_local', scopes: new Set<Scope>(['admin']), name: 'local administrator', defaultPerspective: null, quota: UNLIMITED })

/** Keys that cannot be opened. Its message is for the person who starts the gateway: what was wanted, what is there, the remedy. */
export class KeyStoreError extends Error {
  override readonly name = 'KeyStoreError'
}
