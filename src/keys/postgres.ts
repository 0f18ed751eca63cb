/** The keys of all gateways on one PostgreSQL: each has them in memory, and hears within half a second of what the others change. */
import { ParallaxError } from '../errors.ts'
import type { Database } from '../database/database.ts'
import type { KeyStore } from './keys.ts'
import { hmacSha256 } from './pepper.ts'
import { PostgresTable } from './postgres-table.ts'
import { StoredKeys, type KeysOptions } from './stored-keys.ts'
import { ChangedElsewhere, type KeyTable } from './table.ts'

const HEAR_MS = 500

export interface PostgresKeysOptions extends Omit<KeysOptions, 'reload'> {
  /** Its tables are there; it outlives the keys. */
  readonly database: Database
  /** The same for all gateways, and kept elsewhere than the hashes. */
  readonly pepper: Uint8Array
  readonly hearMs?: number
}

/** Rejects with what the database says. */
export async function openPostgresKeys ({ database, pepper, hearMs = HEAR_MS, ...options }: PostgresKeysOptions): Promise<KeyStore> {
  const table = new PostgresTable(database)
  // read before the rows: a change in between is heard once more
  let heard = await table.change()
  const reload = async (): Promise<void> => {
    const change = await table.change()
    if (change === heard) return
    store.replace(await table.rows())
    heard = change
  }
  const store: StoredKeys = new StoredKeys(told(table), await table.rows(), hmacSha256(pepper), { ...options, reload })
  let hearing = Promise.resolve()
  let busy = false
  const timer = setInterval(() => {
    if (busy) return
    busy = true
    // a database that is away is the log's as well: nobody is answered until it is back
    hearing = reload().catch(() => {}).finally(() => { busy = false })
  }, hearMs).unref()
  await store.settle().catch(() => {}) // a log that is down shows itself at readiness; the leaves stay owed
  const close = store.close.bind(store)
  store.close = async () => {
    clearInterval(timer)
    await hearing
    await close()
  }
  return store
}

/** What a table says, as callers hear it. */
function told (table: KeyTable): KeyTable {
  return {
    async apply (change) {
      try { await table.apply(change) } catch (cause) {
        if (cause instanceof ChangedElsewhere || cause instanceof ParallaxError) throw cause
        throw new ParallaxError('audit_unavailable', 'The database of the keys could not keep the change, so it was not made. See /readyz for the reason.', { cause })
      }
    },
    owed: () => table.owed(),
    settled: (leaf) => table.settled(leaf),
    touch: (used) => table.touch(used),
    close: () => table.close(),
  }
}
