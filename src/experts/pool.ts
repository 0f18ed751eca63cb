/**
 * One expert made of several endpoints that serve the same adapter: the least busy one is asked, one that fails before the first byte is
 * passed over for another of the same pool. Never leads to another expert.
 */
import { ParallaxError } from '../errors.ts'
import type { Availability, EndpointState, Expert, ExpertFacts, ExpertRequest, Mixing, Wire } from './expert.ts'
import type { Endpoint, Ticket } from './endpoint.ts'
import { EarlyFailure, isFault } from './failure.ts'
import { race } from './race.ts'

export interface Member {
  readonly endpoint: Endpoint
  readonly expert: Expert
}

export interface PoolOptions {
  readonly facts: ExpertFacts
  readonly members: readonly Member[]
  /** How many further endpoints a call may be tried on, at most. */
  readonly retries: number
  /** Without a first byte after so many milliseconds a second endpoint is asked as well; null: never. */
  readonly hedgeMs: number | null
  /** What else is to be closed with it. */
  readonly close?: () => Promise<void> | void
}

const OUT_SECONDS = 2

export class PoolExpert implements Expert {
  readonly facts: ExpertFacts
  readonly members: readonly Member[]
  readonly mixing?: Mixing
  readonly #options: PoolOptions
  #turn = 0
  #running = 0

