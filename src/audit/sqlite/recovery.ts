/** Which records the SQLite log holds open. */
import type { DatabaseSync } from 'node:sqlite'
import type { LeafDraft } from '../log.ts'
import { endsFor, type Began } from '../recovery.ts'

/** The end records that are missing. Nothing is appended here. */
export function missingEnds (db: DatabaseSync, journalled: ReadonlyMap<string, ReadonlyMap<number, Uint8Array>>): LeafDraft[] {
  const open = db.prepare('SELECT leaf.id, leaf.entry, payload.tenant, payload.subject FROM open_record JOIN leaf ON leaf.id = open_record.id LEFT JOIN payload ON payload.idx = leaf.idx ORDER BY leaf.idx').all() as unknown as Began[]
  const ended = db.prepare('SELECT entry FROM leaf WHERE begin = ?')
  return endsFor(open.map((one) => ({
    ...one,
    ended: (ended.all(one.id) as { entry: Uint8Array }[]).map(({ entry }) => (JSON.parse(Buffer.from(entry).toString('utf8')) as { choice?: number }).choice ?? 0),
  })), journalled)
}
