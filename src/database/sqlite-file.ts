/** A SQLite file of one room's own, with its numbered migrations: only its owner may read it. One process at a time, like the log beside it. */
import { closeSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'

/** `steps`: step n brings a file from version n to n + 1, forward only. Throws, for people, where it cannot be opened or is newer than this program. */
export function openSqliteFile (path: string, { pragmas, steps }: { readonly pragmas: string, readonly steps: readonly string[] }): DatabaseSync {
  closeSync(openSync(path, 'a', 0o600)) // SQLite would make it by the umask
  const db = new DatabaseSync(path, { timeout: 2000 })
  try {
    db.exec(pragmas)
    const { user_version: version } = db.prepare('PRAGMA user_version').get() as { user_version: number }
    if (version > steps.length) throw new Error(`${path} has schema version ${version}, this program knows ${steps.length}. Start the newer program that wrote it.`)
    for (const [at, step] of steps.entries()) if (at >= version) db.exec(`BEGIN; ${step} PRAGMA user_version = ${at + 1}; COMMIT`)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}
