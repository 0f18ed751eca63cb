/** What a leaf does to transcripts in its own transaction: erase, let expire, hold, lift. What was removed is overwritten (`secure_delete`). */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { StoreEffect } from '../entry.ts'

/** True for a payload (joined with its leaf) that some hold covers. */
export const HELD = `EXISTS (SELECT 1 FROM hold WHERE (kind = 'all') OR (kind = 'tenant' AND value = payload.tenant)
  OR (kind = 'user' AND value = payload.subject) OR (kind = 'record' AND value IN (SELECT coalesce(leaf.begin, leaf.id) FROM leaf WHERE leaf.idx = payload.idx)))`

const REMOVED = 'salt = NULL, bytes = NULL, kek = NULL, wrapped = NULL, subject = NULL'

/** A folding takes as long as some megabytes take to reach the disk. */
const FOLDING_MS = 2000
const NOBODY = new Int32Array(new SharedArrayBuffer(4))

export class Effects {
  readonly #erase: StatementSync
  readonly #expire: StatementSync
  readonly #hold: StatementSync
  readonly #lift: StatementSync
  readonly #meta: StatementSync
  readonly #truncate: StatementSync

  constructor (db: DatabaseSync) {
    this.#erase = db.prepare(`UPDATE payload SET state = 'erased', ${REMOVED} WHERE state = 'present' AND idx IN (SELECT idx FROM leaf WHERE id = ? UNION SELECT idx FROM leaf WHERE begin = ?) AND NOT ${HELD}`)
    this.#expire = db.prepare(`UPDATE payload SET state = 'expired', ${REMOVED} WHERE state = 'present' AND idx >= ? AND idx < ? AND NOT ${HELD}`)
    this.#hold = db.prepare('INSERT OR IGNORE INTO hold (name, kind, value) VALUES (?, ?, ?)')
    this.#lift = db.prepare('DELETE FROM hold WHERE name = ?')
    this.#truncate = db.prepare('PRAGMA wal_checkpoint(TRUNCATE)')
    this.#meta = db.prepare('INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)')
  }

  /** Inside a transaction. True where bytes were removed. */
  apply (effect: Exclude<StoreEffect, { rewrapped: string }>): boolean {
    if ('erase' in effect) {
      for (const record of effect.erase) this.#erase.run(record, record)
      return true
    }
    if ('expire' in effect) {
      this.#expire.run(effect.expire.from, effect.expire.before)
      this.#meta.run('expired_before', String(effect.expire.before))
      return true
    }
    if ('hold' in effect) for (const { kind, value } of effect.hold.rows) this.#hold.run(effect.hold.name, kind, value)
    else {
      this.#lift.run(effect.lift)
      // what was held may be overdue
      this.#meta.run('expired_before', '0')
    }
    return false
  }

  /**
   * After the commit: the removed pages must not live on in the write-ahead log. Readers may hold it up until the next time; a folding that is
   * under way on the other thread is waited for, since SQLite itself does not wait for one.
   */
  forget (): void {
    const until = performance.now() + FOLDING_MS
    // -1: the checkpoint's lock is another's
    while (this.#truncate.get()!['log'] === -1 && performance.now() < until) Atomics.wait(NOBODY, 0, 0, 2)
  }
}
