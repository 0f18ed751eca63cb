/**
 * The perspective parameter -> a route, in one of the three modes of pluralism (Sorensen et al. 2024). Never guesses: three ways to ask,
 * and two that disagree are refused. Knows nothing of HTTP, experts or draws.
 */
import { ParallaxError } from '../errors.ts'
import type { Perspective } from '../perspectives/perspective.ts'
import type { Registry } from '../perspectives/registry.ts'
import { hintOf, named, NEUTRAL_MODEL } from './name.ts'
import { weighted, type Weights } from './weights.ts'

/** One chosen perspective. */
export interface Steerable { readonly mode: 'steerable', readonly perspective: Perspective, readonly weights: Weights }

/** One answer from a weighted mixture: drawn (`sample`), or by adapters mixed inside one expert (`blend`). */
export interface Distributional {
  readonly mode: 'distributional'
  readonly mixture: 'sample' | 'blend'
  /** In the registry's order; weights sum to 1. */
  readonly perspectives: readonly Perspective[]
  readonly weights: Weights
  /** The caller's name for a conversation that keeps its draw. */
  readonly sticky: string | null
  readonly seed: number | null
}

/** All perspectives side by side, one choice each, and perhaps the baseline's summary after them. */
export interface Overton { readonly mode: 'overton', readonly perspectives: readonly Perspective[], readonly weights: Weights, readonly summary: Perspective | null }

export type Route = Steerable | Distributional | Overton
export type Mode = Route['mode']

/** What the caller said, in each of the places where it can be said. */
export interface Asked {
  readonly body: unknown
  readonly header: string | undefined
  readonly model: string
  /** Set by the key's owner, never by us. */
  readonly keyDefault: string | null
}

/** Two routes are the same where they answer alike; `sticky` and `seed` only say how to draw. */
const identity = ({ mode, weights, ...rest }: Route): string =>
  JSON.stringify([mode, Object.entries(weights), 'mixture' in rest && rest.mixture, 'summary' in rest && rest.summary?.id])

/** What a route was asked by, for messages. */
export const routeName = (route: Route): string =>
  route.mode === 'steerable' ? route.perspective.id : route.mode === 'overton' ? (route.summary ? 'both-summary' : 'both') : `${route.mixture} of ${Object.entries(route.weights).map(([id, weight]) => `${id} ${weight}`).join(', ')}`

/**
 * Throws `perspective_required` (400) where nothing was asked, `perspective_conflict` (400) where two ways disagree, `invalid_request` (400) for
 * weights that cannot be used, `unknown_perspective` or `model_not_found` (404) for names that nobody declared.
 */
export function route (asked: Asked, registry: Registry): Route {
  const choices = registry.list().map((one) => one.id).join(', ')
  const byName = (name: string, where: string): Route => {
    const found = named(name, registry)
    if (found) return found
    throw new ParallaxError('unknown_perspective', `The ${where} asks for the perspective ${JSON.stringify(name.slice(0, 60))}, which does not exist. Choose one of: ${choices}, or "both".${hintOf(name, registry)}`, { param: 'perspective' })
  }
  const ways: { where: string, route: Route }[] = []
  const { body } = asked
  if (body !== undefined && body !== null) ways.push({ where: 'member "perspective"', route: typeof body === 'string' ? byName(body, 'member "perspective"') : fromObject(body, registry, byName) })
  if (asked.header !== undefined) ways.push({ where: 'header "Perspective"', route: byName(headerName(asked.header), 'header "Perspective"') })
  if (asked.model !== NEUTRAL_MODEL) {
    const found = named(asked.model, registry)
    if (!found) {
      throw new ParallaxError('model_not_found', `The model ${JSON.stringify(asked.model.slice(0, 60))} does not exist. Name a perspective (${choices}), "both", or "${NEUTRAL_MODEL}" beside the member or header that names one.${hintOf(asked.model, registry)}`, { param: 'model' })
    }
    ways.push({ where: 'model name', route: found })
  }
  const [first, ...others] = ways
  if (!first) {
    if (asked.keyDefault !== null) return byName(asked.keyDefault, 'key\'s default')
    throw new ParallaxError('perspective_required', `Say whose answer you want: set "perspective" to one of: ${choices}, or to "both". None is chosen for you.`, { param: 'perspective' })
  }
  if (others.length > 0) {
    const wanted = identity(first.route)
    const other = others.find((way) => identity(way.route) !== wanted)
    if (other) {
      throw new ParallaxError('perspective_conflict', `The ${first.where} asks for "${routeName(first.route)}", the ${other.where} for "${routeName(other.route)}". Ask for one.`, { param: 'perspective' })
    }
  }
  return first.route
}

const invalid = (message: string): never => { throw new ParallaxError('invalid_request', message, { param: 'perspective' }) }

/** `{"weights": {…}}`, or `{"id": "both", "summary": true}`. */
function fromObject (body: unknown, registry: Registry, byName: (name: string, where: string) => Route): Route {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return invalid(`"perspective" has to be a name, such as "progressive", "conservative" or "both", or an object with "weights"; this one is ${JSON.stringify(body).slice(0, 60)}.`)
  const asked = body as Record<string, unknown>
  if ('weights' in asked) return weighted(asked, registry)
  const { id, summary = false, ...strange } = asked
  const [stranger] = Object.keys(strange)
  if (stranger !== undefined) return invalid(`"perspective" has no member ${JSON.stringify(stranger.slice(0, 60))}. It takes "id" and "summary", or "weights", "mixture", "sticky" and "seed".`)
  if (typeof id !== 'string') return invalid('"perspective" as an object needs "weights", or an "id" such as "both".')
  if (typeof summary !== 'boolean') return invalid('"perspective.summary" has to be true or false.')
  const found = byName(id, 'member "perspective.id"')
  if (!summary) return found
  return found.mode === 'overton' ? byName('both-summary', 'member "perspective.id"') : invalid('A summary needs answers side by side: ask for {"id": "both", "summary": true}.')
}

/** One bare name (RFC 9651 token, or a quoted string): anything else in the header is refused, not repaired. */
function headerName (header: string): string {
  const match = /^[ \t]*(?:"([A-Za-z][\w.-]{0,59})"|([A-Za-z][\w.-]{0,59}))[ \t]*$/.exec(header)
  const name = match?.[1] ?? match?.[2]
  if (name !== undefined) return name
  // the form of our own answers, which somebody may send back
  const withParameters = /^[ \t]*"?([A-Za-z][\w.-]{0,59})"?[ \t]*;[^,]*$/.exec(header)?.[1]
  throw new ParallaxError('invalid_header', withParameters === undefined
    ? `The header "Perspective" has to hold one name, such as: Perspective: progressive (or: Perspective: conservative); it holds ${JSON.stringify(header.slice(0, 60))}.`
    : `The header "Perspective" takes a name alone: what follows the ";" is said by answers, not by requests. Send: Perspective: ${withParameters}`, { param: 'perspective' })
}
