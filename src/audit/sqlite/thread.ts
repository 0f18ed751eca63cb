/** The thread in which the log is written, so that an fsync never holds up the gateway. One packed group in, one packed answer out. */
import { parentPort, workerData } from 'node:worker_threads'
import { openForWriting } from './database.ts'
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

const answer = (message: Omit<FromWriter, 'size' | 'milliseconds'>, started: number): void => {
  const whole: FromWriter = { ...message, size: sequencer.size, milliseconds: performance.now() - started }
  parentPort!.postMessage(whole, message.outcomes?.buffer instanceof ArrayBuffer ? [message.outcomes.buffer] : [])
}

parentPort!.on('message', (message: ToWriter) => {
  const started = performance.now()
  if (message === 'close') {
    db.close()
    latest.close()
    parentPort!.close()
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
  }
})
answer({ reason: null }, performance.now())
