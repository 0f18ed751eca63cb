/**
 * Gives leaves their place: index, key_seq, time, hash, and writes each group in one transaction.
 * The only writer of the database. Knows nothing of threads, queues or exchanges.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { clockLeaf, CLOCK_TOLERANCE_MS, type Entry, type StoreEffect } from '../entry.ts'
import type { Outcome, Placed } from '../packet.ts'
import { RightEdge } from '../merkle.ts'
import { KEPT_EVERY, nodesOf } from './nodes.ts'
import { checkpointText, signNote, type Signer } from '../note.ts'
import { leafOf } from '../record.ts'
import type { Keyring } from '../seal/keyring.ts'
import { Effects } from './effects.ts'
import { Rows } from './rows.ts'
import { Sealing } from './sealing.ts'

/** Where tests let a commit fail: before it happened, or after it did (an error that came too late). */
export interface Faults { beforeCommit?: () => void, afterCommit?: () => void }

export interface SequencerOptions {
  /** Milliseconds since the epoch. */
  readonly clock?: () => number
  readonly faults?: Faults
  /** Signs a checkpoint of every group; without one there are none (tests of the sequencer alone). */
  readonly signer?: Signer | undefined
}

/** What every sequencer needs. */
export interface SequencerRooms { readonly db: DatabaseSync, readonly ring: Keyring }

/** The result of a group, and why the store refused where it did. */
export interface Group {
  readonly outcomes: Outcome[]
  readonly reason: string | null
  /** The signed note over the tree that the group's leaves are in. */
  readonly checkpoint: string | null
}

const isDuplicate = (error: unknown): boolean => /UNIQUE constraint failed: leaf\.id/.test(String((error as Error)?.message))

export class Sequencer {
  readonly #db: DatabaseSync
  readonly #clock: () => number
  readonly #faults: Faults
  readonly #leaves: Rows
  readonly #sealing: Sealing
  readonly #effects: Effects
  /** Bytes were removed in this transaction. */
  #removed = false
  readonly #open: StatementSync
  readonly #close: StatementSync
  readonly #lessen: StatementSync
  readonly #keySeqOf: StatementSync
  readonly #insertNode: StatementSync
  readonly #keepCheckpoint: StatementSync
  readonly #signer: Signer | undefined
  /** Replaced after every failure: what it grew by is then no more. */
  #edge = new RightEdge()
  #checkpoint: string | null = null
  #size = 0
  #lastTime = 0
  #clockIsBehind = false
  /** Last key_seq of the keys seen since the start; the database knows the others. */
  readonly #keySeqs = new Map<string, number>()

  constructor ({ db, ring }: SequencerRooms, { clock = Date.now, faults = {}, signer }: SequencerOptions = {}) {
    this.#db = db
    this.#sealing = new Sealing(db, ring)
    this.#effects = new Effects(db)
    this.#clock = clock
    this.#faults = faults
    this.#signer = signer
    this.#leaves = new Rows(db, 'leaf', ['idx', 'id', 'hash', 'entry', 't', 'type', 'key', 'key_seq', 'perspective', 'status', 'begin'])
    this.#open = db.prepare('INSERT INTO open_record (id, missing) VALUES (?, ?)')
    this.#close = db.prepare('DELETE FROM open_record WHERE id = ? AND missing <= 1')
    this.#lessen = db.prepare('UPDATE open_record SET missing = missing - 1 WHERE id = ?')
    this.#keySeqOf = db.prepare('SELECT max(key_seq) AS last FROM leaf WHERE key = ?')
    this.#insertNode = db.prepare('INSERT INTO node (level, idx, hash) VALUES (?, ?, ?)')
    this.#keepCheckpoint = db.prepare('INSERT OR REPLACE INTO meta (name, value) VALUES (\'checkpoint\', ?)')
    this.#reload()
  }

