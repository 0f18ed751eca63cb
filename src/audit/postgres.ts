/** The audit log on PostgreSQL, for any number of gateways. Everything it promises is in log.ts. */
import { mkdirSync } from 'node:fs'
import { ParallaxError } from '../errors.ts'
import { Journal, readJournal } from './journal.ts'
import { LatestCheckpoint, readLatestCheckpoint } from './latest-checkpoint.ts'
import type { AuditLog } from './log.ts'
import { addressOf, openDatabase, openPool, reasonOf, type Database } from '../database/database.ts'
import { Reader } from './postgres/reader.ts'
import { endLease, lateAnswers, othersMissingEnds, ownMissingEnds, renewLease, replicaId } from './postgres/replica.ts'
import { adopt, keksInUse, nobodyElse } from './postgres/sealing.ts'
import { Sequencer, type Faults } from './postgres/sequencer.ts'
import { postgresTranscripts } from './postgres/transcripts.ts'
import { checkTree, postgresTree } from './postgres/tree.ts'
import { erasuresFrom } from './postgres/erasures.ts'
import { PendingWriter, type PendingOptions } from './postgres/writer.ts'
import { CommitQueue, isTaken, type QueueLimits } from './queue.ts'
import { readKeks, type KekOptions } from './seal/keyring.ts'
import { lossOf, type AcceptedRestore } from './restore.ts'
import { signerFor } from './signing-key.ts'
import { lockDirectory } from './sqlite/process-lock.ts'
import { ownLeaf, StoredLog } from './stored-log.ts'

export interface PostgresLogOptions {
  /** postgres://user:password@host:port/database; straight to the server, or through a pooler in transaction mode. */
  readonly url: string
  /** This replica's own: its journal, its name, the largest checkpoint it saw. Made where it is missing (mode 0700). */
  readonly directory: string
  readonly limits?: Partial<QueueLimits>
  /** The log's name in its checkpoints; once chosen it stays, and is the same for all replicas. */
  readonly origin?: string | undefined
  /** The same for all replicas. */
  readonly kek?: KekOptions | undefined
  /** Goes on from a database that was set back, with the loss on record. Rejects where nothing was lost. */
  readonly acceptRestore?: AcceptedRestore | undefined
  /** How long after its last sign of life a replica's open records may be closed by another (ms). */
  readonly leaseMs?: number
  /** How often a replica that has nothing to write looks how far the log has come (ms). */
  readonly tendMs?: number
  /** For tests. */
  readonly clock?: () => number
  readonly faults?: Faults & PendingOptions['faults']
}

const LIMITS: QueueLimits = { entries: 20_000, bytes: 256 * 1024 * 1024, probeMs: 1000 }
const RECOVERY_GROUP = 500
const LEASE_MS = 30_000
const TEND_MS = 500
/** So many looks in a row that failed: the database is away. */
const AWAY_LOOKS = 2

