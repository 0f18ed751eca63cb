/** What was said of answers, in the PostgreSQL that replicas share. Comments lie there sealed, each under a key of its own. */
import { keyringOf } from '../audit/seal/keyring.ts'
import { newRecordKey, seal, unseal } from '../audit/seal/seal.ts'
import type { Database } from '../database/database.ts'
import { vacuum } from '../database/vacuum.ts'
import type { FeedbackStore, Given, KeyCount } from './feedback.ts'
import { COLUMNS, givenOf, rowOf, type Comments, type Row } from './row.ts'

function sealedUnder (key: Uint8Array): Comments {
  const ring = keyringOf([key])
  return {
    hide (id, comment) {
      const own = newRecordKey(ring.current)
      return { comment: seal(own, id, Buffer.from(comment)), comment_key: own.wrapped }
    },
    show: (id, comment, wrapped) => unseal(ring, ring.current.id, wrapped!, id, comment).toString(),
  }
}

const NAMES = COLUMNS.join(', ')
const SILENT = COLUMNS.map((name) => name === 'comment' ? 'NULL AS comment' : name).join(', ')
const PUT = `INSERT INTO parallax.feedback (${NAMES}) VALUES (${COLUMNS.map((_, at) => `$${at + 1}`).join(', ')})
  ON CONFLICT (key, thing) DO UPDATE SET ${COLUMNS.map((name) => `${name} = excluded.${name}`).join(', ')} RETURNING xmax = 0 AS inserted`
const COUNTS = `SELECT key, count(*) FILTER (WHERE verdict = 'good') AS good, count(*) FILTER (WHERE verdict = 'bad') AS bad,
  count(*) FILTER (WHERE verdict = 'choice') AS choices, count(consent_version) AS consented FROM parallax.feedback GROUP BY key ORDER BY key`

/** `key`: 32 bytes that all replicas have. The database is its owner's to close. */
export function postgresFeedback (database: Database, key: Uint8Array): FeedbackStore {
  const comments = sealedUnder(key)
  const vacuumed = vacuum(database, 'parallax.feedback')
  const rows = async (sql: string, values: unknown[]): Promise<Given[]> => (await database.query<Row>(sql, values)).rows.map((row) => givenOf(row, comments))
  const one = async (sql: string, values: unknown[]): Promise<Given | null> => (await rows(sql, values))[0] ?? null
  const select = `SELECT ${NAMES} FROM parallax.feedback`

  return {
    async put (given, thing) {
      const row = rowOf(given, thing, comments)
      const { rows: [done] } = await database.query<{ inserted: boolean }>(PUT, COLUMNS.map((name) => row[name]))
      // an older one stood in its place
      if (!done!.inserted) vacuumed()
    },
    same: (by, thing) => one(`${select} WHERE key = $1 AND thing = $2`, [by, thing]),
    byId: (id) => one(`${select} WHERE id = $1`, [id]),
    ofTenant: (tenant, after, limit) => rows(`${select} WHERE tenant = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3`, [tenant, after, limit]),
    all: (after, limit, consent) => rows(`SELECT ${SILENT} FROM parallax.feedback WHERE ($1::uuid IS NULL OR id > $1) AND ($2::boolean IS NULL OR (consent_version IS NOT NULL) = $2) ORDER BY id LIMIT $3`, [after, consent ?? null, limit]),
    about: (records) => rows(`${select} WHERE record = ANY($1::uuid[]) OR over_record = ANY($1::uuid[])`, [records]),
    between: (from, before) => rows(`${select} WHERE (idx >= $1 AND idx < $2) OR (over_idx >= $1 AND over_idx < $2)`, [from, before]),
    async remove (ids) {
      await database.query('DELETE FROM parallax.feedback WHERE id = ANY($1::uuid[])', [ids])
      vacuumed()
    },
    counts: async () => (await database.query<KeyCount>(COUNTS)).rows,
    followed: async () => (await database.query<{ leaves: number }>('SELECT leaves FROM parallax.feedback_followed')).rows[0]!.leaves,
    async followedTo (leaves, from) { await database.query('UPDATE parallax.feedback_followed SET leaves = $1 WHERE leaves = $2', [leaves, from]) },
    close () {},
  }
}
