/**
 * Keys in memory, kept in a table, every change a leaf.
 * Knows nothing of HTTP, of which keys a gateway ought to have, or of where the table is.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { LeafDraft } from '../audit/log.ts'
import { ParallaxError } from '../errors.ts'
import { makeKey, parseKey } from './key.ts'
import type { Actor, Caller, IssuedKey, KeyRecord, KeyStore, NewKey, PreparedKeys } from './keys.ts'
import { appendLeaves, createdLeaf, revokedLeaf, settleLeaves } from './leaves.ts'
import type { KeyLeaves } from './leaves.ts'
import { quotaOf, UNLIMITED, type Quota } from '../quota.ts'
import { checkNewKey, checkOverlap } from './new-key.ts'
import { ChangedElsewhere, type KeyRow, type KeyTable } from './table.ts'

export interface KeysOptions {
  readonly audit: KeyLeaves
  /** What a key may use that sets nothing of its own. */
  readonly quota?: Quota
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  /** Replaces them by what the table has, where others change it too. */
  readonly reload?: () => Promise<void>
}

/** How often the times of last use are written: one fsync a minute, and only while keys are used. */
const TOUCH_MS = 60_000
/** How often a revocation is tried again that others got in the way of. */
const TRIES = 3
/** 48 bits of the HMAC: the log's pseudonym, and the place in the map. */
const ID_BYTES = 6

interface Entry { row: KeyRow, readonly caller: Caller }

const idOf = (hash: Buffer): string => `k_${hash.toString('hex', 0, ID_BYTES)}`

function recordOf (row: KeyRow): KeyRecord {
  const { hash, ...record } = row
  void hash
  return record
}

function entryOf (row: KeyRow, quota: Quota): Entry {
  const { id, tenant, name, defaultPerspective } = row
  return { row, caller: Object.freeze({ key: id, tenant, name, defaultPerspective, scopes: new Set(row.scopes), quota: quotaOf(quota, row.quota) }) }
}

export class StoredKeys implements KeyStore {
  readonly #table: KeyTable
  readonly #hmac: (message: string) => Buffer
  readonly #audit: KeyLeaves
  readonly #now: () => number
  readonly #quota: Quota
  readonly #entries = new Map<string, Entry>()
  #used = new Map<string, number>()
  readonly #timer: NodeJS.Timeout
  readonly #reload: () => Promise<void>
  #closed = false
  #settling: Promise<void> = Promise.resolve()

  constructor (table: KeyTable, rows: readonly KeyRow[], hmac: (message: string) => Buffer, { audit, quota = UNLIMITED, now = Date.now, reload = async () => {} }: KeysOptions) {
    this.#reload = reload
    this.#table = table
    this.#hmac = hmac
    this.#audit = audit
    this.#now = now
    this.#quota = quota
    for (const row of rows) this.#entries.set(row.id, entryOf(row, this.#quota))
    this.#timer = setInterval(() => { void this.#touch() }, TOUCH_MS).unref()
  }

  find (presented: string): Caller | null {
    const secret = parseKey(presented)
    if (secret === null) return null
    const hash = this.#hmac(secret)
    const entry = this.#entries.get(idOf(hash))
    return entry !== undefined && timingSafeEqual(entry.row.hash, hash) && this.works(entry.caller) ? entry.caller : null
  }

  works (caller: Caller): boolean {
    const entry = this.#entries.get(caller.key)
    if (entry?.caller !== caller) return false
    const now = this.#now()
    const { revoked, expires } = entry.row
    if (revoked !== null || (expires !== null && now >= expires)) return false
    this.#used.set(caller.key, now)
    return true
  }