/** Rejects, with a sentence for people, where the server cannot be reached, or what it holds is not the log that was signed. */
export async function openPostgresLog ({ url, directory, limits, origin, kek, acceptRestore, leaseMs = LEASE_MS, tendMs = TEND_MS, clock, faults }: PostgresLogOptions): Promise<AuditLog> {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const unlock = lockDirectory(directory)
  const closers: (() => Promise<unknown> | void)[] = [unlock]
  try {
    const keks = readKeks(directory, kek)
    const { ring } = keks
    const db = await openDatabase(url)
    closers.push(() => db.end())
    // before anything is written there: an empty database would be bound to the keys of a directory that is another log's
    if (readLatestCheckpoint(directory) !== null && (await keksInUse(db)).length === 0) throw new Error(`The database at ${addressOf(url)} holds no log, and ${directory} belongs to one. Nothing was changed. To begin a log there, set DATA_DIR to another directory; to go on with the one that was, name its database in DATABASE_URL, or unset it for SQLite.`)
    const reads = openPool(url)
    closers.push(() => reads.end())
    const replica = replicaId(directory)
    // before the keys are read: whoever changes them looks for leases first
    await renewLease(db, replica, leaseMs)
    const secrets = await adopt(db, ring).catch((cause: unknown) => { throw new Error(`The audit log at ${addressOf(url)} cannot be opened: ${(cause as Error).message}`, { cause }) })
    const signer = signerFor(secrets.log_key, origin ?? secrets.origin, secrets.previous)
    const loss = await lossOf(acceptRestore, () => checkTree(db, directory, signer))
    const reader = new Reader(reads, ring)
    const { size } = await headOf(db)
    const sequencer: Sequencer = new Sequencer({ db, signer, ...(clock && { clock }), ...(faults && { faults }) })
    const writer: PendingWriter = new PendingWriter({ db, replica, sequencer, latest: new LatestCheckpoint(directory), ring, ...(faults && { faults }) }, size)
    const queue = new CommitQueue(writer, { ...LIMITS, ...limits }, secrets.subject_key)
    closers.push(() => queue.close())

    // what a life before this one left in `pending` has its place before its ends are looked for
    await writer.settle()
    const journalled = readJournal(directory, ring)
    const ends = await ownMissingEnds(db, replica, journalled)
    for (let at = 0; at < ends.length; at += RECOVERY_GROUP) await queue.append(ends.slice(at, at + RECOVERY_GROUP))
    // another replica has closed these without their answers
    const late = await bringIn(journalled)
    await queue.append([...loss, ownLeaf('log.start', { recovered: ends.length, replica, ...(late > 0 && { late }) })])

    /** One by one: what is there already, from a life that was cut off here, is passed over. */
    async function bringIn (sent: ReadonlyMap<string, ReadonlyMap<number, Uint8Array>>): Promise<number> {
      const drafts = await lateAnswers(db, sent)
      const taken = await Promise.all(drafts.map((draft) => queue.append([draft]).then(() => false, (error: unknown) => {
        if (isTaken(error)) return true
        throw error
      })))
      return taken.filter((there) => !there).length
    }

    const look = async (): Promise<void> => {
      const now = await writer.tend()
      queue.observe(now.size, now.checkpoint)
    }
    const erasures = erasuresFrom(reads, queue.size)
    let failures = 0
    const lives = [
      every(tendMs, () => look().then(async () => {
        failures = 0
        for (const records of await erasures(queue.size)) log.erasedElsewhere(records)
      }).catch((error: unknown) => {
        // once may be a connection that was cut; whether the database is away is asked of it by a probe
        if (++failures >= AWAY_LOOKS) queue.suspect(reasonOf(error))
      })),
      every(leaseMs / 3, () => renewLease(db, replica, leaseMs)),
      every(leaseMs, async () => {
        // one by one: another replica may be at the same records, and is refused or refuses us
        await Promise.allSettled((await othersMissingEnds(db, replica, leaseMs)).map((end) => queue.append([end])))
        await db.query('DELETE FROM parallax.refused WHERE at < now() - interval \'1 hour\'')
      }),
    ]
    const log: StoredLog = new StoredLog({
      queue, reader, keks,
      tree: postgresTree(reads, signer, () => queue.checkpoint!, async () => {
        const { size, checkpoint } = await headOf(reads)
        queue.observe(size, writer.advance(size, checkpoint))
      }),
      transcripts: postgresTranscripts({ db: reads, reader, subjectKey: secrets.subject_key, size: () => queue.size }),
      journal: new Journal(directory, ring),
      keksInUse: () => keksInUse(db),
      alone: () => nobodyElse(db, replica).catch((cause: Error) => {
        throw new ParallaxError('invalid_request', `${cause.message} Or give all of them the same keys by PARALLAX_KEK or PARALLAX_KEK_FILE, and rotate them there: a key in the file of one gateway is none that the others have.`, { cause })
      }),
      late: async (open, choice, sent) => { await bringIn(new Map([[open.id, new Map([[choice, sent]])]])) },
      async release () {
        await Promise.all(lives.map((stop) => stop()))
        await endLease(db, replica).catch(() => { /* it runs out by itself */ })
        await Promise.all([reads.end(), db.end()])
        unlock()
      },
    })
    return log
  } catch (error) {
    for (const close of closers.reverse()) await Promise.resolve(close()).catch(() => {})
    throw error
  }
}

async function headOf (db: Database): Promise<{ size: number, checkpoint: string | null }> {
  return (await db.query<{ size: number, checkpoint: string | null }>('SELECT size, checkpoint FROM parallax.head')).rows[0]!
}

/** Does something again and again; what fails is tried again in its turn. Returns the stop, which waits for what is under way. */
function every (ms: number, work: () => Promise<unknown>): () => Promise<void> {
  let running: Promise<unknown> = Promise.resolve()
  let busy = false
  const timer = setInterval(() => {
    if (busy) return
    busy = true
    running = work().catch(() => {}).finally(() => { busy = false })
  }, ms)
  timer.unref()
  return async () => {
    clearInterval(timer)
    await running
  }
}
