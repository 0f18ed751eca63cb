/**
 * The thread that folds the write-ahead log into the database (SQLite's checkpoint) while the writer goes on. At a commit it would hold up
 * every begin record behind it for as long as some megabytes take to reach the disk. Fails in silence: then the writer does it itself, later.
 */
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'

export interface FoldingData { readonly directory: string }
export type ToFolding = 'fold' | 'close'

const db = new DatabaseSync(join((workerData as FoldingData).directory, 'audit.db'))
// PASSIVE waits for nobody and is waited for by nobody
const fold = db.prepare('PRAGMA wal_checkpoint(PASSIVE)')

parentPort!.on('message', (message: ToFolding) => {
  if (message === 'fold') {
    try { fold.get() } catch { /* tried again after the next groups */ }
  } else {
    db.close()
    parentPort!.close()
  }
})
