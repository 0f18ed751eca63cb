/**
 * A route -> who speaks: for each voice its disclosure, its expert's request, and what the cache has of it.
 * Never puts one perspective in another's place. Knows nothing of records or replies.
 */
import { LRUCache } from 'lru-cache'
import type { Cache, Flights, KeptAnswer } from '../cache/cache.ts'
import type { Fate } from '../cache/cache-status.ts'
import { cacheKey, isUsable, remaining, tagsOf, type CacheWish } from '../cache/key.ts'
import type { Config } from '../config.ts'
import { disclose, withDraw, type Context, type Disclosure, type Manner } from '../disclosure/disclose.ts'
import { discloseBlend, discloseSideBySide } from '../disclosure/together.ts'
import type { Draw, Draws } from '../draws/draws.ts'
import { ParallaxError } from '../errors.ts'
import { mixed, quantised } from '../experts/blend.ts'
import type { Expert, ExpertFacts } from '../experts/expert.ts'
import type { Caller } from '../keys/keys.ts'
import type { Perspective } from '../perspectives/perspective.ts'
import type { Registry } from '../perspectives/registry.ts'
import type { Distributional, Overton, Route } from '../router/route.ts'
import type { SpokenBefore } from './context.ts'
import { expertRequest, type ChatRequest } from './request.ts'
import { cachedSpeech, expertSpeech, silentSpeech, type Speech } from './speech.ts'
import { summaryRequest, type SideAnswer } from './summary.ts'

/** One speaker of an answer. */
export interface Voice {
  /** Its index among the choices. */
  readonly choice: number
  /** Perspective id, or "blend". */
  readonly id: string
  readonly disclosure: Disclosure
  /** Of the expert that was found for it: another may take its place meanwhile. */
  readonly facts: ExpertFacts
  readonly speech: Speech
}

export interface Cast {
  /** The whole answer's. */
  readonly disclosure: Disclosure
  readonly voices: readonly Voice[]
  /** Where one is wanted: the voice that speaks after the others, about what they said. */
  readonly summary: { readonly voice: Voice, about (answers: readonly SideAnswer[]): Speech } | null
}

export interface CastRooms {
  readonly config: Pick<Config, 'cache' | 'provider' | 'limits'>
  readonly perspectives: Pick<Registry, 'find'>
  readonly experts: ReadonlyMap<string, Expert>
  readonly cache: Cache
  readonly flights: Flights
  readonly draws: Draws
  readonly spoken: SpokenBefore
}

export interface CastCall {
  readonly caller: Caller
  readonly requestId: string
  readonly request: ChatRequest
  readonly wish: CacheWish
  /** Told what became of the cache: each voice says how it was answered, and again where that changes. */
  readonly cacheStatus: (fate: Fate, choice?: number) => void
}

/** Who answers, and in what manner: what beside the request makes two answers the same. */
interface Scope { readonly perspectives: readonly string[], readonly manner: Manner, readonly facts: readonly ExpertFacts[] }

const DISCLOSURES_KEPT = 512

