/**
 * Groups what waits into commits: while one group is being written the next one gathers. Fails closed: when the store refuses,
 * everything that waits is refused, and nothing is taken until a probe commits again.
 */
import { ParallaxError } from '../errors.ts'
import { prepare, type Entry } from './entry.ts'
import type { LeafDraft, Receipt } from './log.ts'
import type { Writer } from './writer.ts'

export interface QueueLimits {
  /** Leaves and bytes that may wait for a commit. */
  readonly entries: number
  readonly bytes: number
  /** How often a store that refused is tried again. */
  readonly probeMs: number
}

/**
 * Groups that follow one another wait for so many calls, or so long: a group costs some 300 µs of CPU time whatever is in it.
 * Only calls that are patient wait, and one caller alone never does: the group before has then been answered and none follows it.
 */
const GATHER_CALLS = 24
const GATHER_MS = 3
/** What a leaf takes beside its payload, as far as the bound on what waits is concerned. */
const LEAF_BYTES = 1024

interface Call { readonly patient: boolean, readonly number: number, readonly drafts: readonly LeafDraft[], readonly accepted: (() => void) | undefined, readonly resolve: (receipts: Receipt[]) => void, readonly reject: (error: Error) => void }

interface Prepared extends Call { readonly entries: readonly Entry[] }

export class CommitQueue {
  readonly #writer: Writer
  readonly #limits: QueueLimits
  /** Called when a store that had refused commits again, and when there is room again where there was none. */
  onUp: () => void = () => {}
  #waiting: Call[] = []
  #waitingEntries = 0
  #waitingBytes = 0
  #busy = false
  /** Something was turned away because too much was waiting. */
  #overflowed = false
  #down: string | null = null
  #probe: NodeJS.Timeout | undefined
  #calls = 0
  #idle: (() => void)[] = []
  /** Ends the gathering of a group. */
  #gathered: (() => void) | undefined
  #closed = false
  /** What is to be done with the store between two groups. */
  #tasks: (() => Promise<void>)[] = []
  readonly #subjectKey: Uint8Array
  size: number
  lastCommitMs = 0
  /** The newest signed checkpoint; covers every receipt that was given out. */
  checkpoint: string | null = null

  /** `subjectKey` hides end users' names from the store. */
  constructor (writer: Writer & { readonly size: number }, limits: QueueLimits, subjectKey: Uint8Array) {
    this.#writer = writer
    this.#subjectKey = subjectKey
    this.#limits = limits
    this.size = writer.size
  }

