/** The thread in which the log is written, so that an fsync never holds up the gateway. One packed group in, one packed answer out. */
import { parentPort, workerData } from 'node:worker_threads'
import { openForWriting } from './database.ts'
import { LatestCheckpoint } from '../latest-checkpoint.ts'
import { packOutcomes, unpackEntries } from '../packet.ts'
import { Sequencer } from './sequencer.ts'
import { logSigner } from '../signing-key.ts'

/** To the thread: a packed group, or a word. */
export type ToWriter = Uint8Array | 'probe' | 'close'
export interface FromWriter { readonly outcomes?: Uint8Array, readonly size: number, readonly reason: string | null, readonly checkpoint?: string | null, readonly milliseconds: number }

const { directory, maxPages, origin } = workerData as { directory: string, maxPages?: number, origin?: string }
const db = openForWriting(directory, maxPages)
const sequencer = new Sequencer(db, { signer: logSigner(directory, origin) })
const latest = new LatestCheckpoint(directory)

const answer = (message: Omit<FromWriter, 'size' | 'milliseconds'>, started: number): void => {
  const whole: FromWriter = { ...message, size: sequencer.size, milliseconds: performance.now() - started }
  parentPort!.postMessage(whole, message.outcomes ? [message.outcomes.buffer as ArrayBuffer] : [])
}

parentPort!.on('message', (message: ToWriter) => {
  const started = performance.now()
  if (message === 'close') {
    db.close()
    latest.close()
    parentPort!.close()
  } else if (message === 'probe') answer({ reason: sequencer.probe() }, started)
  else {
    const { outcomes, reason, checkpoint } = sequencer.place(unpackEntries(message))
    // before anybody is told: a checkpoint that was seen can then never be forgotten
    if (checkpoint !== null) latest.write(checkpoint)
    answer({ outcomes: packOutcomes(outcomes), reason, checkpoint }, started)
  }
})
answer({ reason: null }, performance.now())