export function makeCaster (rooms: CastRooms): (route: Route, call: CastCall) => Promise<Cast> {
  const { config, experts } = rooms
  /** The same words for every answer that is made alike. */
  const disclosures = new LRUCache<string, Disclosure>({ max: DISCLOSURES_KEPT })

  const once = (name: string, make: () => Disclosure): Disclosure => {
    let known = disclosures.get(name)
    if (!known) disclosures.set(name, known = make())
    return known
  }

  /** What is declared now: a release may have come between the route and the cast. Taken together with the expert, with no wait between, for they are exchanged together. */
  const standing = (asked: Perspective): Perspective => rooms.perspectives.find(asked.id) ?? asked

  const factsOf = ({ id, base }: Perspective): ExpertFacts => experts.get(id)?.facts ?? { model: base.model, adapter: null, adapterSha256: null }

  /** One perspective's voice, in whatever manner it speaks. */
  async function voice (asked: Perspective, manner: Manner, choice: number, call: CastCall): Promise<Voice> {
    const perspective = standing(asked)
    const { id } = perspective
    const facts = factsOf(perspective)
    const context = rooms.spoken.of(call.request, call.caller.tenant, id)
    const words = once(nameOf(id, manner, context, facts, [perspective]), () => disclose(perspective, { ...manner, context }, facts, config.provider))
    const disclosure = manner.draw ? withDraw(words, manner.draw) : words
    const expert = experts.get(id)
    return { choice, id, disclosure, facts, speech: await speech(expert ?? unserved(id), expertRequest(call.request), { perspectives: [id], manner, facts: [facts] }, id, call) }
  }

  async function speech (expert: Expert | ParallaxError, request: Readonly<Record<string, unknown>>, scope: Scope, id: string, call: CastCall): Promise<Speech> {
    const { wish } = call
    if (expert instanceof Error) return silentSpeech(expert)
    const { mode, mixture, role, weights, draw } = scope.manner
    const cached = (wish.read || wish.store) && config.cache.enabled
      ? { tenant: call.caller.tenant, perspectives: scope.perspectives, mode, mixture, role, weights, seed: draw?.seed, experts: scope.facts }
      : null
    const key = cached && cacheKey(request, cached)
    const kept = key && wish.read ? await rooms.cache.get(key) : undefined
    if (kept && isUsable(kept, wish)) {
      call.cacheStatus({ hit: true, ttl: remaining(kept) })
      return cachedSpeech(kept)
    }
    const available = expert.availability()
    if (!available.ok) return silentSpeech(new ParallaxError('expert_unavailable', `The perspective "${id}" cannot answer: ${available.reason} No other perspective is used instead.`, { param: 'perspective', retryAfter: available.retryAfter }))
    // an answer that is there and is not what the request wants is not a miss
    call.cacheStatus({ fwd: config.cache.enabled ? wish.refused ?? (kept ? 'request' : 'miss') : 'bypass' })
    if (!key) return expertSpeech(expert, request, null, call.cacheStatus)
    const ask = { key, tags: tagsOf(cached), ttlSeconds: Math.min(wish.maxAge ?? Infinity, config.cache.ttlSeconds), usable: (one: KeptAnswer) => isUsable(one, wish) }
    return expertSpeech(expert, request, { cache: rooms.cache, flights: rooms.flights, ask, share: wish.read, store: wish.store }, call.cacheStatus)
  }

  async function drawn (route: Distributional, call: CastCall): Promise<Cast> {
    const { weights, sticky, seed } = route
    const draw: Draw = await rooms.draws.draw({ tenant: call.caller.tenant, sticky, request: call.requestId, seed, weights })
    const chosen = route.perspectives.find(({ id }) => id === draw.chosen)!
    return alone(await voice(chosen, { mode: 'distributional', mixture: 'sample', weights, draw }, 0, call))
  }

  async function blended ({ perspectives: routed, weights: asked }: Distributional, call: CastCall): Promise<Cast> {
    const rounded = dealt(routed, asked)
    // whose share is rounded away has no part in it, and is not named as if it had
    const perspectives = routed.filter((_, at) => rounded[at]! > 0).map(standing)
    const shares = rounded.filter((share) => share > 0)
    const weights = Object.fromEntries(perspectives.map(({ id }, at) => [id, shares[at]!]))
    const parts = perspectives.map((one) => {
      const expert = experts.get(one.id)
      if (!expert) throw unserved(one.id)
      return { expert, weight: weights[one.id]!, name: one.id }
    })
    const expert = mixed(parts)
    const contexts = perspectives.map(({ id }) => rooms.spoken.of(call.request, call.caller.tenant, id))
    const manner = { mode: 'distributional', mixture: 'blend', weights, context: contexts.every((context) => context === 'fresh') ? 'fresh' : 'mixed' } as const
    const disclosure = once(nameOf('blend', manner, manner.context, expert.facts, perspectives), () => discloseBlend(perspectives, manner, expert.facts, parts.map((part) => part.expert.facts), config.provider))
    return alone({ choice: 0, id: 'blend', disclosure, facts: expert.facts, speech: await speech(expert, expertRequest(call.request), { perspectives: perspectives.map(({ id }) => id), manner, facts: parts.map((part) => part.expert.facts) }, perspectives.map(({ id }) => id).join('" and "'), call) })
  }

  function dealt (routed: readonly Perspective[], asked: Readonly<Record<string, number>>): number[] {
    try { return quantised(routed.map(({ id }) => asked[id]!), routed.map(({ lean }) => lean !== null)) } catch (cause) {
      throw new ParallaxError('mixture_unsupported', `A blend is made in steps of 0.05, and so many of them cannot be given alike to perspectives of the same weight (${routed.map(({ id }) => `${id} ${asked[id]}`).join(', ')}). Give weights that are multiples of 0.05 and sum to 1.`, { param: 'perspective', cause })
    }
  }

  async function sideBySide ({ perspectives, weights, summary }: Overton, call: CastCall): Promise<Cast> {
    if ((call.request.n ?? 1) > 1) throw new ParallaxError('invalid_request', 'Side by side, each perspective gives one choice: leave "n" out.', { param: 'n' })
    const count = perspectives.length + (summary ? 1 : 0)
    if (count > config.limits.choices) throw new ParallaxError('invalid_request', `Side by side would be ${count} choices; at most ${config.limits.choices} are allowed.`, { param: 'perspective' })
    const voices = await Promise.all(perspectives.map((one, choice) => voice(one, { mode: 'overton', weights }, choice, { ...call, cacheStatus: (fate) => { call.cacheStatus(fate, choice) } })))
    const last = summary && await summaryVoice(summary, weights, perspectives.length, call)
    const all = last ? [...voices, last.voice] : voices
    const speakers = all.map(({ facts }) => facts)
    // by the very words of each, which a release may have exchanged meanwhile
    const name = `both ${all.map(({ disclosure }) => numberOf(disclosure)).join()}`
    return { disclosure: once(name, () => discloseSideBySide(all.map(({ disclosure }) => disclosure), weights, speakers, config.provider)), voices, summary: last }
  }

  async function summaryVoice (asked: Perspective, weights: Overton['weights'], choice: number, call: CastCall): Promise<NonNullable<Cast['summary']>> {
    const by = standing(asked)
    const facts = factsOf(by)
    const manner: Manner = { mode: 'overton', role: 'summary', weights, context: 'mixed' }
    const disclosure = once(nameOf(by.id, manner, 'mixed', facts, [by]), () => disclose(by, manner, facts, config.provider))
    const expert = experts.get(by.id) ?? unserved(by.id)
    const available = expert instanceof Error ? null : expert.availability()
    // it is made for these answers, and nobody keeps it
    call.cacheStatus({ fwd: 'bypass' }, choice)
    const silent = expert instanceof Error ? expert : available!.ok ? null : new ParallaxError('expert_unavailable', `The summary cannot be written: ${available!.reason}`, { retryAfter: available!.retryAfter })
    return {
      voice: { choice, id: by.id, disclosure, facts, speech: silentSpeech(silent ?? new Error('a summary has nothing to say before the others')) },
      about: (answers) => silent ? silentSpeech(silent) : expertSpeech(expert as Expert, summaryRequest(call.request, answers), null, () => {}),
    }
  }

  return async (route, call) => {
    if (route.mode === 'overton') return sideBySide(route, call)
    if (route.mode === 'distributional') return route.mixture === 'sample' ? drawn(route, call) : blended(route, call)
    return alone(await voice(route.perspective, route, 0, call))
  }
}

const numbers = new WeakMap<Disclosure, number>()
let count = 0

function numberOf (disclosure: Disclosure): number {
  let known = numbers.get(disclosure)
  if (known === undefined) numbers.set(disclosure, known = ++count)
  return known
}

const alone = (voice: Voice): Cast => ({ disclosure: voice.disclosure, voices: [voice], summary: null })

/** By all that the words are made of. By the declarations too: a release changes what is said of the same weights, the base's among them. */
const nameOf = (id: string, { mode, mixture, role, weights }: Manner, context: Context, facts: ExpertFacts, declared: readonly Perspective[]): string =>
  mode === 'steerable' ? `${id} ${context} ${facts.adapterSha256} ${declared[0]!.sha256} ${JSON.stringify([facts.model, facts.adapter])}` : JSON.stringify([id, mode, mixture, role, Object.entries(weights), context, facts.model, facts.adapter, facts.adapterSha256, declared.map(({ sha256 }) => sha256)])

const unserved = (id: string): ParallaxError =>
  new ParallaxError('expert_unavailable', `Nothing serves the perspective "${id}" at present. No other perspective is used instead.`, { param: 'perspective', retryAfter: 30 })
