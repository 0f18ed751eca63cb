/** Mixes the adapters of several experts inside the server that they share. Knows weights and names; how a server mixes is its wire's business. */
import { LRUCache } from 'lru-cache'
import { ParallaxError } from '../errors.ts'
import type { Availability, Expert, ExpertFacts } from './expert.ts'

export interface Part {
  readonly expert: Expert
  /** Not negative; they need not sum to 1. */
  readonly weight: number
  /** What the caller calls it, for messages. */
  readonly name?: string
}

/** Weights are multiples of 1/20: finer ones cannot be told apart, and each setting costs the engine a context. */
const STEPS = 20
/** Blends kept, so that the same weights meet the same expert again. */
const KEPT = 64

const kept = new LRUCache<string, Expert>({ max: KEPT })
const numbers = new WeakMap<Expert, number>()
let count = 0

function numberOf (expert: Expert): number {
  let known = numbers.get(expert)
  if (known === undefined) numbers.set(expert, known = ++count)
  return known
}

/**
 * Weights as they are used: multiples of 0.05 that sum to exactly 1, by largest remainder. Equal weights stay equal, whoever is named first: where
 * twentieths cannot be dealt to them alike, they go to another. `leans`: who of them takes a side; what does not comes after those that do.
 * Throws RangeError for what cannot be weights, or cannot be dealt.
 */
export function quantised (weights: readonly number[], leans: readonly boolean[] = weights.map(() => true)): number[] {
  const sum = weights.reduce((all, one) => all + one, 0)
  if (!(sum > 0) || !Number.isFinite(sum) || weights.some((one) => !(one >= 0))) throw new RangeError(`not weights: ${weights.join(', ')}`)
  // a float a hair below a whole step is that step
  const exact = weights.map((one) => Math.round(one / sum * STEPS * 1e9) / 1e9)
  const steps = exact.map(Math.floor)
  let left = STEPS - steps.reduce((all, one) => all + one, 0)
  const alike = [...Map.groupBy(exact.keys(), (place) => `${exact[place]} ${leans[place]}`).values()]
    .toSorted(([a], [b]) => (exact[b!]! - steps[b!]!) - (exact[a!]! - steps[a!]!) || exact[b!]! - exact[a!]! || Number(leans[b!]) - Number(leans[a!]))
  const deal = (group: readonly number[]): void => {
    if (group.length > left) return
    for (const place of group) steps[place]!++
    left -= group.length
  }
  // a second round: what nobody could take goes to one that has no equal
  for (const group of [...alike, ...alike]) if (exact[group[0]!]! > 0) deal(group)
  if (left > 0) throw new RangeError(`twentieths cannot be dealt alike to ${weights.length} of which some weigh the same: ${weights.join(', ')}`)
  return steps.map((one) => one / STEPS)
}

/**
 * One expert that answers by the weighted sum of the parts' adapters. The same parts and weights give the same expert; closing it closes nothing.
 * Throws `mixture_unsupported` (400) where the parts do not share a server that can mix, `expert_unavailable` (503) where one cannot be asked at all.
 */
export function mixed (parts: readonly Part[]): Expert {
  const weights = weightsOf(parts)
  // the same expert named twice counts once; one that weighs nothing has no say
  const byExpert = new Map<Expert, { weight: number, name: string }>()
  for (const [place, { expert, name }] of parts.entries()) {
    const weight = Math.round(((byExpert.get(expert)?.weight ?? 0) + weights[place]!) * STEPS) / STEPS
    if (weight > 0) byExpert.set(expert, { weight, name: name ?? nameOf(expert.facts) })
  }
  const used = [...byExpert].map(([expert, { weight, name }]) => ({ expert, weight, name }))
  const key = used.map(({ expert, weight }) => `${numberOf(expert)}*${weight}`).join('+')
  let blend = kept.get(key)
  if (!blend) kept.set(key, blend = make(used))
  return blend
}

function weightsOf (parts: readonly Part[]): number[] {
  try { return quantised(parts.map(({ weight }) => weight)) } catch (cause) {
    throw new ParallaxError('mixture_unsupported', 'The weights of a mixture have to be numbers of which none is negative and one is above 0.', { param: 'perspective', cause })
  }
}

function make (used: readonly Required<Part>[]): Expert {
  for (const { expert, name } of used) {
    if (expert.mixing) continue
    const now = expert.availability()
    if (!now.ok) throw new ParallaxError('expert_unavailable', `The perspective "${name}" cannot answer, and so neither can the mixture: ${now.reason}`, { param: 'perspective', retryAfter: now.retryAfter })
    throw unsupported(`"${name}" answers through a wire that cannot mix adapters`)
  }
  const [first, ...others] = used
  const other = others.find(({ expert }) => expert.mixing!.server !== first!.expert.mixing!.server)
  if (other) throw unsupported(`"${first!.name}" and "${other.name}" stand behind different servers`)
  const facts: ExpertFacts = {
    model: first!.expert.facts.model,
    adapter: used.map(({ expert, weight }) => `${weight.toFixed(2)}*${nameOf(expert.facts)}`).join('+'),
    // no file has this digest: the parts have theirs
    adapterSha256: null,
    parts: used.map(({ expert, weight }) => ({ weight, model: expert.facts.model, adapter: expert.facts.adapter, adapterSha256: expert.facts.adapterSha256 })),
  }
  const inner = first!.expert.mixing!.mix(facts, used)
  return {
    facts,
    availability: (): Availability => {
      for (const { expert } of used) {
        const now = expert.availability()
        if (!now.ok) return now
      }
      return inner.availability()
    },
    complete: (request, signal) => inner.complete(request, signal),
    stream: (request, signal) => inner.stream(request, signal),
    close: async () => {},
  }
}

const nameOf = ({ adapter, model }: ExpertFacts): string => adapter ?? model

function unsupported (why: string): ParallaxError {
  return new ParallaxError('mixture_unsupported', `These adapters cannot be blended: ${why}. Blending works where all of them are served by the embedded engine, by one llama.cpp server, or by one LoRAX server. Ask for "mixture": "sample", which draws one of them.`, { param: 'perspective' })
}