  get size (): number { return this.#size }

  /** Never throws: what could not be kept is `refused`, and the next group starts from what the store really holds. */
  place (entries: readonly Entry[]): Group {
    try {
      return { outcomes: this.#transaction(entries), reason: null, checkpoint: this.#checkpoint }
    } catch (error) {
      this.#rollBack()
      if (isDuplicate(error)) return this.#oneByOne(entries)
      return { outcomes: entries.map(() => 'refused'), reason: String((error as Error).message), checkpoint: null }
    }
  }

  /** Can a transaction be committed now? Null, or why not. */
  probe (): string | null {
    try {
      this.#db.exec('BEGIN IMMEDIATE')
      this.#db.prepare('INSERT OR REPLACE INTO meta (name, value) VALUES (\'probe\', ?)').run(String(this.#clock()))
      this.#commit()
      return null
    } catch (error) {
      this.#rollBack()
      return String((error as Error).message)
    }
  }

  /** Seals under the first of these from now on. */
  rekey (keks: readonly Uint8Array[]): void { this.#sealing.rekey(keks) }

  /** Throws what the store throws; then nothing of this step was kept. */
  rewrap (from: number): { next: number | null, count: number } {
    this.#db.exec('BEGIN IMMEDIATE')
    try {
      const done = this.#sealing.rewrap(from, this.#size)
      this.#db.exec('COMMIT')
      return done
    } catch (error) {
      this.#rollBack()
      throw error
    }
  }

  /** A group in which somebody's id is taken already: each call by itself, so that the others do not suffer. */
  #oneByOne (entries: readonly Entry[]): Group {
    const outcomes: Outcome[] = []
    let reason: string | null = null
    for (let from = 0; from < entries.length;) {
      let to = from + 1
      while (to < entries.length && entries[to]!.call === entries[from]!.call) to++
      const call = entries.slice(from, to)
      try {
        outcomes.push(...this.#transaction(call))
      } catch (error) {
        this.#rollBack()
        const duplicate = isDuplicate(error)
        if (!duplicate) reason = String((error as Error).message)
        outcomes.push(...call.map((): Outcome => duplicate ? 'duplicate' : 'refused'))
      }
      from = to
    }
    return { outcomes, reason, checkpoint: this.#checkpoint }
  }

  #transaction (entries: readonly Entry[]): Placed[] {
    this.#db.exec('BEGIN IMMEDIATE')
    const now = this.#clock()
    // the log's time never runs backwards; that the clock did is itself on record
    const time = Math.max(now, this.#lastTime)
    const behind = time - now > CLOCK_TOLERANCE_MS
    if (behind && !this.#clockIsBehind) this.#insert(clockLeaf(time - now), time, null)
    this.#clockIsBehind = behind
    this.#lastTime = time
    this.#removed = false
    this.#sealing.begin()
    const placed = entries.map((entry, place) => this.#insert(entry, time, entries[place + 1] ?? null))
    this.#flush()
    this.#sign()
    this.#commit()
    if (this.#removed) this.#effects.forget()
    return placed
  }

  /** One signature a group covers all its leaves. */
  #sign (): void {
    if (!this.#signer) return
    this.#checkpoint = signNote(checkpointText({ origin: this.#signer.name, size: this.#size, root: this.#edge.root() }), [this.#signer])
    this.#keepCheckpoint.run(this.#checkpoint)
  }

  #insert (entry: Entry, time: number, next: Entry | null): Placed {
    const index = this.#size++
    const keySeq = entry.key === null ? null : this.#nextKeySeq(entry.key)
    const { bytes, hash } = leafOf(entry.template, keySeq, time)
    this.#leaves.add(index, entry.id, hash, bytes, time, entry.type, entry.key, keySeq, entry.perspective, entry.status, entry.begin)
    this.#edge.append(hash, (level, at, root) => { if (level % KEPT_EVERY === 0) this.#insertNode.run(level, at, root) })
    if (entry.payload) this.#sealing.insert(index, entry)
    if (this.#leaves.full) this.#flush()
    if (entry.effect !== null) {
      // it may be on what stands before it in this group
      this.#flush()
      this.#affect(JSON.parse(entry.effect) as StoreEffect)
    }
    // a begin whose only end follows in the same call was never open to anyone
    if (entry.choices > 0 && !(entry.choices === 1 && next?.begin === entry.id && next.call === entry.call)) {
      // a begin that is in the log already is to be found out as such, and not by its place among the open ones
      this.#flush()
      this.#open.run(entry.id, entry.choices)
    } else if (entry.begin !== null && this.#close.run(entry.begin).changes === 0) this.#lessen.run(entry.begin)
    return { index, keySeq, hash }
  }

  /** The leaves first, for their payloads name them. */
  #flush (): void {
    this.#leaves.flush()
    this.#sealing.flush()
  }

  #affect (effect: StoreEffect): void {
    if ('rewrapped' in effect) this.#sealing.rewrapped()
    else if (this.#effects.apply(effect)) this.#removed = true
  }

  #nextKeySeq (key: string): number {
    const last = this.#keySeqs.get(key) ?? (this.#keySeqOf.get(key) as { last: number | null }).last ?? 0
    this.#keySeqs.set(key, last + 1)
    return last + 1
  }

  #commit (): void {
    this.#faults.beforeCommit?.()
    this.#db.exec('COMMIT')
    this.#faults.afterCommit?.()
  }

  /** After an error it is unknown what was kept: undo what can be undone, and count again from the store. */
  #rollBack (): void {
    try { if (this.#db.isTransaction) this.#db.exec('ROLLBACK') } catch { /* SQLite rolled back by itself */ }
    this.#leaves.forget()
    this.#sealing.forget()
    this.#keySeqs.clear()
    try { this.#reload() } catch { /* the store cannot even be read: the next group fails likewise and reloads */ }
  }

  #reload (): void {
    const { size, time } = this.#db.prepare('SELECT coalesce(max(idx) + 1, 0) AS size, coalesce((SELECT t FROM leaf ORDER BY idx DESC LIMIT 1), 0) AS time FROM leaf').get() as { size: number, time: number }
    this.#size = size
    this.#lastTime = time
    this.#edge = new RightEdge(size, nodesOf(this.#db))
  }
}

