/**
 * What the gateways on one PostgreSQL database share beside the log: a few connections for the stores of other rooms, and keys that all of
 * them derive from a secret of the log's, which lies in the database sealed under the key-encryption key. Knows nothing of those stores.
 */
import { hkdfSync } from 'node:crypto'
import { addressOf, openDatabase, type Database } from '../../database/database.ts'
import { readKeks, type KekOptions } from '../seal/keyring.ts'
import { adopt } from './sealing.ts'

export interface Shared {
  /** Its tables are there. */
  readonly database: Database
  /** 32 bytes, the same for all gateways on this database, for this purpose only; they outlive a rotation of the key-encryption key. */
  key (purpose: string): Uint8Array
  close (): Promise<void>
}

/** For all stores together: what they ask is short and by an index. */
const CONNECTIONS = 4
const KEY_BYTES = 32

/** Rejects, for people, as the log's own opening does. */
export async function openShared ({ url, directory, kek }: { readonly url: string, readonly directory: string, readonly kek?: KekOptions | undefined }): Promise<Shared> {
  const { ring } = readKeks(directory, kek)
  const database = await openDatabase(url, CONNECTIONS)
  try {
    const { subject_key: secret } = await adopt(database, ring).catch((cause: unknown) => { throw new Error(`The database at ${addressOf(url)} cannot be used: ${(cause as Error).message}`, { cause }) })
    return {
      database,
      key: (purpose) => new Uint8Array(hkdfSync('sha256', secret, Buffer.alloc(0), `parallax shared ${purpose}`, KEY_BYTES)),
      close: () => database.end(),
    }
  } catch (error) {
    await database.end().catch(() => {})
    throw error
  }
}
