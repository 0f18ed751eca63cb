/** Changing the key that signs the PostgreSQL log: kept sealed in the database, for all replicas. */
import { newSeed } from '../note.ts'
import type { LogKeyChange } from '../open.ts'
import { readKeks, type KekOptions } from '../seal/keyring.ts'
import { signerFor } from '../signing-key.ts'
import { openDatabase } from '../../database/database.ts'
import { replicaId } from './replica.ts'
import { adopt, nobodyElse, replaceLogKey } from './sealing.ts'

/** Rejects, for people, where other replicas live on the log. */
export async function postgresLogKey ({ directory, url, origin, kek }: { readonly directory: string, readonly url: string, readonly origin?: string | undefined, readonly kek?: KekOptions }): Promise<LogKeyChange> {
  const { ring } = readKeks(directory, kek)
  const replica = replicaId(directory)
  const db = await openDatabase(url)
  try {
    await nobodyElse(db, replica)
    const secrets = await adopt(db, ring)
    const present = signerFor(secrets.log_key, origin ?? secrets.origin, secrets.previous)
    const seed = newSeed()
    const previous = [...present.previous, present.verifier]
    return {
      from: present.verifier,
      to: signerFor(seed, present.name).verifier,
      async adopt () {
        const again = await openDatabase(url)
        try { await replaceLogKey(again, ring, { seed, name: present.name, previous, replica }) } finally { await again.end() }
      },
    }
  } finally {
    await db.end()
  }
}
