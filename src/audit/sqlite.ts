/** The audit log on SQLite, for one process. Everything it promises is in log.ts. */
import { mkdirSync } from 'node:fs'
import { newId } from '../ids.ts'
import { openForReading } from './sqlite/database.ts'
import { Journal, readJournal } from './journal.ts'
import { KekRotation } from './kek-rotation.ts'
import type { AuditLog, Exchange, LeafDraft, LogTree, RecordQuery, Transcripts } from './log.ts'
import { OpenExchange } from './open-exchange.ts'
import { lockDirectory } from './sqlite/process-lock.ts'
import { CommitQueue, type QueueLimits } from './queue.ts'
import { Reader } from './sqlite/reader.ts'
import { missingEnds } from './sqlite/recovery.ts'
import { readKeks, type KekOptions, type KekSource } from './seal/keyring.ts'
import { keksInUse, subjectKey } from './sqlite/sealing.ts'
import { sqliteTranscripts } from './sqlite/transcripts.ts'
import { logSigner } from './signing-key.ts'
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
  /** For tests: no thread, but a clock and faults of their own. */
  readonly direct?: SequencerOptions
  /** For tests of a full disk. */
  readonly maxPages?: number
}

const LIMITS: QueueLimits = { entries: 20_000, bytes: 256 * 1024 * 1024, probeMs: 1000 }
const RECOVERY_GROUP = 500
const STREAM_PAGE = 200

/** Rejects, with a sentence for people, where another process holds the directory or the file is not a whole log. */
export async function openSqliteLog ({ directory, limits, origin, kek, direct, maxPages }: SqliteLogOptions): Promise<AuditLog> {
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
    checkTree(db, directory, signer)
    const ends = missingEnds(db, readJournal(directory, ring))
    for (let at = 0; at < ends.length; at += RECOVERY_GROUP) await queue.append(ends.slice(at, at + RECOVERY_GROUP))
    await queue.append([own('log.start', { recovered: ends.length })])
    const tree = sqliteTree(db, signer, () => commits.checkpoint!)
    const transcripts = sqliteTranscripts({ db, reader, subjectKey: () => secret, size: () => commits.size })
    return new SqliteLog({ queue, reader, tree, transcripts, journal: new Journal(directory, ring), keks, keksInUse: () => keksInUse(db), release: unlock })
  } catch (error) {
    reader?.close()
    await queue?.close().catch(() => {})
    unlock()
    throw error
  }
}

const own = (type: 'log.start' | 'log.stop', fields: LeafDraft['fields']): LeafDraft => ({ type, id: newId(), key: null, fields })

interface Parts {
  readonly queue: CommitQueue
  readonly reader: Reader
  readonly tree: LogTree
  readonly transcripts: Transcripts
  readonly journal: Journal
  readonly keks: KekSource
  readonly keksInUse: () => string[]
  readonly release: () => void
}

class SqliteLog implements AuditLog {
  readonly tree: LogTree
  readonly transcripts: Transcripts
  readonly #parts: Parts
  readonly #queue: CommitQueue
  readonly #reader: Reader
  readonly #journal: Journal
  readonly #open = new Set<OpenExchange>()
  readonly #rotation: KekRotation

  constructor (parts: Parts) {
    const { queue, reader, journal, keks, keksInUse: inUse } = this.#parts = parts
    this.tree = parts.tree
    this.transcripts = parts.transcripts
    this.#queue = queue
    this.#reader = reader
    this.#journal = journal
    queue.onUp = () => { for (const exchange of this.#open) void exchange.closeFailed() }
    this.#rotation = new KekRotation({
      source: keks, queue, inUse,
      adopted: (ring) => {
        reader.rekey(ring)
        journal.rekey(ring)
      },
    })
  }

  sealing (): ReturnType<AuditLog['sealing']> { return { keks: this.#parts.keksInUse() } }
  rotateKek (): ReturnType<AuditLog['rotateKek']> { return this.#rotation.run() }

  async append (drafts: readonly LeafDraft[]): ReturnType<AuditLog['append']> {
    const receipts = await this.#queue.append(drafts)
    // what was journalled of a record goes with its transcript
    if (drafts.some(({ effect }) => effect !== undefined && 'erase' in effect)) this.#journal.forget()
    return receipts
  }


  open (begin: LeafDraft, { deferMs = 0 }: { readonly deferMs?: number } = {}): Exchange {
    const exchange: OpenExchange = new OpenExchange(begin, deferMs, {
      append: (drafts) => this.#queue.append(drafts),
      journal: this.#journal,
      closed: () => { this.#open.delete(exchange) },
    })
    this.#open.add(exchange)
    return exchange
  }

  size (): number { return this.#queue.size }
  async records (query: RecordQuery): ReturnType<AuditLog['records']> { return this.#reader.page(query, this.size()) }
  async record (id: string): ReturnType<AuditLog['record']> { return this.#reader.byId(id) }
  async endsOf (begin: string): ReturnType<AuditLog['endsOf']> { return this.#reader.endsOf(begin) }

  async * stream (query: RecordQuery): AsyncGenerator<Awaited<ReturnType<AuditLog['records']>>[number]> {
    const pinned = { ...query, asOf: query.asOf ?? this.size(), limit: STREAM_PAGE }
    for (let afterIndex = query.afterIndex ?? -1; ;) {
      const page = this.#reader.page({ ...pinned, afterIndex }, this.size())
      if (page.length === 0) return
      yield * page
      afterIndex = page.at(-1)!.index
    }
  }

  health (): ReturnType<AuditLog['health']> {
    const reason = this.#queue.down
    return reason === null ? { ok: true, lastCommitMs: this.#queue.lastCommitMs } : { ok: false, reason: `The audit log cannot commit: ${reason}.` }
  }

  async close (): Promise<void> {
    const fields = { perspective: null, tokens: null, finish: [], source: null }
    // a log that cannot commit closes all the same; the next start finds what was left open
    await Promise.allSettled([...this.#open].flatMap((exchange) => [exchange.end({ status: 'interrupted', fields }), exchange.closeFailed()]))
    await this.#rotation.stop()
    await this.#queue.append([own('log.stop', {})]).catch(() => {})
    // the writer is the last to close the database: then SQLite folds its WAL into the file, and a backup of the file is whole
    this.#reader.close()
    await this.#queue.close()
    this.#journal.close()
    this.#parts.release()
  }
}
