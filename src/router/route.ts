/** The perspective parameter -> a route. Never guesses: three ways to ask, and two that disagree are refused. Knows nothing of HTTP or experts. */
import { ParallaxError } from '../errors.ts'
import type { Perspective } from '../perspectives/perspective.ts'
import type { Registry } from '../perspectives/registry.ts'

export type Mode = 'steerable'

export interface Route {
  readonly mode: Mode
  readonly perspective: Perspective
  readonly weights: Readonly<Record<string, number>>
  readonly draw: null
}

/** What the caller said, in each of the places where it can be said. */
export interface Asked {
  readonly body: unknown
  readonly header: string | undefined
  readonly model: string
  /** Set by the key's owner, never by us. */
  readonly keyDefault: string | null
}

/** The model name that says nothing about a perspective, to set beside a body or header that does. */
export const NEUTRAL_MODEL = 'parallax'

/**
 * Throws `perspective_required` (400) where nothing was asked, `perspective_conflict` (400) where two ways disagree,
 * `unknown_perspective` or `model_not_found` (404) for names that nobody declared.
 */
export function route (asked: Asked, registry: Registry): Route {
  const choices = registry.list().map((one) => one.id).join(', ')
  const find = (name: string, where: string): Perspective => {
    const found = registry.find(name)
    if (found) return found
    throw new ParallaxError('unknown_perspective', `The ${where} asks for the perspective ${JSON.stringify(name.slice(0, 60))}, which does not exist. Choose one of: ${choices}.`, { param: 'perspective' })
  }
  const ways: { where: string, perspective: Perspective }[] = []
  if (asked.body !== undefined && asked.body !== null) {
    if (typeof asked.body !== 'string') {
      throw new ParallaxError('mixture_unsupported', `This gateway answers from one perspective a request: "perspective" has to be one of: ${choices}. Weighted mixtures are not offered here.`, { param: 'perspective' })
    }
    ways.push({ where: 'member "perspective"', perspective: find(asked.body, 'member "perspective"') })
  }
  if (asked.header !== undefined) ways.push({ where: 'header "Perspective"', perspective: find(headerName(asked.header), 'header "Perspective"') })
  if (asked.model !== NEUTRAL_MODEL) {
    const named = registry.find(asked.model)
    if (!named) {
      throw new ParallaxError('model_not_found', `The model ${JSON.stringify(asked.model.slice(0, 60))} does not exist. Name a perspective (${choices}), or "${NEUTRAL_MODEL}" beside the member or header that names one.`, { param: 'model' })
    }
    ways.push({ where: 'model name', perspective: named })
  }
  const [first, ...others] = ways
  if (!first) {
    if (asked.keyDefault !== null) return steer(find(asked.keyDefault, 'key\'s default'))
    throw new ParallaxError('perspective_required', `Say whose answer you want: set "perspective" to one of: ${choices}. None is chosen for you.`, { param: 'perspective' })
  }
  const other = others.find((way) => way.perspective.id !== first.perspective.id)
  if (other) {
    throw new ParallaxError('perspective_conflict', `The ${first.where} asks for "${first.perspective.id}", the ${other.where} for "${other.perspective.id}". Ask for one.`, { param: 'perspective' })
  }
  return steer(first.perspective)
}

const steer = (perspective: Perspective): Route => ({ mode: 'steerable', perspective, weights: { [perspective.id]: 1 }, draw: null })

/** One bare name (RFC 9651 token, or a quoted string): anything else in the header is refused, not repaired. */
function headerName (header: string): string {
  const match = /^[ \t]*(?:"([A-Za-z][\w.-]{0,59})"|([A-Za-z][\w.-]{0,59}))[ \t]*$/.exec(header)
  const name = match?.[1] ?? match?.[2]
  if (name === undefined) {
    throw new ParallaxError('invalid_header', 'The header "Perspective" has to hold one name, such as: Perspective: progressive (or: Perspective: conservative).', { param: 'perspective' })
  }
  return name
}
