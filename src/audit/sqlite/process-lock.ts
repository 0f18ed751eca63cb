/** One process per SQLite log. The lock is SQLite's own, on a database beside the log, so that it dies with its process. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** Throws where another process holds the directory, naming it and the remedy. Returns the release. */
export function lockDirectory (directory: string): () => void {
  const pidFile = join(directory, 'audit.pid')
  const db = new DatabaseSync(join(directory, 'audit.lock'), { timeout: 0 })
  try {
    db.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; CREATE TABLE IF NOT EXISTS held (x); COMMIT; BEGIN EXCLUSIVE')
  } catch (cause) {
    db.close()
    let holder = 'another process'
    try { holder = `process ${readFileSync(pidFile, 'utf8').trim()}` } catch { /* it has not said who it is yet */ }
    throw new Error(`The audit log in ${directory} is in use by ${holder}. Stop that one, or set DATA_DIR to another directory: two processes would write two histories.`, { cause })
  }
  try { writeFileSync(pidFile, `${process.pid}\n`, { mode: 0o600 }) } catch (cause) {
    db.close()
    throw new Error(`The data directory ${directory} cannot be written: ${(cause as Error).message}. Make it writable, or set DATA_DIR to another directory.`, { cause })
  }
  return () => { db.close() }
}
