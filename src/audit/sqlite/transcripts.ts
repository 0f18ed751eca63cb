/** What the SQLite log knows of its transcripts, for erasure, holds and expiry. Reads only. */
import type { DatabaseSync } from 'node:sqlite'
import { subjectOf } from '../entry.ts'
import { holdsOf, type NamedRow } from '../holds.ts'
import type { Transcripts } from '../log.ts'
import { HELD } from './effects.ts'
import type { Reader } from './reader.ts'

/** Transcripts that one leaf lets expire, and leaves that are looked at in one go. */
const EXPIRE_AT_ONCE = 1000
const LOOK_AT = 20_000

interface Rooms {
  readonly db: DatabaseSync
  readonly reader: Reader
  readonly subjectKey: () => Uint8Array
  readonly size: () => number
}

export function sqliteTranscripts ({ db, reader, subjectKey, size }: Rooms): Transcripts {
  const ofUser = db.prepare('SELECT coalesce(leaf.begin, leaf.id) AS record, max(payload.idx) AS idx FROM payload JOIN leaf ON leaf.idx = payload.idx WHERE subject = ? AND state = \'present\' AND payload.idx > ? GROUP BY record ORDER BY idx LIMIT ?')
  const held = db.prepare(`SELECT hold.name FROM hold, payload JOIN leaf ON leaf.idx = payload.idx WHERE payload.state = 'present' AND leaf.idx IN (SELECT idx FROM leaf WHERE id = ? UNION SELECT idx FROM leaf WHERE begin = ?)
    AND (kind = 'all' OR (kind = 'tenant' AND value = payload.tenant) OR (kind = 'user' AND value = payload.subject) OR (kind = 'record' AND value = coalesce(leaf.begin, leaf.id))) LIMIT 1`)
  const open = db.prepare('SELECT 1 FROM open_record WHERE id = ?')
  const present = db.prepare(`SELECT payload.idx FROM payload WHERE state = 'present' AND payload.idx >= ? AND payload.idx < ? AND NOT ${HELD} ORDER BY payload.idx LIMIT ?`)
  return {
    async ofUser (owner, limit, afterIndex = -1) {
      return (ofUser.all(subjectOf(subjectKey(), owner), afterIndex, limit) as { record: string, idx: number }[]).map(({ record, idx }) => ({ record, index: idx }))
    },
    async held (records) {
      return new Map(records.flatMap((record) => {
        const row = held.get(record, record) as { name: string } | undefined
        return row ? [[record, row.name] as const] : []
      }))
    },
    async open (records) { return new Set(records.filter((record) => open.get(record) !== undefined)) },
    async holds () { return holdsOf(db.prepare('SELECT name, kind, value FROM hold ORDER BY name').all() as unknown as NamedRow[]) },
    async expirable (olderThan) {
      const before = reader.firstAt(olderThan, size())
      const done = db.prepare('SELECT value FROM meta WHERE name = \'expired_before\'').get() as { value: string } | undefined
      for (let from = Number(done?.value ?? 0); from < before; from += LOOK_AT) {
        const rows = present.all(from, Math.min(from + LOOK_AT, before), EXPIRE_AT_ONCE) as { idx: number }[]
        if (rows.length > 0) return { from: rows[0]!.idx, before: rows.at(-1)!.idx + 1, count: rows.length }
        await new Promise((resolve) => { setImmediate(resolve) })
      }
      return null
    },
  }
}
