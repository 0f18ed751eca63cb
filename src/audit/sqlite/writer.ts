/** How groups reach the sequencer: through a thread, or (in tests that make commits fail) on the spot. */
import { Worker } from 'node:worker_threads'
import { openForWriting } from './database.ts'
import { LatestCheckpoint } from '../latest-checkpoint.ts'
import { packEntries, unpackOutcomes, type Entry, type Outcome } from '../packet.ts'
import { Sequencer, type SequencerOptions } from './sequencer.ts'
import { logSigner } from '../signing-key.ts'
import type { FromWriter, ToWriter } from './thread.ts'

export interface Written { readonly outcomes: Outcome[], readonly size: number, readonly reason: string | null, readonly checkpoint: string | null, readonly milliseconds: number }

/** One group at a time: the next is handed over when the one before was answered. */
export interface Writer {
  write (entries: readonly Entry[]): Promise<Written>
  /** Can it commit now? Says also how many leaves the store really holds. */
  probe (): Promise<{ readonly reason: string | null, readonly size: number }>
  close (): Promise<void>
}

/** Resolves when the database is open; rejects with why it cannot be. A thread that died is replaced by the next probe. */
export async function threadWriter (directory: string, origin?: string, maxPages?: number): Promise<Writer & { readonly size: number }> {
  let thread = new Thread(directory, origin, maxPages)
  const { size } = await thread.next()
  return {
    size,
    async write (entries) {
      const packed = packEntries(entries)
      const { outcomes, checkpoint = null, ...rest } = await thread.next(packed, [packed.buffer as ArrayBuffer])
      return { ...rest, checkpoint, outcomes: unpackOutcomes(outcomes!) }
    },
    async probe () {
      if (thread.dead) {
        thread = new Thread(directory, origin, maxPages)
        await thread.next()
      }
      return thread.next('probe')
    },
    close: () => thread.close(),
  }
}

/** The thread, asked one thing at a time. */
class Thread {
  readonly #worker: Worker
  #pending: { resolve: (message: FromWriter) => void, reject: (error: Error) => void } | undefined
  dead: Error | undefined

  constructor (directory: string, origin: string | undefined, maxPages: number | undefined) {
    this.#worker = new Worker(new URL('./thread.ts', import.meta.url), { workerData: { directory, maxPages, origin }, execArgv: [] })
    this.#worker.on('message', (message: FromWriter) => { this.#taken()?.resolve(message) })
    const died = (error: Error): void => {
      this.dead ??= error
      this.#taken()?.reject(error)
    }
    this.#worker.on('error', died)
    this.#worker.on('exit', (code) => { died(new Error(`The audit log's writer ended with code ${code}.`)) })
  }

  /** Its next message; with nothing said, the one by which it tells that it is ready. */
  next (message?: ToWriter, transfer: ArrayBuffer[] = []): Promise<FromWriter> {
    return new Promise((resolve, reject) => {
      if (this.dead) { reject(this.dead); return }
      this.#pending = { resolve, reject }
      if (message !== undefined) this.#worker.postMessage(message, transfer)
    })
  }

  close (): Promise<void> {
    return new Promise((resolve) => {
      if (this.dead) { resolve(); return }
      this.#worker.once('exit', () => { resolve() })
      this.#worker.postMessage('close' satisfies ToWriter)
    })
  }

  #taken () {
    const pending = this.#pending
    this.#pending = undefined
    return pending
  }
}

/** On this thread, with a clock and faults of the test's. */
export function directWriter (directory: string, origin: string | undefined, options: SequencerOptions): Writer & { readonly size: number } {
  const db = openForWriting(directory)
  const sequencer = new Sequencer(db, { ...options, signer: logSigner(directory, origin) })
  const latest = new LatestCheckpoint(directory)
  return {
    size: sequencer.size,
    async write (entries) {
      const started = performance.now()
      const group = sequencer.place(entries)
      if (group.checkpoint !== null) latest.write(group.checkpoint)
      return { ...group, size: sequencer.size, milliseconds: performance.now() - started }
    },
    probe: async () => ({ reason: sequencer.probe(), size: sequencer.size }),
    close: async () => {
      db.close()
      latest.close()
    },
  }
}
