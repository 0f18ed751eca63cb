/**
 * keys.db: the rows, their schema and its versions, and the leaves that the audit log is still owed. One process at a time.
 * Knows nothing of secrets, of time or of who may do what.
 */
import { chmodSync, closeSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import type { LeafDraft } from '../audit/log.ts'
import type { QuotaOverrides } from '../quota.ts'
import { KeyStoreError } from './keys.ts'
import type { Scope } from './keys.ts'
import type { Change, KeyRow, KeyTable } from './table.ts'

/** Numbered by their place, forward only: add to the end, never edit one that was released. */
const MIGRATIONS: readonly string[] = [
  `CREATE TABLE keys (
     id TEXT PRIMARY KEY, hash BLOB NOT NULL UNIQUE, tenant TEXT NOT NULL, name TEXT NOT NULL, scopes TEXT NOT NULL,
     default_perspective TEXT, created INTEGER NOT NULL, expires INTEGER, revoked INTEGER, replaced_by TEXT, last_used INTEGER
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE owed (id TEXT PRIMARY KEY, draft TEXT NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE pepper (hash BLOB NOT NULL) STRICT;`,
  // JSON: the limits that the key sets of its own
  'ALTER TABLE keys ADD COLUMN quota TEXT NOT NULL DEFAULT \'{}\'',
]

/** How long a start waits for a command that has the file: a `parallax keys create` lasts well under a second. */
const BUSY_MS = 2000
const SQLITE_BUSY = 5

export class SqliteTable implements KeyTable {
  readonly #database: DatabaseSync

  /** Throws KeyStoreError. */
  constructor (path: string) {
    try {
      closeSync(openSync(path, 'a', 0o600)) // SQLite would make it by the umask; its journal takes the mode of the file
      chmodSync(path, 0o600)
      this.#database = new DatabaseSync(path, { timeout: BUSY_MS })
    } catch (cause) {
      throw new KeyStoreError(`The keys ${path} cannot be opened (${(cause as Error).message}). Give this user the right to read and write it and its directory.`, { cause })
    }
    try {
      // an exclusive lock for as long as it is open: all keys are mirrored in memory, so a second writer would go unseen
      this.#database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; BEGIN EXCLUSIVE; COMMIT')
      this.#migrate(path)
    } catch (cause) {
      this.#database.close()
      if (cause instanceof KeyStoreError) throw cause
      throw (cause as { errcode?: number }).errcode === SQLITE_BUSY
        ? new KeyStoreError(`The keys ${path} are in use by another process. Stop the other gateway or command first.`, { cause })
        : new KeyStoreError(`The keys ${path} cannot be read (${(cause as Error).message}). Restore the file from a backup, together with the pepper.`, { cause })
    }
  }

  #migrate (path: string): void {
    const { user_version: version } = this.#database.prepare('PRAGMA user_version').get() as { user_version: number }
    if (version > MIGRATIONS.length) {
      throw new KeyStoreError(`The keys ${path} were written by a newer Parallax (schema ${version}, this one knows ${MIGRATIONS.length}). Start that version.`)
    }
    for (const [place, sql] of MIGRATIONS.entries()) {
      if (place >= version) this.#transact(() => this.#database.exec(`${sql}; PRAGMA user_version = ${place + 1}`))
    }
  }

  #transact (work: () => void): void {
    this.#database.exec('BEGIN IMMEDIATE')
    try {
      work()
      this.#database.exec('COMMIT')
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw error
    }
  }

  rows (): KeyRow[] {
    return this.#database.prepare('SELECT * FROM keys ORDER BY created, id').all().map((row) => ({
      id: row['id'] as string,
      hash: row['hash'] as Uint8Array,
      tenant: row['tenant'] as string,
      name: row['name'] as string,
      scopes: (row['scopes'] as string).split(' ') as Scope[],
      defaultPerspective: row['default_perspective'] as string | null,
      created: row['created'] as number,
      expires: row['expires'] as number | null,
      revoked: row['revoked'] as number | null,
      replacedBy: row['replaced_by'] as string | null,
      lastUsed: row['last_used'] as number | null,
      quota: JSON.parse(row['quota'] as string) as QuotaOverrides,
    }))
  }

  /** Durable when it returns; throws and changes nothing otherwise. */
  apply ({ insert = [], end, owe }: Change): void {
    this.#transact(() => {
      const into = this.#database.prepare('INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)')
      for (const row of insert) {
        into.run(row.id, row.hash, row.tenant, row.name, row.scopes.join(' '), row.defaultPerspective, row.created, row.expires, row.revoked, row.replacedBy, row.lastUsed, JSON.stringify(row.quota))
      }
      if (end) this.#database.prepare('UPDATE keys SET expires = ?, revoked = ?, replaced_by = ? WHERE id = ?').run(end.expires, end.revoked, end.replacedBy, end.id)
      if (owe) this.#database.prepare('INSERT INTO owed VALUES (?, ?)').run(owe.id, JSON.stringify(owe))
    })
  }

  owed (): LeafDraft[] {
    return this.#database.prepare('SELECT draft FROM owed ORDER BY id').all().map((row) => JSON.parse(row['draft'] as string) as LeafDraft)
  }

  settled (leaf: string): void {
    this.#database.prepare('DELETE FROM owed WHERE id = ?').run(leaf)
  }

  touch (used: ReadonlyMap<string, number>): void {
    this.#transact(() => {
      const update = this.#database.prepare('UPDATE keys SET last_used = ? WHERE id = ?')
      for (const [id, time] of used) update.run(time, id)
    })
  }

  /** A hash made with the pepper in use, so that another pepper is noticed; null before the first. */
  pepperHash (): Uint8Array | null {
    return (this.#database.prepare('SELECT hash FROM pepper').get()?.['hash'] ?? null) as Uint8Array | null
  }

  keepPepperHash (hash: Uint8Array): void {
    this.#transact(() => {
      this.#database.exec('DELETE FROM pepper')
      this.#database.prepare('INSERT INTO pepper VALUES (?)').run(hash)
    })
  }

  close (): void {
    if (this.#database.isOpen) this.#database.close()
  }
}
