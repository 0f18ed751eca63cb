/** Writes a replica's groups: into `pending`, where they are durable, and then sees to it that they get their places. */
import { setTimeout as sleep } from 'node:timers/promises'
import { newId } from '../../ids.ts'
import type { Entry } from '../entry.ts'
import type { LatestCheckpoint } from '../latest-checkpoint.ts'
import { packEntries, type Outcome, type Placed } from '../packet.ts'
import { keyringOf, type Keyring } from '../seal/keyring.ts'
import type { Writer, Written } from '../writer.ts'
import { reasonOf, type Database } from '../../database/database.ts'
import { adopt, rewrapSome, sealEntries } from './sealing.ts'
import type { Sequencer } from './sequencer.ts'

/** How long a group that is durable is waited for until it has its places. */
const PLACING_MS = 10_000
/** Likewise while the database cannot even be asked: the group is refused, though it may be kept. */
const LOST_MS = 1000
/** How often it is looked for while another replica places: at first, and at most. */
const FIRST_LOOK_MS = 2
const LAST_LOOK_MS = 25
const ROWS_A_STATEMENT = 200
/** A statement carries bytes as twice as many characters, in one string. */
const BYTES_A_STATEMENT = 8 * 1024 * 1024

export interface PendingOptions {
  readonly db: Database
  readonly replica: string
  readonly sequencer: Sequencer
  readonly latest: LatestCheckpoint
  readonly ring: Keyring
  /** For tests: what happens to the insert into `pending`. */
  readonly faults?: { beforeInsert?: () => void, afterInsert?: () => void }
}

type Call = { readonly id: string, readonly entries: readonly Entry[] }

const refused = (entries: readonly Entry[], size: number, reason: string, started: number): Written =>
  ({ outcomes: entries.map((): Outcome => 'refused'), size, reason, checkpoint: null, milliseconds: performance.now() - started })

export class PendingWriter implements Writer {
  readonly #options: PendingOptions
  #ring: Keyring
  size: number

  constructor (options: PendingOptions, size: number) {
    this.#options = options
    this.#ring = options.ring
    this.size = size
  }