  prepare (requests: readonly NewKey[], by: Actor): PreparedKeys {
    const rows = requests.map((request) => this.#draft(request))
    return {
      keys: rows.map(({ secret, row }) => ({ secret, record: recordOf(row) })),
      commit: async () => {
        await appendLeaves(this.#audit, rows.map(({ row }) => createdLeaf(row, by)))
        await this.#table.apply({ insert: rows.map(({ row }) => row) })
        for (const { row } of rows) this.#entries.set(row.id, entryOf(row, this.#quota))
      },
    }
  }

  async create (request: NewKey, by: Actor): Promise<IssuedKey> {
    const prepared = this.prepare([request], by)
    await prepared.commit()
    return prepared.keys[0]!
  }

  list (): KeyRecord[] {
    return [...this.#entries.values()].map(({ row }) => ({ ...recordOf(row), lastUsed: this.#used.get(row.id) ?? row.lastUsed })).sort((one, other) => one.created - other.created)
  }

  async revoke (id: string, by: Actor): Promise<KeyRecord | null> {
    if (!this.#entries.has(id)) return null
    await this.#revoked(id, by)
    try {
      await this.settle()
    } catch (cause) {
      throw new ParallaxError('audit_unavailable', `The key ${id} no longer works, but the audit log could not record it. It is recorded with the next change of a key or at the next start; repeat this request to record it now.`, { cause })
    }
    return this.list().find((record) => record.id === id) ?? null
  }

  /** Whatever others do to it meanwhile. */
  async #revoked (id: string, by: Actor): Promise<void> {
    for (let tries = 0; ; tries++) {
      const entry = this.#entries.get(id)
      if (entry === undefined || entry.row.revoked !== null) return
      const revoked = this.#now()
      try {
        await this.#end(entry, { revoked, owe: revokedLeaf(id, revoked, by) })
        return
      } catch (error) {
        if (!(error instanceof ChangedElsewhere) || tries === TRIES) throw error
        await this.#reload()
      }
    }
  }

  async rotate (id: string, overlapSeconds: number, by: Actor): Promise<IssuedKey | null> {
    checkOverlap(overlapSeconds)
    const old = this.#entries.get(id)
    if (old === undefined) return null
    this.#refuseRotation(old.row)
    const { tenant, name, scopes, defaultPerspective, quota, created, expires } = old.row
    const expiresInSeconds = expires === null ? null : Math.max(1, Math.round((expires - created) / 1000))
    const { secret, row } = this.#draft({ tenant, name, scopes, defaultPerspective, quota, expiresInSeconds })
    await appendLeaves(this.#audit, [createdLeaf(row, by, id)])
    // revoked or rotated by somebody else while the log was written
    this.#refuseRotation(old.row)
    const until = Math.min(old.row.expires ?? Infinity, this.#now() + overlapSeconds * 1000)
    await this.#end(old, { ...(overlapSeconds === 0 ? { revoked: until } : { expires: until }), replacedBy: row.id, owe: revokedLeaf(id, until, by), insert: [row] }).catch(async (error: unknown) => {
      if (!(error instanceof ChangedElsewhere)) throw error
      await this.#reload()
      this.#refuseRotation(this.#entries.get(id)?.row ?? old.row)
      throw error
    })
    this.#entries.set(row.id, entryOf(row, this.#quota))
    await this.settle().catch(() => {}) // the new key works and has its leaf; the old one's is owed
    return { secret, record: recordOf(row) }
  }

  /** Appends the leaves that are owed, after whoever is doing so already. */
  settle (): Promise<void> {
    this.#settling = this.#settling.catch(() => {}).then(() => settleLeaves(this.#audit, this.#table))
    return this.#settling
  }

  close (): void | Promise<void> {
    if (this.#closed) return
    this.#closed = true
    clearInterval(this.#timer)
    const touched = this.#touch()
    this.#entries.clear()
    return touched ? touched.then(() => this.#table.close()) : this.#table.close()
  }

  /** As the table has them now; none is ever removed. A key that did not change keeps its caller, which is the same object for every request. */
  replace (rows: readonly KeyRow[]): void {
    for (const row of rows) {
      const known = this.#entries.get(row.id)
      // read before a change of ours was kept: what was ended here stays so
      if (known) known.row = known.row.revoked !== null && row.revoked === null ? known.row : row
      else this.#entries.set(row.id, entryOf(row, this.#quota))
    }
  }

  #draft (request: NewKey): { secret: string, row: KeyRow } {
    const { scopes, name, tenant, defaultPerspective, quota, expiresInSeconds } = checkNewKey(request)
    let secret: string, hash: Buffer
    do {
      secret = makeKey()
      hash = this.#hmac(secret)
    } while (this.#entries.has(idOf(hash)))
    const created = this.#now()
    const expires = expiresInSeconds === null ? null : created + expiresInSeconds * 1000
    const row = { id: idOf(hash), hash, tenant: tenant ?? `t_${randomBytes(ID_BYTES).toString('hex')}`, name, scopes, defaultPerspective, quota, created, expires, revoked: null, replacedBy: null, lastUsed: null }
    return { secret, row }
  }

  #refuseRotation (row: KeyRow): void {
    const ended = row.revoked !== null ? 'is revoked' : row.expires !== null && row.expires <= this.#now() ? 'has expired' : null
    if (row.replacedBy !== null) throw new ParallaxError('invalid_request', `The key ${row.id} was already rotated to ${row.replacedBy}. Rotate that one.`)
    if (ended !== null) throw new ParallaxError('invalid_request', `The key ${row.id} ${ended} and cannot be rotated. Create a new key with tenant ${row.tenant}.`)
  }

  /** It works no longer from here on, unless the table refuses. */
  async #end (entry: Entry, { owe, insert = [], ...members }: Partial<KeyRow> & { owe: LeafDraft, insert?: readonly KeyRow[] }): Promise<void> {
    const was = entry.row
    const row = entry.row = { ...was, ...members }
    try {
      await this.#table.apply({ insert, end: { ...row, was }, owe })
      entry.row = row
    } catch (error) {
      entry.row = was
      throw error
    }
  }

  /** A full disk must not stop requests: the times stay in memory then, and are tried again. */
  #touch (): Promise<void> | void {
    if (this.#used.size === 0) return
    const used = this.#used
    try {
      const touched = this.#table.touch(used)
      if (touched) return touched.then(() => { this.#touched(used) }, () => {})
    } catch { return }
    this.#touched(used)
  }

  #touched (used: Map<string, number>): void {
    if (this.#used === used) this.#used = new Map()
    for (const [id, lastUsed] of used) {
      const entry = this.#entries.get(id)
      if (entry) entry.row = { ...entry.row, lastUsed }
    }
  }
}