  constructor (options: PoolOptions) {
    this.#options = options
    this.facts = options.facts
    this.members = options.members
    const servers = options.members.map(({ expert }) => expert.mixing?.server)
    if (servers.every((one) => one !== undefined)) this.mixing = { server: servers.toSorted().join(' '), mix: (facts, parts) => this.#mix(facts, parts) }
  }

  /** The same endpoints and what is known of them, with another expert on each; what it answers by is `facts`. Closing it closes nothing. */
  with (facts: ExpertFacts, change: (expert: Expert) => Expert): PoolExpert {
    const { retries, hedgeMs } = this.#options
    return new PoolExpert({ facts, retries, hedgeMs, members: this.members.map(({ endpoint, expert }) => ({ endpoint, expert: change(expert) })) })
  }

  /** Calls of this expert's that go on: not those of others on the same endpoints. */
  get running (): number { return this.#running }

  availability (): Availability {
    // one that is parked is there: it is answered for by 429
    if (this.members.some((one) => stands(one) && (one.endpoint.admits || one.endpoint.status === 'parked'))) return { ok: true }
    return { ok: false, reason: this.#whyOut(), retryAfter: this.#comeAgain() }
  }

  endpoints (): readonly EndpointState[] {
    return this.members.map(({ endpoint, expert }) => {
      const now = expert.availability()
      const state = endpoint.state()
      return now.ok || state.reason !== null ? state : { ...state, status: 'unhealthy', reason: now.reason }
    })
  }

  async complete (request: ExpertRequest, signal: AbortSignal): Promise<Wire> {
    const { value, ticket } = await this.#ask((expert, until) => expert.complete(request, until), signal)
    ticket.succeeded()
    return value
  }

  async stream (request: ExpertRequest, signal: AbortSignal): Promise<AsyncIterable<Wire[]>> {
    const { value, ticket } = await this.#ask((expert, until) => expert.stream(request, until), signal)
    ticket.begun()
    return followed(value, ticket, signal)
  }

  async close (): Promise<void> {
    await this.#options.close?.()
    await Promise.all(this.members.map(({ expert }) => expert.close()))
  }

  /** Asks one endpoint after the other, until one has begun to answer or no other may be asked. */
  async #ask<T> (call: (expert: Expert, signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<{ value: T, ticket: Ticket }> {
    const asked = new Set<Member>()
    for (let retry = 0; ; retry++) {
      const member = this.#choose(asked)
      if (!member) throw this.#allOut()
      try {
        return await this.#attempt(member, asked, retry > 0 ? 'retry' : undefined, call, signal)
      } catch (error) {
        const again = error instanceof EarlyFailure && !signal.aborted && retry < this.#options.retries && this.#choose(asked) !== undefined
        if (!again) throw error
      }
    }
  }

  /** One endpoint, and a second beside it where the first is slow and hedging is on. */
  #attempt<T> (member: Member, asked: Set<Member>, because: 'retry' | undefined, call: (expert: Expert, signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<{ value: T, ticket: Ticket }> {
    const begin = async ({ endpoint, expert }: Member, until: AbortSignal, why?: 'retry' | 'hedge'): Promise<{ value: T, ticket: Ticket }> => {
      this.#running++
      const ticket = endpoint.start(why, () => { this.#running-- })
      try { return { value: await call(expert, until), ticket } } catch (error) {
        settle(ticket, error, until)
        throw error
      }
    }
    asked.add(member)
    const { hedgeMs } = this.#options
    if (hedgeMs === null) return begin(member, signal, because)
    return race({
      signal, afterMs: hedgeMs,
      first: (until) => begin(member, until, because),
      second: () => {
        const other = this.#choose(asked)
        if (!other) return undefined
        asked.add(other)
        return (until) => begin(other, until, 'hedge')
      },
      // it had begun as well, at the same moment
      discard: ({ ticket }) => { ticket.dropped() },
    })
  }

  /** The least busy of those that admit; of equals the one whose turn it is. */
  #choose (asked: ReadonlySet<Member>): Member | undefined {
    const { members } = this
    let best: Member | undefined
    const from = this.#turn++ % members.length
    for (let step = 0; step < members.length; step++) {
      const one = members[(from + step) % members.length]!
      if (asked.has(one) || !one.endpoint.admits || !stands(one)) continue
      if (!best || one.endpoint.load < best.endpoint.load) best = one
    }
    return best
  }

  #allOut (): ParallaxError {
    const standing = this.members.filter(stands)
    if (standing.some(({ endpoint }) => endpoint.status === 'parked')) {
      return new ParallaxError('expert_rate_limited', 'The expert behind this perspective is rate limited. Try again later; no other perspective is used instead.', { retryAfter: this.#comeAgain() })
    }
    return new ParallaxError('expert_unavailable', `The expert behind this perspective cannot be asked: ${this.#whyOut()} No other perspective is used instead.`, { retryAfter: this.#comeAgain() })
  }

  #whyOut (): string {
    const each = this.members.map(({ endpoint, expert }) => {
      const now = expert.availability()
      return { name: endpoint.name, reason: now.ok ? endpoint.reason ?? 'is being tried.' : now.reason }
    })
    if (each.length === 1) return `Its endpoint is out: ${each[0]!.reason}`
    return `All ${each.length} of its endpoints are out. ${each.map(({ name, reason }) => `"${name}": ${reason}`).join(' ')}`
  }

  #comeAgain (): number {
    const waits = this.members.map(({ endpoint, expert }) => {
      const now = expert.availability()
      return now.ok ? endpoint.wait / 1000 : now.retryAfter
    }).filter((one) => one > 0)
    return waits.length === 0 ? OUT_SECONDS : Math.min(...waits)
  }

  #mix (facts: ExpertFacts, parts: readonly { readonly expert: Expert, readonly weight: number }[]): Expert {
    const pools = parts.map(({ expert, weight }) => ({ pool: expert as PoolExpert, weight }))
    return this.with(facts, (expert) => {
      const mixing = expert.mixing!
      return mixing.mix(facts, pools.map(({ pool, weight }) => ({ weight, expert: pool.members.find((one) => one.expert.mixing!.server === mixing.server)!.expert })))
    })
  }
}

const stands = ({ expert }: Member): boolean => expert.availability().ok

/** Tells the endpoint's state what an error says of it. */
function settle (ticket: Ticket, error: unknown, signal: AbortSignal): void {
  if (signal.aborted) ticket.dropped()
  else if (error instanceof EarlyFailure && error.parkSeconds !== undefined) ticket.parked(error.parkSeconds)
  else if (isFault(error)) ticket.failed((error as Error).message)
  else ticket.dropped()
}

/** The chunks as they come; how the answer ends is told to the ticket, also where nobody reads it to its end. */
function followed (chunks: AsyncIterable<Wire[]>, ticket: Ticket, signal: AbortSignal): AsyncIterable<Wire[]> {
  const left = (): void => { ticket.dropped() }
  signal.addEventListener('abort', left, { once: true })
  const over = (): void => { signal.removeEventListener('abort', left) }
  return {
    [Symbol.asyncIterator] () {
      const inner = chunks[Symbol.asyncIterator]()
      return {
        next: () => inner.next().then((result) => {
          if (result.done) { over(); ticket.succeeded() }
          return result
        }, (error: unknown) => {
          over()
          settle(ticket, error, signal)
          throw error
        }),
        return: async () => {
          over()
          ticket.dropped()
          return await inner.return?.() ?? { done: true, value: undefined }
        },
      }
    },
  }
}
