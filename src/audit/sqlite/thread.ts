/** The thread in which the log is written, so that an fsync never holds up the gateway. One packed group in, one packed answer out. */
import { parentPort, Worker, workerData } from 'node:worker_threads'
import { openForWriting } from './database.ts'
import type { FoldingData, ToFolding } from './folding.ts'
import { LatestCheckpoint } from '../latest-checkpoint.ts'
import { packOutcomes, unpackEntries } from '../packet.ts'
import { keyringOf } from '../seal/keyring.ts'
import { Sequencer } from './sequencer.ts'
import { logSigner } from '../signing-key.ts'

/** To the thread: a packed group (in the room that both share, where it fits in), or a word. */
export type ToWriter = Uint8Array | 'probe' | 'close' | { readonly rekey: readonly Uint8Array[] } | { readonly rewrap: number }
export interface FromWriter {
  readonly outcomes?: Uint8Array
  readonly rewrapped?: { readonly next: number | null, readonly count: number }
  readonly size: number
  readonly reason: string | null
  readonly checkpoint?: string | null
  readonly milliseconds: number
}
export interface ThreadData { readonly directory: string, readonly maxPages?: number | undefined, readonly origin?: string | undefined, readonly keks: readonly Uint8Array[], readonly room: SharedArrayBuffer }

const { directory, maxPages, origin, keks, room } = workerData as ThreadData
const db = openForWriting(directory, maxPages)
const sequencer = new Sequencer({ db, ring: keyringOf(keks) }, { signer: logSigner(directory, origin) })
const latest = new LatestCheckpoint(directory)

/** Between two foldings: often enough for the write-ahead log to stay small, seldom enough for a page that changes with every group to be copied once for many. */
const FOLD_MS = 500
const folding = new Worker(new URL('./folding.ts', import.meta.url), { workerData: { directory } satisfies FoldingData, execArgv: [] })
let foldingDied = false
folding.on('error', () => { foldingDied = true })
let foldedAt = 0

function foldNow (now: number): void {
  if (foldingDied || now - foldedAt < FOLD_MS) return
  foldedAt = now
  folding.postMessage('fold' satisfies ToFolding)
}

/** The writer is the last to close: SQLite then folds what is left and removes the write-ahead log. */
function close (): void {
  db.close()
  latest.close()
  parentPort!.close()
}

const answer = (message: Omit<FromWriter, 'size' | 'milliseconds'>, started: number): void => {
  const whole: FromWriter = { ...message, size: sequencer.size, milliseconds: performance.now() - started }
  parentPort!.postMessage(whole, message.outcomes?.buffer instanceof ArrayBuffer ? [message.outcomes.buffer] : [])
}

parentPort!.on('message', (message: ToWriter) => {
  const started = performance.now()
  if (message === 'close') {
    if (foldingDied) close()
    else {
      folding.once('exit', close)
      folding.postMessage('close' satisfies ToFolding)
    }
  } else if (message === 'probe') answer({ reason: sequencer.probe() }, started)
  else if ('rekey' in message) {
    sequencer.rekey(message.rekey)
    answer({ reason: null }, started)
  } else if ('rewrap' in message) {
    try {
      answer({ reason: null, rewrapped: sequencer.rewrap(message.rewrap) }, started)
    } catch (error) {
      answer({ reason: (error as Error).message }, started)
    }
  } else {
    const { outcomes, reason, checkpoint } = sequencer.place(unpackEntries(message))
    // before anybody is told: a checkpoint that was seen can then never be forgotten
    if (checkpoint !== null) latest.write(checkpoint)
    answer({ outcomes: packOutcomes(outcomes, room), reason, checkpoint }, started)
    foldNow(started)
  }
})
answer({ reason: null }, performance.now())
