/**
 * What is known of one endpoint of a pool: how much it has to do, and whether it should be asked. Opens the circuit after failures in a row,
 * lets one call try it again, leaves it alone when it asks to be. Knows nothing of requests; time is given.
 */
import type { EndpointState } from './expert.ts'

export interface EndpointOptions {
  readonly name: string
  /** It gets this share of the calls, relative to the others' weights. */
  readonly weight: number
  /** Failures in a row that open the circuit; 0: it never opens. */
  readonly failures: number
  /** How long it stays open, the first time; doubled each time that the trial fails, up to OPEN_LIMIT_MS. */
  readonly openMs: number
  readonly now?: () => number
}

/** One call: each of its ends is told once, the later ones count for nothing. */
export interface Ticket {
  /** The answer has begun: a trial has been passed so far. */
  begun (): void
  succeeded (): void
  failed (why: string): void
  /** The endpoint wants to be left alone. */
  parked (seconds: number): void
  /** The caller left, or was wrong: says nothing of the endpoint. */
  dropped (): void
}

const OPEN_LIMIT_MS = 60_000
/** An upstream that says "in a day" is asked again after this. */
const PARK_LIMIT_SECONDS = 600

export class Endpoint {
  readonly name: string
  readonly weight: number
  readonly #options: EndpointOptions
  readonly #now: () => number
  #inFlight = 0
  #inARow = 0
  #openUntil: number | null = null
  #openFor = 0
  #trial = false
  #parkedUntil = 0
  #unhealthy: string | null = null
  #why = ''
  #calls = 0
  #failures = 0
  #opened = 0
  #retries = 0
  #hedges = 0

  constructor (options: EndpointOptions) {
    this.#options = options
    this.name = options.name
    this.weight = options.weight
    this.#now = options.now ?? Date.now
  }

  get load (): number { return this.#inFlight / this.weight }

  get status (): EndpointState['status'] {
    if (this.#unhealthy !== null) return 'unhealthy'
    if (this.#openUntil !== null) return this.#now() < this.#openUntil ? 'open' : 'half-open'
    return this.#now() < this.#parkedUntil ? 'parked' : 'ok'
  }

  /** May a call be sent there now? */
  get admits (): boolean {
    const { status } = this
    return status === 'ok' || (status === 'half-open' && !this.#trial)
  }

  /** When it may admit again, in milliseconds; 0: now, or when it is known not to be known. */
  get wait (): number {
    const { status } = this
    const until = status === 'open' ? this.#openUntil! : status === 'parked' ? this.#parkedUntil : 0
    return Math.max(0, until - this.#now())
  }

  get reason (): string | null {
    const seconds = Math.ceil(this.wait / 1000)
    switch (this.status) {
      case 'unhealthy': return this.#unhealthy
      case 'open': return `failed ${this.#inARow} times in a row, last because: ${this.#why} It is tried again in ${seconds} s.`
      case 'half-open': return this.#trial ? `failed before, and is being tried by one call.` : null
      case 'parked': return `asked to be left alone for ${seconds} s more.`
      default: return null
    }
  }

  /** Told by a probe: null, or why it is not healthy. A healthy one whose circuit is open may be tried at once. */
  probed (unhealthy: string | null): void {
    this.#unhealthy = unhealthy
    if (unhealthy === null && this.#openUntil !== null) this.#openUntil = Math.min(this.#openUntil, this.#now())
  }

  /** Whoever is admitted starts a call; `whenOver` is told when it has ended, however. */
  start (because?: 'retry' | 'hedge', whenOver: () => void = () => {}): Ticket {
    const trial = this.status === 'half-open'
    if (trial) this.#trial = true
    this.#inFlight++
    this.#calls++
    if (because === 'retry') this.#retries++
    if (because === 'hedge') this.#hedges++
    let over = false
    const end = (what: () => void) => (): void => {
      if (over) return
      over = true
      this.#inFlight--
      whenOver()
      if (trial) this.#trial = false
      what()
    }
    return {
      begun: () => { if (!over && trial) this.#close(this.#options.failures - 1) },
      succeeded: end(() => { this.#close(0) }),
      failed: (why) => { end(() => { this.#fail(why) })() },
      parked: (seconds) => { end(() => { this.#parkedUntil = Math.max(this.#parkedUntil, this.#now() + Math.min(seconds, PARK_LIMIT_SECONDS) * 1000) })() },
      dropped: end(() => {}),
    }
  }

  state (): EndpointState {
    const { name, status, reason } = this
    return { name, status, reason, inFlight: this.#inFlight, calls: this.#calls, failures: this.#failures, opened: this.#opened, retries: this.#retries, hedges: this.#hedges }
  }

  /** Closed with as many failures as count already: after a mere beginning one more opens it again. */
  #close (inARow: number): void {
    this.#inARow = inARow
    this.#openUntil = null
    this.#trial = false
    if (inARow === 0) this.#openFor = 0
  }

  #fail (why: string): void {
    this.#failures++
    this.#inARow++
    this.#why = why
    const { failures, openMs } = this.#options
    if (failures === 0 || this.#inARow < failures) return
    // calls that were under way when it opened prove nothing new
    if (this.status === 'open') return
    this.#openFor = Math.min(OPEN_LIMIT_MS, this.#openFor === 0 ? openMs : this.#openFor * 2)
    this.#openUntil = this.#now() + this.#openFor
    this.#opened++
  }
}
