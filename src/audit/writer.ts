/** How groups reach the sequencer: through a thread, or (in tests that make commits fail) on the spot. */
import { Worker } from 'node:worker_threads'
import { openForWriting } from './database.ts'
import { packEntries, unpackOutcomes, type Entry, type Outcome } from './packet.ts'
import { Sequencer, type SequencerOptions } from './sequencer.ts'
import type { FromWriter, ToWriter } from './sqlite-writer.ts'

export interface Written { readonly outcomes: Outcome[], readonly size: number, readonly reason: string | null, readonly milliseconds: number }

/** One group at a time: the next is handed over when the one before was answered. */
export interface Writer {
  write (entries: readonly Entry[]): Promise<Written>
  probe (): Promise<string | null>
  close (): Promise<void>
}

/** Resolves when the database is open; rejects with why it cannot be. */
export async function threadWriter (directory: string, maxPages?: number): Promise<Writer & { readonly size: number }> {
  const worker = new Worker(new URL('./sqlite-writer.ts', import.meta.url), { workerData: { directory, maxPages }, execArgv: [] })
  let pending: { resolve: (message: FromWriter) => void, reject: (error: Error) => void } | undefined
  let dead: Error | undefined
  worker.on('message', (message: FromWriter) => { const waiting = pending; pending = undefined; waiting?.resolve(message) })
  const died = (error: Error): void => { dead = error; const waiting = pending; pending = undefined; waiting?.reject(error) }
  worker.on('error', died)
  worker.on('exit', (code) => { died(new Error(`The audit log's writer ended with code ${code}.`)) })
  const next = (message?: ToWriter, transfer: ArrayBuffer[] = []): Promise<FromWriter> => new Promise((resolve, reject) => {
    if (dead) { reject(dead); return }
    pending = { resolve, reject }
    if (message !== undefined) worker.postMessage(message, transfer)
  })
  const { size } = await next()
  return {
    size,
    async write (entries) {
      const packed = packEntries(entries)
      const { outcomes, ...rest } = await next(packed, [packed.buffer as ArrayBuffer])
      return { ...rest, outcomes: unpackOutcomes(outcomes!) }
    },
    async probe () { return (await next('probe')).reason },
    close: () => new Promise((resolve) => {
      if (dead) { resolve(); return }
      worker.once('exit', () => { resolve() })
      worker.postMessage('close' satisfies ToWriter)
    }),
  }
}

/** On this thread, with a clock and faults of the test's. */
export function directWriter (directory: string, options: SequencerOptions): Writer & { readonly size: number } {
  const db = openForWriting(directory)
  const sequencer = new Sequencer(db, options)
  return {
    size: sequencer.size,
    async write (entries) {
      const started = performance.now()
      const group = sequencer.place(entries)
      return { ...group, size: sequencer.size, milliseconds: performance.now() - started }
    },
    probe: async () => sequencer.probe(),
    close: async () => { db.close() },
  }
}
