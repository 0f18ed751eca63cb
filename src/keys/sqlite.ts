/**
 * The keys of one gateway: all of them in memory, kept in keys.db, every change a leaf.
 * Knows nothing of HTTP or of which keys a gateway ought to have.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { LeafDraft } from '../audit/log.ts'
import { ParallaxError } from '../errors.ts'
import { makeKey, parseKey } from './key.ts'
import { KeyStoreError } from './keys.ts'
import type { Actor, Caller, IssuedKey, KeyRecord, KeyStore, NewKey, PreparedKeys } from './keys.ts'
import { appendLeaves, createdLeaf, revokedLeaf, settleLeaves } from './leaves.ts'
import type { KeyLeaves } from './leaves.ts'
import { quotaOf, UNLIMITED, type Quota } from '../quota.ts'
import { checkNewKey, checkOverlap } from './new-key.ts'
import { hmacSha256, readPepper } from './pepper.ts'
import { KeyTable } from './table.ts'
import type { KeyRow } from './table.ts'

export interface KeyStoreOptions {
  /** The data directory; made (0700) where it is missing. */
  readonly directory: string
  readonly audit: KeyLeaves
  /** What a key may use that sets nothing of its own. */
  readonly quota?: Quota
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

/** How often the times of last use are written: one fsync a minute, and only while keys are used. */
const TOUCH_MS = 60_000
/** 48 bits of the HMAC: the log's pseudonym, and the place in the map. */
const ID_BYTES = 6
const PEPPER_TEST = 'parallax pepper test'

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

/** Throws KeyStoreError when the files are in use, unreadable or do not belong together. */
export async function openKeyStore (options: KeyStoreOptions): Promise<KeyStore> {
  mkdirSync(options.directory, { recursive: true, mode: 0o700 })
  const table = new KeyTable(join(options.directory, 'keys.db'))
  try {
    const rows = table.rows()
    const hmac = hmacSha256(readPepper(join(options.directory, 'pepper'), rows.length))
    const expected = table.pepperHash()
    const found = hmac(PEPPER_TEST)
    if (expected === null || rows.length === 0) table.keepPepperHash(found)
    else if (!found.equals(expected)) {
      throw new KeyStoreError(`The pepper in ${options.directory} is not the one that the keys were hashed with. Restore pepper and keys.db from the same backup.`)
    }
    const store = new SqliteKeys(table, rows, hmac, options)
    await store.settle().catch(() => {}) // a log that is down shows itself at readiness; the leaves stay owed
    return store
  } catch (error) {
    table.close()
    throw error
  }
}

class SqliteKeys implements KeyStore {
  readonly #table: KeyTable
  readonly #hmac: (message: string) => Buffer
  readonly #audit: KeyLeaves
  readonly #now: () => number
  readonly #quota: Quota
  readonly #entries = new Map<string, Entry>()
  #used = new Map<string, number>()
  readonly #timer: NodeJS.Timeout
  #settling: Promise<void> = Promise.resolve()

  constructor (table: KeyTable, rows: readonly KeyRow[], hmac: (message: string) => Buffer, { audit, quota = UNLIMITED, now = Date.now }: KeyStoreOptions) {
    this.#table = table
    this.#hmac = hmac
    this.#audit = audit
    this.#now = now
    this.#quota = quota
    for (const row of rows) this.#entries.set(row.id, entryOf(row, this.#quota))
    this.#timer = setInterval(() => this.#touch(), TOUCH_MS).unref()
  }

  find (presented: string): Caller | null {
    const secret = parseKey(presented)
    if (secret === null) return null
    const hash = this.#hmac(secret)
    const id = idOf(hash)
    const entry = this.#entries.get(id)
    if (entry === undefined || !timingSafeEqual(entry.row.hash, hash)) return null
    const now = this.#now()
    if (entry.row.revoked !== null || (entry.row.expires !== null && now >= entry.row.expires)) return null
    this.#used.set(id, now)
    return entry.caller
  }

  prepare (requests: readonly NewKey[], by: Actor): PreparedKeys {
    const rows = requests.map((request) => this.#draft(request))
    return {
      keys: rows.map(({ secret, row }) => ({ secret, record: recordOf(row) })),
      commit: async () => {
        await appendLeaves(this.#audit, rows.map(({ row }) => createdLeaf(row, by)))
        this.#table.apply({ insert: rows.map(({ row }) => row) })
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
    return [...this.#entries.values()].map(({ row }) => ({ ...recordOf(row), lastUsed: this.#used.get(row.id) ?? row.lastUsed }))
  }

  async revoke (id: string, by: Actor): Promise<KeyRecord | null> {
    const entry = this.#entries.get(id)
    if (entry === undefined) return null
    if (entry.row.revoked === null) {
      const revoked = this.#now()
      this.#end(entry, { revoked, owe: revokedLeaf(id, revoked, by) })
    }
    try {
      await this.settle()
    } catch (cause) {
      throw new ParallaxError('audit_unavailable', `The key ${id} no longer works, but the audit log could not record it. It is recorded with the next change of a key or at the next start; repeat this request to record it now.`, { cause })
    }
    return this.list().find((record) => record.id === id) ?? null
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
    this.#end(old, { ...(overlapSeconds === 0 ? { revoked: until } : { expires: until }), replacedBy: row.id, owe: revokedLeaf(id, until, by), insert: [row] })
    this.#entries.set(row.id, entryOf(row, this.#quota))
    await this.settle().catch(() => {}) // the new key works and has its leaf; the old one's is owed
    return { secret, record: recordOf(row) }
  }

  /** Appends the leaves that are owed, after whoever is doing so already. */
  settle (): Promise<void> {
    this.#settling = this.#settling.catch(() => {}).then(() => settleLeaves(this.#audit, this.#table))
    return this.#settling
  }

  close (): void {
    clearInterval(this.#timer)
    this.#touch()
    this.#entries.clear()
    this.#table.close()
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

  #end (entry: Entry, { owe, insert = [], ...members }: Partial<KeyRow> & { owe: LeafDraft, insert?: readonly KeyRow[] }): void {
    const row = { ...entry.row, ...members }
    this.#table.apply({ insert, end: row, owe })
    entry.row = row
  }

  #touch (): void {
    if (this.#used.size === 0) return
    const used = this.#used
    try {
      this.#table.touch(used)
    } catch {
      return // a full disk must not stop requests; the times stay in memory and are tried again
    }
    this.#used = new Map()
    for (const [id, lastUsed] of used) {
      const entry = this.#entries.get(id)
      if (entry) entry.row = { ...entry.row, lastUsed }
    }
  }
}