  async write (entries: readonly Entry[], accepted: () => void): Promise<Written> {
    const started = performance.now()
    const calls: Call[] = [...Map.groupBy(entries, (entry) => entry.call).values()].map((own) => ({ id: newId(), entries: sealEntries(this.#ring, own) }))
    try {
      this.#options.faults?.beforeInsert?.()
      await this.#insert(calls)
      this.#options.faults?.afterInsert?.()
    } catch (error) {
      return refused(entries, this.size, reasonOf(error), started)
    }
    accepted()
    return this.#placed(entries, calls, started)
  }

  /** Durable when it resolves; one transaction, so that a group is kept whole. */
  async #insert (calls: readonly Call[]): Promise<void> {
    const rows = calls.map(({ id, entries }) => ({ id, packed: Buffer.from(packEntries(entries)) }))
    const { db, replica } = this.#options
    const insert = 'INSERT INTO parallax.pending (call, replica, entries) SELECT call, $1, entries FROM unnest($2::uuid[], $3::bytea[]) AS one (call, entries)'
    // a statement of its own is a transaction of its own: fewer round trips, and what a failure leaves of a larger group are whole calls
    for (let at = 0, next = 0; at < rows.length; at = next) {
      for (let bytes = 0; next < rows.length && next - at < ROWS_A_STATEMENT && (next === at || bytes + rows[next]!.packed.length <= BYTES_A_STATEMENT); next++) bytes += rows[next]!.packed.length
      const some = rows.slice(at, next)
      await db.query(insert, [replica, some.map((row) => row.id), some.map((row) => row.packed)])
    }
  }

  async #placed (entries: readonly Entry[], calls: readonly Call[], started: number): Promise<Written> {
    const found = new Map<string, readonly Placed[] | 'duplicate'>()
    const missing = (): Call[] => calls.filter(({ id }) => !found.has(id))
    const deadline = performance.now() + PLACING_MS
    let checkpoint: string | null = null
    let pause = FIRST_LOOK_MS
    let reason = 'nobody placed the group in time'
    let lostSince: number | null = null
    while (missing().length > 0 && performance.now() < deadline) {
      try {
        const round = await this.#options.sequencer.round()
        if (round) {
          for (const [call, outcome] of round.calls) found.set(call, outcome)
          checkpoint = this.advance(round.size, round.checkpoint) ?? checkpoint
        }
        if (missing().length === 0) break
        checkpoint = await this.#look(missing(), found) ?? checkpoint
        lostSince = null
        if (missing().length === 0 || round?.calls.size) continue
      } catch (error) {
        // it is durable: whoever reaches the database first places it, and we go on looking
        reason = reasonOf(error)
        lostSince ??= performance.now()
        if (performance.now() - lostSince > LOST_MS) break
      }
      await sleep(pause)
      pause = Math.min(LAST_LOOK_MS, pause * 2)
    }
    const outcomes = calls.flatMap(({ id, entries: own }): Outcome[] => {
      const outcome = found.get(id)
      if (outcome === undefined) return own.map(() => 'refused')
      return outcome === 'duplicate' ? own.map(() => 'duplicate') : [...outcome]
    })
    return { outcomes, size: this.size, reason: missing().length > 0 ? reason : null, checkpoint, milliseconds: performance.now() - started }
  }

  /** What another replica has placed or refused. The checkpoint that comes back covers it. */
  async #look (calls: readonly Call[], found: Map<string, readonly Placed[] | 'duplicate'>): Promise<string | null> {
    const { db } = this.#options
    const waiting = (await db.query<{ call: string }>('SELECT call FROM parallax.pending WHERE call = ANY($1::uuid[])', [calls.map((one) => one.id)])).rows.map((row) => row.call)
    const done = calls.filter(({ id }) => !waiting.includes(id))
    if (done.length === 0) return null
    const dropped = new Set((await db.query<{ call: string }>('SELECT call FROM parallax.refused WHERE call = ANY($1::uuid[])', [done.map((one) => one.id)])).rows.map((row) => row.call))
    const rows = (await db.query<{ id: string, idx: number, key_seq: number | null, hash: Buffer }>('SELECT id, idx, key_seq, hash FROM parallax.leaf WHERE id = ANY($1::uuid[])', [done.flatMap(({ entries }) => entries.map((entry) => entry.id))])).rows
    const places = new Map(rows.map(({ id, idx, key_seq: keySeq, hash }) => [id, { index: idx, keySeq, hash }]))
    for (const { id, entries } of done) {
      if (dropped.has(id)) found.set(id, 'duplicate')
      else if (entries.every((entry) => places.has(entry.id))) found.set(id, entries.map((entry) => places.get(entry.id)!))
    }
    return this.refresh()
  }

  /** Places what is pending where nobody does, and tells where the log stands. */
  async tend (): Promise<{ size: number, checkpoint: string | null }> {
    const { rowCount } = await this.#options.db.query('SELECT 1 FROM parallax.pending LIMIT 1')
    if (rowCount) await this.#options.sequencer.round()
    return { checkpoint: await this.refresh(), size: this.size }
  }

  /** Where the log stands now, whoever brought it there. */
  async refresh (): Promise<string | null> {
    const { size, checkpoint } = (await this.#options.db.query<{ size: number, checkpoint: string | null }>('SELECT size, checkpoint FROM parallax.head')).rows[0]!
    return this.advance(size, checkpoint)
  }

  /** Places everything that this replica left pending, in this life or in one before it. Rejects where that takes too long. */
  async settle (): Promise<void> {
    const { db, replica } = this.#options
    const deadline = performance.now() + PLACING_MS
    for (;;) {
      await this.tend()
      if ((await db.query('SELECT 1 FROM parallax.pending WHERE replica = $1 LIMIT 1', [replica])).rowCount === 0) return
      if (performance.now() > deadline) throw new Error('The audit log does not place what this gateway left pending when it ended: another gateway holds the sequencer. See whether one of them hangs.')
      await sleep(LAST_LOOK_MS)
    }
  }

  /** Keeps the newest checkpoint outside of the database. One that is behind what was seen is of a database that was set back: never kept over it. */
  advance (size: number, checkpoint: string | null): string | null {
    if (size < this.size) return null
    this.size = size
    if (checkpoint !== null) this.#options.latest.write(checkpoint)
    return checkpoint
  }

  async probe (): Promise<{ reason: string | null, size: number }> {
    try {
      // a write that commits: a server that can only be read is no log
      this.#options.faults?.beforeInsert?.()
      await this.#options.db.query('INSERT INTO parallax.meta (name, value) VALUES (\'probe\', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value', [String(Date.now())])
      await this.refresh()
      return { reason: null, size: this.size }
    } catch (error) {
      return { reason: reasonOf(error), size: this.size }
    }
  }

  async rekey (keks: readonly Uint8Array[]): Promise<void> {
    const ring = keyringOf(keks)
    await adopt(this.#options.db, ring)
    this.#ring = ring
  }

  rewrap (from: number): Promise<{ next: number | null, count: number }> { return rewrapSome(this.#options.db, this.#ring, from) }

  async close (): Promise<void> { this.#options.latest.close() }
}
