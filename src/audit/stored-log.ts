/** An audit log over the parts of any store: exchanges, reading, health and the order of closing. Everything it promises is in log.ts. */
import { newId } from '../ids.ts'
import type { Journal } from './journal.ts'
import { KekRotation } from './kek-rotation.ts'
import type { AuditLog, Exchange, LeafDraft, LogTree, RecordQuery, StoredRecord, Transcripts } from './log.ts'
import { OpenExchange, type ExchangeRooms } from './open-exchange.ts'
import type { CommitQueue } from './queue.ts'
import type { KekSource, Keyring } from './seal/keyring.ts'

const STREAM_PAGE = 200

export interface RecordReader {
  /** In bounded pages: fewer than asked for is no sign of the end, none is. */
  page (query: RecordQuery, size: number): Promise<StoredRecord[]>
  byId (id: string): Promise<StoredRecord | null>
  endsOf (begin: string): Promise<StoredRecord[]>
  /** Opens transcripts with these keys from now on. */
  rekey (ring: Keyring): void
  close (): void | Promise<void>
}

/** The gateway's own leaves. */
export const ownLeaf = (type: 'log.start' | 'log.stop', fields: LeafDraft['fields']): LeafDraft => ({ type, id: newId(), key: null, fields })

export interface Parts {
  readonly queue: CommitQueue
  readonly reader: RecordReader
  readonly tree: LogTree
  readonly transcripts: Transcripts
  readonly journal: Journal
  readonly keks: KekSource
  /** As the store has it: ids, the current one first. */
  readonly keksInUse: () => Promise<readonly string[]>
  /** As the rotation's rooms have it. */
  readonly alone?: () => Promise<void>
  /** As ExchangeRooms has it. */
  readonly late?: NonNullable<ExchangeRooms['late']>
  /** Gives back whatever was held while the log was open. */
  readonly release: () => void | Promise<void>
}

export class StoredLog implements AuditLog {
  readonly tree: LogTree
  readonly transcripts: Transcripts
  readonly #parts: Parts
  readonly #queue: CommitQueue
  readonly #reader: RecordReader
  readonly #journal: Journal
  readonly #open = new Set<OpenExchange>()
  readonly #rotation: KekRotation
  #heard: (records: readonly string[]) => void = () => {}

  constructor (parts: Parts) {
    const { queue, reader, journal, keks, keksInUse: inUse } = this.#parts = parts
    this.tree = parts.tree
    this.transcripts = parts.transcripts
    this.#queue = queue
    this.#reader = reader
    this.#journal = journal
    queue.onUp = () => { for (const exchange of this.#open) void exchange.closeFailed() }
    this.#rotation = new KekRotation({
      source: keks, queue, inUse, ...(parts.alone && { alone: parts.alone }),
      adopted: (ring) => {
        reader.rekey(ring)
        journal.rekey(ring)
      },
    })
  }

  async sealing (): ReturnType<AuditLog['sealing']> { return { keks: await this.#parts.keksInUse() } }
  rotateKek (): ReturnType<AuditLog['rotateKek']> { return this.#rotation.run() }

  async append (drafts: readonly LeafDraft[]): ReturnType<AuditLog['append']> {
    const receipts = await this.#queue.append(drafts)
    // what was journalled of a record goes with its transcript
    if (drafts.some(({ effect }) => effect !== undefined && ('erase' in effect || 'expire' in effect))) this.#journal.forget()
    return receipts
  }

  onErased (heard: (records: readonly string[]) => void): void { this.#heard = heard }

  /** Told by a store that others write to as well. */
  erasedElsewhere (records: readonly string[]): void {
    this.#journal.forget()
    this.#heard(records)
  }

  open (begin: LeafDraft, { deferMs = 0 }: { readonly deferMs?: number } = {}): Exchange {
    const exchange: OpenExchange = new OpenExchange(begin, deferMs, {
      append: (drafts, how) => this.#queue.append(drafts, how),
      accept: (drafts) => this.#queue.accept(drafts),
      journal: this.#journal,
      ...(this.#parts.late && { late: this.#parts.late }),
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
      const page = await this.#reader.page({ ...pinned, afterIndex }, this.size())
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
    await this.#queue.append([ownLeaf('log.stop', {})]).catch(() => {})
    // the writer is the last to close the database: then SQLite folds its WAL into the file, and a backup of the file is whole
    await this.#reader.close()
    await this.#queue.close()
    this.#journal.close()
    await this.#parts.release()
  }
}
