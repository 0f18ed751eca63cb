/** The keys of one gateway, in keys.db of its data directory, hashed with the pepper beside it. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { KeyStoreError, type KeyStore } from './keys.ts'
import { hmacSha256, readPepper } from './pepper.ts'
import { SqliteTable } from './sqlite-table.ts'
import { StoredKeys, type KeysOptions } from './stored-keys.ts'

export interface KeyStoreOptions extends KeysOptions {
  /** The data directory; made (0700) where it is missing. */
  readonly directory: string
}

const PEPPER_TEST = 'parallax pepper test'

/** Throws KeyStoreError when the files are in use, unreadable or do not belong together. */
export async function openKeyStore (options: KeyStoreOptions): Promise<KeyStore> {
  mkdirSync(options.directory, { recursive: true, mode: 0o700 })
  const table = new SqliteTable(join(options.directory, 'keys.db'))
  try {
    const rows = table.rows()
    const hmac = hmacSha256(readPepper(join(options.directory, 'pepper'), rows.length))
    const expected = table.pepperHash()
    const found = hmac(PEPPER_TEST)
    if (expected === null || rows.length === 0) table.keepPepperHash(found)
    else if (!found.equals(expected)) {
      throw new KeyStoreError(`The pepper in ${options.directory} is not the one that the keys were hashed with. Restore pepper and keys.db from the same backup.`)
    }
    const store = new StoredKeys(table, rows, hmac, options)
    await store.settle().catch(() => {}) // a log that is down shows itself at readiness; the leaves stay owed
    return store
  } catch (error) {
    table.close()
    throw error
  }
}
