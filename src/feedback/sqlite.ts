/** feedback.db: what was said of answers, in a file that only its owner may read. What is removed is overwritten (`secure_delete`). */
import { join } from 'node:path'
import { openSqliteFile } from '../database/sqlite-file.ts'
import type { FeedbackStore, Given, KeyCount } from './feedback.ts'
import { COLUMNS, givenOf, rowOf, type Comments, type Row } from './row.ts'

/** Numbered by their place, forward only. */
const STEPS: readonly string[] = [
  `CREATE TABLE feedback (
     id TEXT PRIMARY KEY, tenant TEXT NOT NULL, key TEXT NOT NULL, thing TEXT NOT NULL, verdict TEXT NOT NULL CHECK (verdict IN ('good', 'bad', 'choice')),
     record TEXT NOT NULL, idx INTEGER NOT NULL, choice INTEGER NOT NULL, perspective TEXT NOT NULL, adapter TEXT,
     over_record TEXT, over_idx INTEGER, over_choice INTEGER, over_perspective TEXT, over_adapter TEXT,
     comment BLOB, comment_key BLOB, consent_version TEXT, salt BLOB NOT NULL, at INTEGER NOT NULL,
     UNIQUE (key, thing)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX feedback_tenant ON feedback (tenant, id);
   CREATE INDEX feedback_record ON feedback (record);
   CREATE INDEX feedback_over_record ON feedback (over_record) WHERE over_record IS NOT NULL;
   CREATE INDEX feedback_idx ON feedback (idx);
   CREATE INDEX feedback_over_idx ON feedback (over_idx) WHERE over_idx IS NOT NULL;
   CREATE TABLE followed (leaves INTEGER NOT NULL) STRICT;
   INSERT INTO followed VALUES (0);`,
]

/** A journal that goes with its transaction: nothing that was removed lingers in a WAL. */
const PRAGMAS = 'PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON'

/** The file is the operator's own, like the gateway's other files. */
const OPEN: Comments = {
  hide: (_, comment) => ({ comment: Buffer.from(comment), comment_key: null }),
  show: (_, comment) => Buffer.from(comment).toString(),
}

/** Throws where the file cannot be opened, or is newer than this program. */
export function sqliteFeedback (directory: string): FeedbackStore {
  const db = openSqliteFile(join(directory, 'feedback.db'), { pragmas: PRAGMAS, steps: STEPS })
  const given = (rows: unknown[]): Given[] => (rows as Row[]).map((row) => givenOf(row, OPEN))
  const one = (row: unknown): Given | null => row === undefined ? null : givenOf(row as Row, OPEN)
  const put = db.prepare(`REPLACE INTO feedback (${COLUMNS.join(', ')}) VALUES (${COLUMNS.map(() => '?').join(', ')})`)
  const same = db.prepare('SELECT * FROM feedback WHERE key = ? AND thing = ?')
  const byId = db.prepare('SELECT * FROM feedback WHERE id = ?')
  const ofTenant = db.prepare('SELECT * FROM feedback WHERE tenant = ? AND id < ? ORDER BY id DESC LIMIT ?')
  const silent = COLUMNS.map((name) => name === 'comment' ? 'NULL AS comment' : name).join(', ')
  const all = db.prepare(`SELECT ${silent} FROM feedback WHERE id > ?1 AND (?2 IS NULL OR (consent_version IS NOT NULL) = ?2) ORDER BY id LIMIT ?3`)
  const about = db.prepare('SELECT * FROM feedback WHERE record IN (SELECT value FROM json_each(?1)) UNION SELECT * FROM feedback WHERE over_record IN (SELECT value FROM json_each(?1))')
  const between = db.prepare('SELECT * FROM feedback WHERE idx >= ?1 AND idx < ?2 UNION SELECT * FROM feedback WHERE over_idx >= ?1 AND over_idx < ?2')
  const remove = db.prepare('DELETE FROM feedback WHERE id IN (SELECT value FROM json_each(?))')
  const counts = db.prepare(`SELECT key, sum(verdict = 'good') AS good, sum(verdict = 'bad') AS bad, sum(verdict = 'choice') AS choices, sum(consent_version IS NOT NULL) AS consented FROM feedback GROUP BY key ORDER BY key`)

  return {
    async put (what, thing) {
      const row = rowOf(what, thing, OPEN)
      put.run(...COLUMNS.map((name) => row[name]))
    },
    same: async (key, thing) => one(same.get(key, thing)),
    byId: async (id) => one(byId.get(id)),
    ofTenant: async (tenant, after, limit) => given(ofTenant.all(tenant, after ?? '~', limit)),
    all: async (after, limit, consent) => given(all.all(after ?? '', consent === undefined ? null : Number(consent), limit)),
    about: async (records) => given(about.all(JSON.stringify(records))),
    between: async (from, before) => given(between.all(from, before)),
    async remove (ids) { remove.run(JSON.stringify(ids)) },
    counts: async () => counts.all().map((row) => ({ ...row }) as unknown as KeyCount),
    followed: async () => (db.prepare('SELECT leaves FROM followed').get() as { leaves: number }).leaves,
    async followedTo (leaves, from) { db.prepare('UPDATE followed SET leaves = ? WHERE leaves = ?').run(leaves, from) },
    close () { if (db.isOpen) db.close() },
  }
}
