/** What a bare name asks for: everything that a client can reach that can set nothing but the model. Pure. */
import { ParallaxError } from '../errors.ts'
import type { Perspective } from '../perspectives/perspective.ts'
import type { Registry } from '../perspectives/registry.ts'
import type { Route } from './route.ts'

/** The model name that says nothing about a perspective, to set beside a body or header that does. */
export const NEUTRAL_MODEL = 'parallax'

/** `both` is said of any number of sides; `all` is its other name. */
const SIDE_BY_SIDE = new Set(['both', 'all'])
const WITH_SUMMARY = new Set(['both-summary', 'all-summary'])

const MIX = /^mix-(?:(.+)-)?(0(?:\.\d{1,4})?|1(?:\.0{1,4})?)$/

const single = new WeakMap<Perspective, Route>()

export function steer (perspective: Perspective): Route {
  let route = single.get(perspective)
  if (!route) single.set(perspective, route = { mode: 'steerable', perspective, weights: Object.freeze({ [perspective.id]: 1 }) })
  return route
}

/** The route, or undefined for a name that nobody declared. Throws `mixture_unsupported` for a mixture that these perspectives cannot make. */
export function named (name: string, registry: Registry): Route | undefined {
  const one = registry.find(name)
  if (one) return steer(one)
  if (SIDE_BY_SIDE.has(name)) return sideBySide(registry, false)
  if (WITH_SUMMARY.has(name)) return sideBySide(registry, true)
  const mix = MIX.exec(name)
  return mix ? mixed(mix[1], Number(mix[2]), name, registry) : undefined
}

/** What else could have been meant by a name that nobody declared: a sentence, with a space before it, or nothing. */
export function hintOf (name: string, registry: Registry): string {
  const lower = name.toLowerCase()
  if (lower.startsWith('mix-')) {
    const [first, second] = registry.sides()
    return first && second ? ` A mixture is named such as "mix-0.70" (so much of "${first.id}"), "mix-${first.id}-0.70" or "mix-${second.id}-0.70": a share from 0 to 1, with at most four digits after the point.` : ''
  }
  const names = [...registry.list().flatMap(({ id, alias }) => alias === null ? [id] : [id, alias]), ...SIDE_BY_SIDE, ...WITH_SUMMARY, NEUTRAL_MODEL]
  const meant = names.find((one) => one !== name && one.toLowerCase() === lower)
  return meant === undefined ? '' : ` Upper and lower case matter: there is "${meant}".`
}

/** Throws `invalid_request` for a key's default that no request could name here: else the key's owner would learn of it by every answer that fails. */
export function checkDefault (name: string, registry: Registry): void {
  if (named(name, registry)) return
  const names = registry.list().flatMap(({ id, alias }) => alias === null ? [id] : [id, alias])
  throw new ParallaxError('invalid_request', `Wanted default_perspective as something that a request can name here, got ${JSON.stringify(name.slice(0, 60))}. Choose one of: ${names.join(', ')}, "both", or a mixture such as "mix-0.50".${hintOf(name, registry)}`, { param: 'default_perspective' })
}

function sideBySide (registry: Registry, summary: boolean): Route {
  const perspectives = registry.sides()
  if (perspectives.length < 2) throw new ParallaxError('mixture_unsupported', `Side by side needs two perspectives that lean; this gateway has ${perspectives.length}.`, { param: 'perspective' })
  const by = registry.unleaning()
  if (summary && !by) throw new ParallaxError('mixture_unsupported', 'A summary is written by the baseline, and this gateway has none.', { param: 'perspective' })
  return { mode: 'overton', perspectives, weights: Object.fromEntries(perspectives.map((one) => [one.id, 1])), summary: summary ? by! : null }
}

/** `mix-0.70`: so much on the first of exactly two; `mix-<id>-0.70`: on that one of the two. */
function mixed (id: string | undefined, weight: number, name: string, registry: Registry): Route | undefined {
  const perspectives = registry.sides()
  const heavy = id === undefined ? perspectives[0] : registry.find(id)
  // a name that only looks like a mixture is as unknown as any other
  if (id !== undefined && !heavy) return undefined
  if (perspectives.length !== 2 || !heavy || !perspectives.includes(heavy)) {
    throw new ParallaxError('mixture_unsupported', `The name ${JSON.stringify(name)} means a mixture of exactly two perspectives that lean${heavy && !perspectives.includes(heavy) ? `, and "${heavy.id}" is not one` : `; this gateway has ${perspectives.length}`}. Set "perspective": {"weights": {…}} instead.`, { param: 'perspective' })
  }
  const rest = Math.round((1 - weight) * 10_000) / 10_000
  return { mode: 'distributional', mixture: 'sample', perspectives, weights: Object.fromEntries(perspectives.map((one) => [one.id, one === heavy ? weight : rest])), sticky: null, seed: null }
}
