/** The one choice between the stores of keys: the database that gateways share, where there is one, so that a key works on all of them; else keys.db in the data directory. */
import type { Shared } from '../audit/postgres/shared.ts'
import type { KeyStore } from './keys.ts'
import type { KeysOptions } from './stored-keys.ts'

/** Throws KeyStoreError. */
export async function openKeys (shared: Shared | null, directory: string, options: Omit<KeysOptions, 'reload'>): Promise<KeyStore> {
  // loaded when it is chosen: the other one's driver is then neither loaded nor needed
  return shared === null
    ? (await import('./sqlite.ts')).openKeyStore({ directory, ...options })
    : (await import('./postgres.ts')).openPostgresKeys({ database: shared.database, pepper: shared.key('keys'), ...options })
}
