/** Which calls are under way, and who may join them. Knows keys and records, not what an answer says or how replicas agree. */
import type { Wire } from '../experts/expert.ts'
import type { Ask, Cache, Claim, Claims, Flights, Flown } from './cache.ts'
import { Flight, type Launched, type Seat } from './flight.ts'

/** How long an answer can still be joined that nobody has kept yet: its end record is being written meanwhile. */
export const LINGER_MS = 2000

/** One call under way under a key. */
interface UnderWay {
  readonly flight: Flight
  readonly leader: string | undefined
  claim: Claim | undefined
  kept: boolean
  linger: NodeJS.Timeout | undefined
}

/** In one process the right to call is whoever comes first; the answer may have been kept since the asker looked. */
export const processClaims = (cache: Pick<Cache, 'get'>): Claims => ({
  async claim (key, usable) {
    const cached = await cache.get(key)
    return cached && usable(cached) ? { cached, waited: false } : { release: () => {} }
  },
})

const anyAge = (): boolean => true

export function makeFlights (cache: Pick<Cache, 'get' | 'set'>, claims: Claims = processClaims(cache), clock: () => number = Date.now): Flights {
  const underWay = new Map<string, UnderWay>()
  const counts = { called: 0, collapsed: 0 }

  function land (key: string, one: UnderWay): void {
    clearTimeout(one.linger)
    if (underWay.get(key) === one) underWay.delete(key)
    if (one.claim && 'release' in one.claim) one.claim.release()
  }

  function begin (ask: Ask, call: (signal: AbortSignal) => Promise<Launched>): UnderWay {
    const { key, usable = anyAge } = ask
    const one: UnderWay = {
      leader: ask.record, claim: undefined, kept: false, linger: undefined,
      flight: new Flight(async (signal) => {
        const claim = await claims.claim(key, usable, signal)
        one.claim = claim
        if ('cached' in claim) return claim
        if (signal.aborted) {
          claim.release()
          throw signal.reason
        }
        counts.called++
        return call(signal)
      }, (answered) => {
        if (!answered) { land(key, one); return }
        one.linger = setTimeout(() => { land(key, one) }, LINGER_MS)
        one.linger.unref()
      }),
    }
    underWay.set(key, one)
    return one
  }

  function keep (ask: Ask, one: UnderWay, source: string): boolean {
    if (one.kept) return false
    const completion = one.flight.answer()
    if (!completion) return false
    one.kept = true
    const kept = cache.set(ask.key, { completion, source, stored: clock(), tags: ask.tags }, ask.ttlSeconds)
    if (typeof kept === 'boolean') { land(ask.key, one); return kept }
    // it can be joined until the others can find it
    void kept.finally(() => { land(ask.key, one) })
    return true
  }

  async function fly<T> (ask: Ask, call: (signal: AbortSignal) => Promise<Launched>, signal: AbortSignal, take: (seat: Seat, launched: Exclude<Launched, { cached: unknown }>) => Promise<T> | T): Promise<Flown<T>> {
    for (;;) {
      signal.throwIfAborted()
      const joined = underWay.get(ask.key)
      const one = joined ?? begin(ask, call)
      const seat = one.flight.board(signal)
      if (joined) counts.collapsed++
      const launched = await seat.launched()
      if (!('cached' in launched)) {
        const called = await take(seat, launched)
        return { called, shared: joined !== undefined, leader: one.leader, keep: (source) => keep(ask, one, source) }
      }
      seat.done()
      if (launched.waited && !joined) counts.collapsed++
      // young enough for whoever led, perhaps not for this one
      if (ask.usable?.(launched.cached) ?? true) return launched
    }
  }

  return {
    whole: (ask, call, signal) => fly<Wire>(ask, async (own) => ({ whole: await call(own) }), signal, (seat, launched) => seat.whole(launched)),
    stream: (ask, call, signal) => fly<AsyncIterable<Wire[]>>(ask, async (own) => ({ chunks: await call(own) }), signal, (seat, launched) => seat.stream(launched)),
    counts: () => counts,
  }
}
