/** draws.db: the epochs' secrets and the conversations that keep one. One process at a time, like the log beside it. */
import { join } from 'node:path'
import { openSqliteFile } from '../database/sqlite-file.ts'
import type { Epoch, EpochStore } from './epochs.ts'

/** Numbered by their place, forward only. */
const MIGRATIONS: readonly string[] = [
  `CREATE TABLE epoch (epoch INTEGER PRIMARY KEY, secret BLOB NOT NULL, until INTEGER NOT NULL, leaf TEXT NOT NULL, committed INTEGER NOT NULL, revealed INTEGER NOT NULL DEFAULT 0) STRICT;
   CREATE TABLE conversation (name TEXT PRIMARY KEY, epoch INTEGER NOT NULL, used INTEGER NOT NULL) STRICT, WITHOUT ROWID;
   CREATE INDEX conversation_used ON conversation (used);`,
]

const rowOf = (row: Record<string, unknown> | undefined): Epoch | null => row
  ? { epoch: row['epoch'] as number, secret: row['secret'] as Uint8Array, until: row['until'] as number, leaf: row['leaf'] as string, committed: row['committed'] === 1 }
  : null

/** Throws where the file cannot be opened, or is newer than this program. */
export function sqliteEpochs (directory: string): EpochStore {
  const db = openSqliteFile(join(directory, 'draws.db'), { pragmas: 'PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL', steps: MIGRATIONS })
  const latest = db.prepare('SELECT * FROM epoch ORDER BY epoch DESC LIMIT 1')
  const byNumber = db.prepare('SELECT * FROM epoch WHERE epoch = ?')
  const insert = db.prepare('INSERT INTO epoch (epoch, secret, until, leaf, committed) VALUES (?, ?, ?, ?, 0)')
  const unrevealed = db.prepare('SELECT * FROM epoch WHERE revealed = 0 AND committed = 1 AND until < ? ORDER BY epoch')
  const keep = db.prepare('INSERT INTO conversation VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET used = max(used, excluded.used) RETURNING epoch')

  return {
    latest: async () => rowOf(latest.get()),
    byNumber: async (epoch) => rowOf(byNumber.get(epoch)),
    async begin (next, after) {
      const newest = rowOf(latest.get())
      if ((newest?.epoch ?? null) !== after) return newest!
      // a secret whose hash is in the log must not be lost to a power failure; a conversation may be
      db.exec('PRAGMA synchronous = FULL')
      try { insert.run(next.epoch, next.secret, next.until, next.leaf) } finally { db.exec('PRAGMA synchronous = NORMAL') }
      return next
    },
    async committed (epoch) { db.prepare('UPDATE epoch SET committed = 1 WHERE epoch = ?').run(epoch) },
    unrevealed: async (before) => unrevealed.all(before).map((row) => rowOf(row)!),
    async revealed (epoch) { db.prepare('UPDATE epoch SET revealed = 1 WHERE epoch = ?').run(epoch) },
    keep: async (conversation, epoch, now) => (keep.get(conversation, epoch, now) as { epoch: number }).epoch,
    async forget (before) { db.prepare('DELETE FROM conversation WHERE used < ?').run(before) },
    close () { if (db.isOpen) db.close() },
  }
}
