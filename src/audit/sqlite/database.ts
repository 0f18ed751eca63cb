/** Opens the log's database as its promise wants it: WAL, every commit fsynced, erased means overwritten. Asserts each, for a silent default would break the promise. */
import { closeSync, existsSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { migrate } from './schema.ts'

const BUSY_MS = 5000
/** So much may lie in the write-ahead log (32 MB) before a commit folds it: with a thread that does so all the time it never comes to that. */
const UNFOLDED_PAGES = 8000
/** About a second of reading. */
const CHECKED_BYTES = 256 * 1024 * 1024

const pragma = (db: DatabaseSync, name: string): unknown => Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0]

/** `maxPages` bounds the file; for tests of a full disk. Throws where the file is not a whole log of ours. */
export function openForWriting (directory: string, maxPages?: number): DatabaseSync {
  const file = join(directory, 'audit.db')
  let db: DatabaseSync | undefined
  try {
    // SQLite gives its side files the mode of the database: made by us, so that nobody else can read a transcript
    if (!existsSync(file)) closeSync(openSync(file, 'a', 0o600))
    db = new DatabaseSync(file, { timeout: BUSY_MS })
    db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA wal_autocheckpoint = ${UNFOLDED_PAGES}`)
    if (maxPages !== undefined) db.exec(`PRAGMA max_page_count = ${maxPages}`)
    // 2 is FULL, by SQLite's documentation
    for (const [name, wanted] of [['journal_mode', 'wal'], ['synchronous', 2], ['foreign_keys', 1]] as const) {
      const got = pragma(db, name)
      if (got !== wanted) throw new Error(`SQLite runs with ${name}=${String(got)} where ${wanted} is wanted; the file system may not support it.`)
    }
    // the whole file is read for it: a large log is looked at where it matters, by the check of its right edge, and SQLite tells of a broken page when it meets one
    const bytes = Number(pragma(db, 'page_count')) * Number(pragma(db, 'page_size'))
    const check = bytes > CHECKED_BYTES ? 'ok' : pragma(db, 'quick_check(1)')
    if (check !== 'ok') throw new Error(`SQLite finds it damaged: ${String(check)}`)
    migrate(db)
    return db
  } catch (cause) {
    db?.close()
    throw new Error(`The audit log ${file} cannot be opened: ${(cause as Error).message}. It was left as it is; restore it from a backup, or look into the cause first.`, { cause })
  }
}

export const openForReading = (directory: string): DatabaseSync => new DatabaseSync(join(directory, 'audit.db'), { readOnly: true, timeout: BUSY_MS })
