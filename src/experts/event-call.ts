/**
 * One request whose answer is read chunk by chunk, by undici's own handler: the stream that `request()` makes of a body, and the generators
 * around it, cost a short chunk as much as everything else that is done with it.
 */
import type { Dispatcher, Pool } from 'undici'
import { ParallaxError } from '../errors.ts'
import type { Wire } from './expert.ts'
import { ERROR_BODY_LIMIT, fromStatus, fromThrown } from './failure.ts'
import type { FrameParser } from './frames.ts'

export interface EventCallOptions {
  readonly pool: Pool
  readonly request: Dispatcher.DispatchOptions
  readonly parser: FrameParser
  readonly signal: AbortSignal
  /** What must never appear in a message. */
  readonly secrets: readonly string[]
}

/** What may come after the end of an answer, before the connection is given up. */
const TAIL_LIMIT = 64 * 1024
/** Bytes that wait for their reader before the upstream is held back. */
const WAITING_LIMIT = 64 * 1024

type Step = IteratorResult<Wire[], undefined>
const OVER: Step = { done: true, value: undefined }

/** Resolves when the upstream has accepted. Rejects, and breaks off later, with ParallaxError or the signal's reason. */
export function eventCall (options: EventCallOptions): Promise<AsyncIterableIterator<Wire[], undefined>> {
  return new Promise((accept, refuse) => { new EventCall(options, accept, refuse).start() })
}

class EventCall implements AsyncIterableIterator<Wire[], undefined>, Dispatcher.DispatchHandler {
  readonly #options: EventCallOptions
  readonly #accept: (call: EventCall) => void
  readonly #refuse: (error: unknown) => void
  readonly #leave = (): void => {
    this.#parts = []
    this.#end({ failure: this.#options.signal.reason })
    this.#drop()
  }
  readonly #wake = (): void => {
    const reader = this.#reader
    if (!reader) return
    // taken out first: giving the call up wakes once more, from within
    this.#reader = undefined
    try {
      const step = this.#look()
      if (step) reader.resolve(step)
      else this.#reader = reader
    } catch (failure) {
      reader.reject(failure)
    }
  }
  #control: Dispatcher.DispatchController | undefined
  #accepted = false
  #refusal: { readonly status: number, readonly retryAfter: string | string[] | undefined, text: string } | undefined
  /** Read and not parsed: one read of the socket often brings several parts, and parsed together they cost little more than one. */
  #parts: Buffer[] = []
  #bytes = 0
  /** How the upstream ended. */
  #ended: { readonly failure?: unknown } | undefined
  /** The reader was told the end, or has left. */
  #over = false
  #tail = 0
  #reader: { readonly resolve: (step: Step) => void, readonly reject: (error: unknown) => void } | undefined

  constructor (options: EventCallOptions, accept: (call: EventCall) => void, refuse: (error: unknown) => void) {
    this.#options = options
    this.#accept = accept
    this.#refuse = refuse
  }

  start (): void {
    const { pool, request, signal } = this.#options
    if (signal.aborted) { this.#refuse(signal.reason); return }
    signal.addEventListener('abort', this.#leave)
    pool.dispatch(request, this)
  }

  onRequestStart (control: Dispatcher.DispatchController): void {
    this.#control = control
    // given up while it waited for a connection
    if (this.#ended) this.#drop()
  }

  onResponseStart (_control: Dispatcher.DispatchController, status: number, headers: Record<string, string | string[] | undefined>): void {
    if (status < 200) return
    if (status !== 200) this.#refusal = { status, retryAfter: headers['retry-after'], text: '' }
    else if (String(headers['content-type'] ?? '').includes('text/event-stream')) {
      this.#accepted = true
      this.#accept(this)
    } else {
      this.#end({ failure: new ParallaxError('expert_failed', 'The expert was asked for a stream and answered something else.') })
      this.#drop()
    }
  }

  onResponseData (control: Dispatcher.DispatchController, part: Buffer): void {
    if (this.#refusal) {
      this.#refusal.text += part.toString()
      if (this.#refusal.text.length > ERROR_BODY_LIMIT) { this.#endRefused(); this.#drop() }
    } else if (this.#over) {
      // read to its end an answer gives its connection back
      if ((this.#tail += part.length) > TAIL_LIMIT) this.#drop()
    } else {
      this.#bytes += part.length
      // the parts of one read come one by one, and are looked at when all are there
      if (this.#parts.push(part) === 1 && this.#reader) queueMicrotask(this.#wake)
      if (this.#bytes >= WAITING_LIMIT) control.pause()
    }
  }

  onResponseEnd (): void {
    if (this.#refusal) this.#endRefused()
    else this.#end({})
  }

  onResponseError (_control: Dispatcher.DispatchController, error: Error): void {
    // what came of a refusal says more than how it broke off
    if (this.#refusal) this.#endRefused()
    else this.#end({ failure: fromThrown(error, this.#options.signal, this.#accepted) })
  }

  [Symbol.asyncIterator] (): this { return this }

  next (): Promise<Step> {
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject }
      this.#wake()
    })
  }

  async return (): Promise<Step> {
    this.#over = true
    this.#parts = []
    // nobody reads on: the upstream must not go on generating
    if (!this.#options.parser.done && !this.#ended) this.#drop()
    return OVER
  }

  /** What there is for the reader, or undefined: nothing yet. Throws how it broke off, once. */
  #look (): Step | undefined {
    const { parser } = this.#options
    if (this.#over) return OVER
    while (this.#parts.length > 0) {
      const read = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts)
      this.#parts = []
      this.#bytes = 0
      // brings more at once, perhaps, which is why this is a loop
      if (this.#control!.paused) this.#control!.resume()
      const batch = parser.feed(read)
      if (batch.length > 0) return { done: false, value: batch }
    }
    const end = parser.failure ? { failure: parser.failure } : parser.done ? {} : this.#ended
    if (!end) return undefined
    this.#over = true
    if (parser.failure) this.#drop()
    if ('failure' in end) throw end.failure
    return OVER
  }

  #endRefused (): void {
    const { status, text, retryAfter } = this.#refusal!
    this.#end({ failure: fromStatus(status, text, retryAfter, this.#options.secrets) })
  }

  #end (ended: { readonly failure?: unknown }): void {
    if (this.#ended) return
    this.#ended = ended
    this.#options.signal.removeEventListener('abort', this.#leave)
    if (!this.#accepted) this.#refuse('failure' in ended ? ended.failure : new ParallaxError('expert_failed', 'The expert\'s answer ended before it began.'))
    this.#wake()
  }

  #drop (): void { if (this.#control && !this.#control.aborted) this.#control.abort(new Error('the answer is not wanted any more')) }
}
