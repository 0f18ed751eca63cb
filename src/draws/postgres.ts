/**
 * The epochs' secrets and the conversations that keep one, in the PostgreSQL that replicas share. A secret lies there sealed until it is
 * revealed: who reads the database, or a backup of it, predicts no draw.
 */
import { keyringOf } from '../audit/seal/keyring.ts'
import { unwrap, wrap } from '../audit/seal/seal.ts'
import { transaction, type Database } from '../database/database.ts'
import type { Epoch, EpochStore } from './epochs.ts'

interface Row { readonly epoch: number, readonly secret: Buffer, readonly until: number, readonly leaf: string, readonly committed: boolean }

const COLUMNS = 'epoch, secret, until, leaf, committed'
const LATEST = `SELECT ${COLUMNS} FROM parallax.draw_epoch ORDER BY epoch DESC LIMIT 1`
/** Replicas that begin an epoch together: one after the other through here. In a statement of its own, so that the next one sees what the last holder did. */
const LOCK = 'SELECT pg_advisory_xact_lock(hashtextextended(\'parallax draws\', 0))'

/** `key`: 32 bytes that all replicas have. The database is its owner's to close. */
export function postgresEpochs (database: Database, key: Uint8Array): EpochStore {
  const ring = keyringOf([key])
  const epochOf = (row: Row | undefined): Epoch | null => row ? { ...row, secret: unwrap(ring, ring.current.id, row.secret) } : null

  return {
    latest: async () => epochOf((await database.query<Row>(LATEST)).rows[0]),
    byNumber: async (epoch) => epochOf((await database.query<Row>(`SELECT ${COLUMNS} FROM parallax.draw_epoch WHERE epoch = $1`, [epoch])).rows[0]),
    begin: (next, after) => transaction(database, async (client) => {
      await client.query(LOCK)
      const newest = epochOf((await client.query<Row>(LATEST)).rows[0])
      if (newest && newest.epoch !== after) return newest
      await client.query('INSERT INTO parallax.draw_epoch (epoch, secret, until, leaf) VALUES ($1, $2, $3, $4)', [next.epoch, wrap(ring, next.secret), next.until, next.leaf])
      return next
    }),
    async committed (epoch) { await database.query('UPDATE parallax.draw_epoch SET committed = true WHERE epoch = $1', [epoch]) },
    unrevealed: async (before) => (await database.query<Row>(`SELECT ${COLUMNS} FROM parallax.draw_epoch WHERE NOT revealed AND committed AND until < $1 ORDER BY epoch`, [before])).rows.map((row) => epochOf(row)!),
    async revealed (epoch) { await database.query('UPDATE parallax.draw_epoch SET revealed = true WHERE epoch = $1', [epoch]) },
    async keep (conversation, epoch, now) {
      const { rows } = await database.query<{ epoch: number }>('INSERT INTO parallax.draw_conversation AS kept (name, epoch, used) VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE SET used = greatest(kept.used, excluded.used) RETURNING epoch', [conversation, epoch, now])
      return rows[0]!.epoch
    },
    async forget (before) { await database.query('DELETE FROM parallax.draw_conversation WHERE used < $1', [before]) },
    close () {},
  }
}
