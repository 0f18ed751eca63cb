/** A weighted mixture as it was asked for -> a route: names known, weights usable, in one order and with one sum however they were written. Pure. */
import { ParallaxError } from '../errors.ts'
import type { Perspective } from '../perspectives/perspective.ts'
import type { Registry } from '../perspectives/registry.ts'
import type { Distributional } from './route.ts'

/** Perspective id -> its share. */
export type Weights = Readonly<Record<string, number>>

const STICKY_CHARACTERS = 256
/** Shares are kept to so many: one ulp of somebody's division must not make another mixture. */
const STEPS = 1_000_000

const refuse = (message: string): never => { throw new ParallaxError('invalid_request', message, { param: 'perspective' }) }

/** Throws `invalid_request` naming the member at fault, `unknown_perspective` for a name that nobody declared. */
export function weighted ({ weights, mixture = 'sample', sticky = null, seed = null, ...strange }: Record<string, unknown>, registry: Registry): Distributional {
  const [stranger] = Object.keys(strange)
  if (stranger !== undefined) refuse(`"perspective" has no member ${JSON.stringify(stranger.slice(0, 60))} beside "weights". It takes "mixture", "sticky" and "seed".`)
  if (mixture !== 'sample' && mixture !== 'blend') return refuse('"perspective.mixture" has to be "sample" (one of them is drawn) or "blend" (their adapters are mixed).')
  if (sticky !== null && (typeof sticky !== 'string' || sticky === '' || sticky.length > STICKY_CHARACTERS)) return refuse(`"perspective.sticky" has to be a name of 1 to ${STICKY_CHARACTERS} characters for the conversation that keeps its draw.`)
  if (seed !== null && !Number.isSafeInteger(seed)) return refuse(`"perspective.seed" has to be a whole number from ${Number.MIN_SAFE_INTEGER} to ${Number.MAX_SAFE_INTEGER}.`)
  if (mixture === 'blend' && (sticky !== null || seed !== null)) return refuse('"sticky" and "seed" are for "mixture": "sample"; in a blend nothing is drawn.')
  const shares = read(weights, registry)
  const largest = Math.max(...shares.values())
  if (largest === 0) return refuse('"perspective.weights" has to hold at least one weight above 0.')
  // against the largest, for the sum of two that are finite may be none
  const sum = [...shares.values()].reduce((total, weight) => total + weight / largest, 0)
  const shareOf = (one: Perspective): number => Math.round((shares.get(one) ?? 0) / largest / sum * STEPS) / STEPS
  // one too small to be written down is none: it would be named and never asked
  const perspectives = registry.list().filter((one) => shareOf(one) > 0)
  return {
    mode: 'distributional', mixture, perspectives, sticky, seed: seed as number | null,
    weights: Object.fromEntries(perspectives.map((one) => [one.id, shareOf(one)])),
  }
}

function read (weights: unknown, registry: Registry): Map<Perspective, number> {
  if (typeof weights !== 'object' || weights === null || Array.isArray(weights)) return refuse('"perspective.weights" has to be an object of names and numbers, such as {"progressive": 0.5, "conservative": 0.5}.')
  const entries = Object.entries(weights)
  const known = registry.list()
  if (entries.length === 0 || entries.length > known.length) return refuse(`"perspective.weights" has to name 1 to ${known.length} perspectives: ${known.map((one) => one.id).join(', ')}.`)
  const shares = new Map<Perspective, number>()
  for (const [name, weight] of entries) {
    const one = registry.find(name)
    if (!one) throw new ParallaxError('unknown_perspective', `"perspective.weights" names ${JSON.stringify(name.slice(0, 60))}, which does not exist. Choose from: ${known.map(({ id }) => id).join(', ')}.`, { param: 'perspective' })
    if (typeof weight !== 'number' || !Number.isFinite(weight) || weight < 0) return refuse(`"perspective.weights.${one.id}" has to be a finite number from 0 up.`)
    if (shares.has(one)) return refuse(`"perspective.weights" names "${one.id}" twice, by id and by alias.`)
    shares.set(one, weight)
  }
  return shares
}
