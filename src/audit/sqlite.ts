/** The audit log on SQLite, for one process. Everything it promises is in log.ts. */
import { mkdirSync } from 'node:fs'
import { openForReading } from './sqlite/database.ts'
import { Journal, readJournal } from './journal.ts'
import type { AuditLog } from './log.ts'
import { lockDirectory } from './sqlite/process-lock.ts'
import { CommitQueue, type QueueLimits } from './queue.ts'
import { Reader } from './sqlite/reader.ts'
import { missingEnds } from './sqlite/recovery.ts'
import { readKeks, type KekOptions } from './seal/keyring.ts'
import { keksInUse, subjectKey } from './sqlite/sealing.ts'
import { sqliteTranscripts } from './sqlite/transcripts.ts'
import { logSigner } from './signing-key.ts'
import { lossOf, type AcceptedRestore } from './restore.ts'
import { ownLeaf, StoredLog } from './stored-log.ts'
import { checkTree, sqliteTree } from './sqlite/tree.ts'
import { directWriter, threadWriter } from './sqlite/writer.ts'
import type { SequencerOptions } from './sqlite/sequencer.ts'

export interface SqliteLogOptions {
  /** Made where it is missing (mode 0700). */
  readonly directory: string
  readonly limits?: Partial<QueueLimits>
  /** The log's name in its checkpoints; once chosen it stays. Default: made from its key. */
  readonly origin?: string | undefined
  /** Where the key-encryption keys come from; absent: a file in the directory. */
  readonly kek?: KekOptions | undefined
  /** Goes on from a database that was set back, with the loss on record. Rejects where nothing was lost. */
  readonly acceptRestore?: AcceptedRestore | undefined
  /** For tests: no thread, but a clock and faults of their own. */
  readonly direct?: SequencerOptions
  /** For tests of a full disk. */
  readonly maxPages?: number
}

const LIMITS: QueueLimits = { entries: 20_000, bytes: 256 * 1024 * 1024, probeMs: 1000 }
const RECOVERY_GROUP = 500

/** Rejects, with a sentence for people, where another process holds the directory or the file is not a whole log. */
export async function openSqliteLog ({ directory, limits, origin, kek, acceptRestore, direct, maxPages }: SqliteLogOptions): Promise<AuditLog> {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const unlock = lockDirectory(directory)
  let queue: CommitQueue | undefined
  let reader: Reader | undefined
  try {
    const signer = logSigner(directory, origin)
    const keks = readKeks(directory, kek)
    const { ring } = keks
    const options = { directory, origin, keks: ring.all.map((one) => one.raw), maxPages }
    const writer = direct ? directWriter(options, direct) : await threadWriter(options)
    const db = openForReading(directory)
    reader = new Reader(db, ring)
    const secret = subjectKey(db, ring)
    const commits = queue = new CommitQueue(writer, { ...LIMITS, ...limits }, secret)
    const loss = await lossOf(acceptRestore, () => checkTree(db, directory, signer))
    const ends = missingEnds(db, readJournal(directory, ring))
    for (let at = 0; at < ends.length; at += RECOVERY_GROUP) await queue.append(ends.slice(at, at + RECOVERY_GROUP))
    await queue.append([...loss, ownLeaf('log.start', { recovered: ends.length })])
    const tree = sqliteTree(db, signer, () => commits.checkpoint!)
    const transcripts = sqliteTranscripts({ db, reader, subjectKey: () => secret, size: () => commits.size })
    return new StoredLog({ queue, reader, tree, transcripts, journal: new Journal(directory, ring), keks, keksInUse: async () => keksInUse(db), release: unlock })
  } catch (error) {
    reader?.close()
    await queue?.close().catch(() => {})
    unlock()
    throw error
  }
}
