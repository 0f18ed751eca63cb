/** PostgreSQL keeps the old version of a changed row until it is vacuumed, and does not overwrite the space that it then frees: docs/operations.md says what that means for an erasure. Its WAL and its archive are the operator's to bound. */
import type { Database } from './database.ts'

/** So long is waited for it; the server goes on all the same. */
const WAIT_MS = 5000

/** To be called after the commit. Beside the other work, for a large table takes minutes; one at a time, and once more for what came meanwhile. `table`: a name of ours, never anybody's input. */
export function vacuum (db: Database, table: string): () => void {
  let running = false
  let again = false
  return function ask (): void {
    if (running) { again = true; return }
    running = true
    again = false
    // one that runs already, another replica's or our own, is not waited for: then autovacuum does it
    db.query({ text: `VACUUM (SKIP_LOCKED) ${table}`, query_timeout: WAIT_MS } as { text: string }).catch(() => {}).finally(() => {
      running = false
      if (again) ask()
    })
  }
}
