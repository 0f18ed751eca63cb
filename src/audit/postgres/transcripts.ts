/** What the PostgreSQL log knows of its transcripts, for erasure, holds and expiry. Reads only. */
import { subjectOf } from '../entry.ts'
import { holdsOf, type NamedRow } from '../holds.ts'
import type { Transcripts } from '../log.ts'
import type { Database } from '../../database/database.ts'
import { HELD } from './effects.ts'
import type { Reader } from './reader.ts'

/** Transcripts that one leaf lets expire. */
const EXPIRE_AT_ONCE = 1000

export function postgresTranscripts ({ db, reader, subjectKey, size }: { readonly db: Database, readonly reader: Reader, readonly subjectKey: Uint8Array, readonly size: () => number }): Transcripts {
  return {
    async ofUser (owner, limit, afterIndex = -1) {
      const { rows } = await db.query<{ record: string, index: number }>('SELECT record, max(idx) AS index FROM parallax.payload WHERE subject = $1 AND state = \'present\' AND idx > $2 GROUP BY record ORDER BY index LIMIT $3', [subjectOf(subjectKey, owner), afterIndex, limit])
      return rows
    },
    async held (records) {
      const { rows } = await db.query<{ record: string, name: string }>(`SELECT DISTINCT ON (record) record, name FROM parallax.payload JOIN parallax.hold ON kind = 'all' OR (kind = 'tenant' AND value = payload.tenant)
        OR (kind = 'user' AND value = payload.subject) OR (kind = 'record' AND value = payload.record::text) WHERE state = 'present' AND record = ANY($1::uuid[])`, [records])
      return new Map(rows.map(({ record, name }) => [record, name]))
    },
    async open (records) {
      const { rows } = await db.query<{ id: string }>('SELECT id FROM parallax.open_record WHERE id = ANY($1::uuid[])', [records])
      return new Set(rows.map((row) => row.id))
    },
    async holds () {
      return holdsOf((await db.query<NamedRow>('SELECT name, kind, value FROM parallax.hold ORDER BY name, value')).rows)
    },
    async expirable (olderThan) {
      const before = await reader.firstAt(olderThan, size())
      const { rows } = await db.query<{ from: number | null, before: number | null, count: number }>(`SELECT min(idx) AS from, max(idx) + 1 AS before, count(*) AS count FROM
        (SELECT idx FROM parallax.payload WHERE state = 'present' AND idx < $1 AND idx >= coalesce((SELECT value::bigint FROM parallax.meta WHERE name = 'expired_before'), 0) AND NOT ${HELD} ORDER BY idx LIMIT ${EXPIRE_AT_ONCE}) AS old`, [before])
      const { from, before: until, count } = rows[0]!
      return from === null ? null : { from, before: until!, count }
    },
  }
}