  /** Why nothing can be committed, or null. */
  get down (): string | null { return this.#down }

  /** Resolves when the leaves are durable; a store may give them their places a little later. */
  accept (drafts: readonly LeafDraft[]): Promise<void> {
    return new Promise((resolve, reject) => { this.append(drafts, { accepted: resolve }).then(() => { resolve() }, reject) })
  }

  /** `patient`: nobody notices if it takes some milliseconds longer while there is much to do. */
  append (drafts: readonly LeafDraft[], { accepted, patient = false }: { readonly accepted?: () => void, readonly patient?: boolean } = {}): Promise<Receipt[]> {
    return new Promise((resolve, reject) => {
      if (this.#closed) throw unavailable('the log is closed')
      if (this.#down !== null) throw unavailable(this.#down)
      const bytes = drafts.reduce((sum, { payload }) => sum + LEAF_BYTES + (payload?.length ?? 0), 0)
      if (this.#waitingEntries + drafts.length > this.#limits.entries || this.#waitingBytes + bytes > this.#limits.bytes) {
        this.#overflowed = true
        throw unavailable('more is waiting to be written than may wait')
      }
      this.#waiting.push({ number: ++this.#calls % 0xffff_fff0, drafts, accepted, patient, resolve, reject })
      this.#waitingEntries += drafts.length
      this.#waitingBytes += bytes
      if (!patient || this.#waiting.length >= GATHER_CALLS) this.#gathered?.()
      this.#start()
    })
  }

  /** Has the writer do something else than a group, between two of them. */
  between<T> (work: (writer: Writer) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#closed) throw unavailable('the log is closed')
      this.#tasks.push(() => work(this.#writer).then(resolve, reject))
      this.#start()
    })
  }

  /** The log grew by somebody else's hand, or as far as it was when it was opened. */
  observe (size: number, checkpoint: string | null): void {
    if (size < this.size) return
    this.size = size
    this.checkpoint = checkpoint ?? this.checkpoint
  }

  /** Whoever else looks at the store has found that it cannot commit: nothing is taken until a probe says that it can. */
  suspect (reason: string): void {
    if (this.#down === null && !this.#closed) this.#goDown(reason)
  }

  #start (): void {
    if (this.#busy) return
    this.#busy = true
    // what this turn of the loop still brings goes into the same commit
    setImmediate(() => { void this.#drain() })
  }

  /** Resolves when nothing waits. Afterwards nothing more is taken. */
  async close (): Promise<void> {
    this.#closed = true
    clearTimeout(this.#probe)
    if (this.#busy) await new Promise<void>((resolve) => { this.#idle.push(resolve) })
    await this.#writer.close()
  }

  async #drain (): Promise<void> {
    for (let group = 0; this.#waiting.length > 0 || this.#tasks.length > 0; group++) {
      await this.#tasks.shift()?.()
      if (this.#waiting.length === 0) continue
      if (group > 0 && this.#waiting.length < GATHER_CALLS && this.#waiting.every((call) => call.patient)) await this.#gather()
      const calls = this.#waiting
      this.#waiting = []
      this.#waitingEntries = this.#waitingBytes = 0
      try {
        await this.#commit(calls)
      } catch (error) {
        // the writer itself has died: nobody can say what was kept
        this.#goDown((error as Error).message)
        for (const { reject } of calls) reject(unsure(this.#down!, error))
      }
    }
    this.#busy = false
    for (const resolve of this.#idle.splice(0)) resolve()
    if (!this.#overflowed || this.#down !== null) return
    this.#overflowed = false
    this.onUp()
  }

  #gather (): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => { this.#gathered!() }, GATHER_MS)
      this.#gathered = () => {
        clearTimeout(timer)
        this.#gathered = undefined
        // what this turn of the loop still brings is not left behind
        setImmediate(resolve)
      }
    })
  }

  /** Made ready together, for the same code over and over is several times as fast as in between other work. What cannot be a leaf rejects its call alone. */
  #prepare (calls: readonly Call[]): Prepared[] {
    return calls.flatMap((call) => {
      try {
        return [{ ...call, entries: call.drafts.map((draft) => prepare(draft, call.number, this.#subjectKey)) }]
      } catch (error) {
        call.reject(error as Error)
        return []
      }
    })
  }

  async #commit (waiting: readonly Call[]): Promise<void> {
    const calls = this.#prepare(waiting)
    if (calls.length === 0) return
    const { outcomes, size, reason, checkpoint, milliseconds } = await this.#writer.write(calls.flatMap((call) => call.entries), () => { for (const { accepted } of calls) accepted?.() })
    this.size = size
    this.lastCommitMs = milliseconds
    this.checkpoint = checkpoint ?? this.checkpoint
    if (reason !== null) this.#goDown(reason)
    let at = 0
    for (const { entries, resolve, reject } of calls) {
      const mine = outcomes.slice(at, at += entries.length)
      const refused = mine.find((one) => typeof one === 'string')
      if (refused === 'duplicate') reject(new TakenError(`A record with the id ${entries[0]!.id} is in the log already.`))
      else if (refused === 'refused') reject(unsure(reason ?? 'the store refused'))
      else resolve(mine.map((one, place) => typeof one === 'string' ? never() : { record: entries[place]!.id, index: one.index, key_seq: one.keySeq, leaf_hash: one.hash.toString('base64') }))
    }
  }

  #goDown (reason: string): void {
    this.#down = reason
    for (const { reject } of this.#waiting.splice(0)) reject(unavailable(reason))
    this.#waitingEntries = this.#waitingBytes = 0
    this.#probeLater()
  }

  #probeLater (): void {
    if (this.#closed) return
    clearTimeout(this.#probe)
    this.#probe = setTimeout(() => { void this.#tryAgain() }, this.#limits.probeMs)
    this.#probe.unref()
  }

  async #tryAgain (): Promise<void> {
    // the writer answers one thing at a time
    if (this.#busy) return this.#probeLater()
    this.#busy = true
    const { reason, size } = await this.#writer.probe().catch((error: unknown) => ({ reason: (error as Error).message, size: this.size }))
    this.size = size
    this.#busy = false
    for (const resolve of this.#idle.splice(0)) resolve()
    this.#down = reason
    if (this.#waiting.length > 0 || this.#tasks.length > 0) this.#start()
    if (reason !== null) this.#probeLater()
    else this.onUp()
  }
}

/** An id that the log holds already: a defect of the writer's, or a leaf that was kept after all. */
class TakenError extends ParallaxError {
  constructor (message: string) { super('internal_error', message) }
}

export const isTaken = (error: unknown): boolean => error instanceof TakenError

/** The store was asked and refused: the leaves may be kept all the same. Every other refusal means that they are not. */
class UnsureError extends ParallaxError {}

export const isUnsure = (error: unknown): boolean => error instanceof UnsureError

const never = (): never => { throw new Error('unreachable') }

const refusal = (reason: string): string => `The audit log cannot commit (${reason}), and nothing is answered that it does not hold. Try again later.`
const RETRY_AFTER = 5
const unavailable = (reason: string): ParallaxError => new ParallaxError('audit_unavailable', refusal(reason), { retryAfter: RETRY_AFTER })
const unsure = (reason: string, cause?: unknown): ParallaxError => new UnsureError('audit_unavailable', refusal(reason), { retryAfter: RETRY_AFTER, cause })
