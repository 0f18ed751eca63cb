/**
 * One call under way and those aboard: a stream's chunks are pulled by whoever reads fastest, and held until everybody has read them.
 * Whoever joins late begins with what came so far, gathered to one answer: chunks that lived as long as their stream were what made
 * the garbage collector stop everything for 10 to 40 ms, once a second.
 * Knows nothing of keys, caches or replicas.
 */
import { choicesOf, Gathered, isWhole, toChunks } from '../completion/completion.ts'
import { ParallaxError } from '../errors.ts'
import type { Wire } from '../experts/expert.ts'
import type { KeptAnswer } from './cache.ts'

/** What a call turned out to be. */
export type Launched = { readonly whole: Wire } | { readonly chunks: AsyncIterable<Wire[]> } | { readonly cached: KeptAnswer, readonly waited: boolean }

/** In characters of JSON, about. A stream that is longer cannot be joined any more, and is not kept. */
export const REPLAY_CHARS = 1024 * 1024

/** How far the fastest reader may be ahead of the slowest; then it waits, until the slowest reads on or is cut by its own stall limit. */
export const LAG_CHARS = 256 * 1024

/** A chunk beside its text: id, model, braces. */
const CHUNK_CHARS = 160

export class Flight {
  readonly #stop = new AbortController()
  readonly #aboard = new Set<Seat>()
  #over: (answered: boolean) => void
  readonly launched: Promise<Launched>
  /** Choices that were begun, and those of them that came to their end. */
  #choices: { readonly seen: Set<number>, readonly finished: Set<number> } | undefined
  #source: AsyncIterator<Wire[]> | undefined
  /** What came so far; given up when it is too long. */
  #gathered: Gathered | undefined = new Gathered()
  /** What somebody aboard has still to read. */
  #batches: { readonly batch: Wire[], readonly from: number }[] = []
  /** How many were let go from the front, and how many characters came in all. */
  #gone = 0
  #chars = 0
  #pulling = false
  #whole: Wire | undefined
  #end: End | undefined

