/** What a leaf does to transcripts in its own transaction: erase, let expire, hold, lift. */
import type { StoreEffect } from '../entry.ts'
import type { Connection } from '../../database/database.ts'

/** True for a payload that some hold covers. */
export const HELD = `EXISTS (SELECT 1 FROM parallax.hold WHERE kind = 'all' OR (kind = 'tenant' AND value = payload.tenant)
  OR (kind = 'user' AND value = payload.subject) OR (kind = 'record' AND value = payload.record::text))`

const REMOVED = 'salt = NULL, bytes = NULL, kek = NULL, wrapped = NULL, subject = NULL'

const meta = (db: Connection, name: string, value: string): Promise<unknown> =>
  db.query('INSERT INTO parallax.meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value', [name, value])

/** Inside a transaction. True where bytes were removed. */
export async function applyEffect (db: Connection, effect: Exclude<StoreEffect, { rewrapped: string }>): Promise<boolean> {
  if ('erase' in effect) {
    await db.query(`UPDATE parallax.payload SET state = 'erased', ${REMOVED} WHERE state = 'present' AND record = ANY($1::uuid[]) AND NOT ${HELD}`, [effect.erase])
    return true
  }
  if ('expire' in effect) {
    await db.query(`UPDATE parallax.payload SET state = 'expired', ${REMOVED} WHERE state = 'present' AND idx >= $1 AND idx < $2 AND NOT ${HELD}`, [effect.expire.from, effect.expire.before])
    await meta(db, 'expired_before', String(effect.expire.before))
    return true
  }
  if ('hold' in effect) {
    const { name, rows } = effect.hold
    await db.query('INSERT INTO parallax.hold (name, kind, value) SELECT $1, * FROM unnest($2::text[], $3::text[]) ON CONFLICT DO NOTHING', [name, rows.map((row) => row.kind), rows.map((row) => row.value)])
  } else {
    await db.query('DELETE FROM parallax.hold WHERE name = $1', [effect.lift])
    // what was held may be overdue
    await meta(db, 'expired_before', '0')
  }
  return false
}
