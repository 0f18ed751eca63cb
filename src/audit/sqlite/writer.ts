/** How groups reach the sequencer: through a thread, or on the spot. */
import { Worker } from 'node:worker_threads'
import { openForWriting } from './database.ts'
import { LatestCheckpoint } from '../latest-checkpoint.ts'
import type { Entry } from '../entry.ts'
import { packEntries, unpackOutcomes } from '../packet.ts'
import { keyringOf } from '../seal/keyring.ts'
import { Sequencer, type SequencerOptions } from './sequencer.ts'
import { logSigner } from '../signing-key.ts'
import type { Writer } from '../writer.ts'
import type { FromWriter, ThreadData, ToWriter } from './thread.ts'

export interface WriterOptions {
  readonly directory: string
  readonly origin?: string | undefined
  /** Key-encryption keys, the current one first. */
  readonly keks: readonly Uint8Array[]
  readonly maxPages?: number | undefined
}

/** The database is open, and so many leaves are in it. */
export type OpenWriter = Writer & { readonly size: number }

/** Resolves when the database is open; rejects with why it cannot be. A thread that died is replaced by the next probe. */
export async function threadWriter (options: WriterOptions): Promise<OpenWriter> {
  let keks = options.keks
  let thread = new Thread(options)
  const { size } = await thread.next()
  return {
    size,
    async write (entries) {
      const { outcomes, checkpoint = null, ...rest } = await thread.place(entries)
      return { ...rest, checkpoint, outcomes: unpackOutcomes(outcomes!) }
    },
    async probe () {
      if (thread.dead) {
        thread = new Thread({ ...options, keks })
        await thread.next()
      }
      return thread.next('probe')
    },
    async rekey (next) {
      await thread.next({ rekey: next })
      keks = next
    },
    async rewrap (from) {
      const { rewrapped, reason } = await thread.next({ rewrap: from })
      if (!rewrapped) throw new Error(reason ?? 'the store refused')
      return rewrapped
    },
    close: () => thread.close(),
  }
}

/** What an ordinary group takes many times over; a larger one travels in memory of its own. */
const ROOM_BYTES = 1024 * 1024

/** The thread, asked one thing at a time: so one room is enough for what goes there and what comes back, and nothing is allocated for either. */
class Thread {
  readonly #worker: Worker
  readonly #room = new SharedArrayBuffer(ROOM_BYTES)
  #pending: { resolve: (message: FromWriter) => void, reject: (error: Error) => void } | undefined
  dead: Error | undefined

  constructor (options: WriterOptions) {
    this.#worker = new Worker(new URL('./thread.ts', import.meta.url), { workerData: { ...options, room: this.#room } satisfies ThreadData, execArgv: process.execArgv.filter((one) => one.startsWith('--cpu-prof')) })
    this.#worker.on('message', (message: FromWriter) => { this.#taken()?.resolve(message) })
    const died = (error: Error): void => {
      this.dead ??= error
      this.#taken()?.reject(error)
    }
    this.#worker.on('error', died)
    this.#worker.on('exit', (code) => { died(new Error(`The audit log's writer ended with code ${code}.`)) })
  }

  place (entries: readonly Entry[]): Promise<FromWriter> {
    const packed = packEntries(entries, this.#room)
    return this.next(packed, packed.buffer instanceof ArrayBuffer ? [packed.buffer] : [])
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
export function directWriter ({ directory, origin, keks }: WriterOptions, options: SequencerOptions): OpenWriter {
  const db = openForWriting(directory)
  const sequencer = new Sequencer({ db, ring: keyringOf(keks) }, { ...options, signer: logSigner(directory, origin) })
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
    rekey: async (next) => { sequencer.rekey(next) },
    rewrap: async (from) => sequencer.rewrap(from),
    close: async () => {
      db.close()
      latest.close()
    },
  }
}