  /** `over` is told once: true with a whole answer; false at once with a failure, a broken answer, one that is too long to be held, or when everybody left. */
  constructor (launch: (signal: AbortSignal) => Promise<Launched>, over: (answered: boolean) => void) {
    this.#over = over
    this.launched = launch(this.#stop.signal).then((launched) => {
      if ('chunks' in launched) {
        this.#source = launched.chunks[Symbol.asyncIterator]()
        // everybody left while the expert made up its mind
        if (this.#end) this.#letGo()
      } else if ('whole' in launched) {
        if (isWhole(launched.whole)) this.#whole = launched.whole
        this.#finish({}, this.#whole !== undefined)
      } else this.#finish({}, false)
      return launched
    })
    this.launched.catch((failure: unknown) => { this.#finish({ failure }, false) })
  }

  board (signal: AbortSignal): Seat {
    const before = this.#chars > 0 && this.#gathered ? toChunks(structuredClone(this.#gathered.completion())) : null
    const seat = new Seat(this, signal, this.#gone + this.#batches.length, before)
    this.#aboard.add(seat)
    return seat
  }

  /** For its seats: the batch at this place, or how it ended there, or null: not there yet. */
  at (position: number): Wire[] | End | null { return this.#batches[position - this.#gone]?.batch ?? this.#end ?? null }

  /** The whole answer where there is one, and it was not too long to be held. */
  answer (): Wire | undefined {
    if (this.#whole) return this.#whole
    if (!this.#end || 'failure' in this.#end || !this.#complete()) return undefined
    return this.#whole = this.#gathered?.completion()
  }

  #complete (): boolean { return this.#choices !== undefined && this.#choices.seen.size === this.#choices.finished.size }

  /** For its seats: one waits for what is not there yet. */
  pull (): void {
    if (this.#pulling || this.#end || !this.#source || this.#chars - this.#slowest() > LAG_CHARS) return
    this.#pulling = true
    this.#source.next().then((step) => {
      this.#pulling = false
      if (this.#end) return
      if (step.done) this.#finish({}, this.#complete())
      else this.#hold(step.value)
      this.#wake()
    }, (failure: unknown) => {
      this.#pulling = false
      this.#finish({ failure }, false)
      this.#wake()
    })
  }

  #hold (batch: Wire[]): void {
    this.#batches.push({ batch, from: this.#chars })
    for (const chunk of batch) {
      this.#gathered?.add(chunk)
      this.#chars += CHUNK_CHARS
      for (const { index = 0, delta, finish_reason: reason, logprobs } of choicesOf(chunk)) {
        const { seen, finished } = this.#choices ??= { seen: new Set(), finished: new Set() }
        seen.add(index)
        if (reason) finished.add(index)
        const content = delta?.['content']
        this.#chars += logprobs || delta?.['tool_calls'] ? JSON.stringify({ delta, logprobs }).length : typeof content === 'string' ? content.length : 0
      }
    }
    if (this.#chars <= REPLAY_CHARS) return
    this.#gathered = undefined
    this.#tell(false)
  }

  /** Characters that came before what the slowest reads next. */
  #slowest (): number {
    let slowest = this.#chars
    for (const { position } of this.#aboard) slowest = Math.min(slowest, this.#batches[position - this.#gone]?.from ?? this.#chars)
    return slowest
  }

  /** For its seats: a reader went on. What everybody has goes, and the fastest may read on. */
  trim (): void {
    let first = Infinity
    for (const { position } of this.#aboard) first = Math.min(first, position)
    while (this.#gone < first && this.#batches.shift()) this.#gone++
    for (const seat of this.#aboard) if (seat.waiting) { this.pull(); return }
  }

  #wake (): void { for (const seat of this.#aboard) seat.wake() }

  /** For its seats: one is given up. */
  leave (seat: Seat): void {
    if (!this.#aboard.delete(seat)) return
    if (this.#aboard.size > 0) { this.trim(); return }
    if (this.#end) return
    this.#finish({ failure: seat.reason }, false)
    this.#stop.abort(seat.reason)
    this.#letGo()
  }

  #letGo (): void { void this.#source?.return?.().catch(() => {}) }

  #finish (end: End, answered: boolean): void {
    if (this.#end) return
    this.#end = end
    this.#tell(answered)
  }

  #tell (answered: boolean): void {
    this.#over(answered)
    this.#over = () => {}
  }
}

interface End { readonly failure?: unknown }

/** One asker's place. It is given up when the asker leaves, or has the answer, whichever is first. */
export class Seat implements AsyncIterableIterator<Wire[]> {
  readonly #flight: Flight
  readonly #signal: AbortSignal
  /** Lets go of whoever waits for what the call is. */
  #reject: ((reason: unknown) => void) | undefined
  #waiter: { readonly resolve: (step: IteratorResult<Wire[]>) => void, readonly reject: (reason: unknown) => void } | undefined
  position: number
  /** What came before it was aboard. */
  #before: Wire[] | null
  reason: unknown
  readonly #onAbort: () => void

  constructor (flight: Flight, signal: AbortSignal, position: number, before: Wire[] | null) {
    this.#flight = flight
    this.position = position
    this.#before = before
    this.#signal = signal
    this.#onAbort = () => { this.#leave(signal.reason) }
    if (signal.aborted) queueMicrotask(this.#onAbort)
    else signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  get waiting (): boolean { return this.#waiter !== undefined }

  /** What the call is, once it is known. */
  launched (): Promise<Launched> {
    return new Promise((resolve, reject) => {
      this.#reject = reject
      this.#flight.launched.then(resolve, (failure: unknown) => { this.#leave(failure) })
    })
  }

  /** The answer in one piece, whichever way it was called for. */
  async whole (launched: Exclude<Launched, { cached: unknown }>): Promise<Wire> {
    if ('whole' in launched) { this.#leave(null); return launched.whole }
    const gathered = new Gathered()
    for await (const batch of this) for (const chunk of batch) gathered.add(chunk)
    const completion = gathered.completion()
    if (!isWhole(completion)) throw new ParallaxError('expert_failed', 'The expert\'s stream ended before its answer did. What came so far is not a whole answer.')
    return completion
  }

  /** The answer as a stream, whichever way it was called for. */
  stream (launched: Exclude<Launched, { cached: unknown }>): AsyncIterable<Wire[]> {
    if ('chunks' in launched) return this
    this.#leave(null)
    return replayed(launched.whole)
  }

  done (): void { this.#leave(null) }

  [Symbol.asyncIterator] (): this { return this }

  next (): Promise<IteratorResult<Wire[]>> {
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject }
      this.wake()
      if (this.#waiter) this.#flight.pull()
    })
  }

  async return (): Promise<IteratorResult<Wire[]>> {
    this.#leave(new Error('The reader has left.'))
    return { done: true, value: undefined }
  }

  /** Looks again whether what it waits for is there. */
  wake (): void {
    const waiter = this.#waiter
    if (!waiter) return
    if (this.#signal.aborted) { this.#waiter = undefined; waiter.reject(this.#signal.reason); return }
    const before = this.#before
    if (before) {
      this.#before = null
      this.#waiter = undefined
      waiter.resolve({ done: false, value: before })
      return
    }
    const found = this.#flight.at(this.position)
    if (found === null) return
    this.#waiter = undefined
    if (Array.isArray(found)) {
      this.position++
      this.#flight.trim()
      waiter.resolve({ done: false, value: found })
      return
    }
    this.#leave(null)
    if ('failure' in found) waiter.reject(found.failure)
    else waiter.resolve({ done: true, value: undefined })
  }

  #leave (reason: unknown): void {
    this.#signal.removeEventListener('abort', this.#onAbort)
    this.reason = reason
    this.#reject?.(reason)
    const waiter = this.#waiter
    this.#waiter = undefined
    this.#flight.leave(this)
    waiter?.reject(reason)
  }
}

async function * replayed (completion: Wire): AsyncGenerator<Wire[]> { yield toChunks(completion) }
