/** What may be asked of a new key, and the sentences for what may not. Pure; knows neither stores nor HTTP. */
import { ParallaxError } from '../errors.ts'
import { LARGEST_QUOTA, QUOTAS, type QuotaOverrides } from '../quota.ts'
import { QUOTA_NAMES } from './quota-wire.ts'
import { SCOPES } from './keys.ts'
import type { NewKey } from './keys.ts'

export const TENANT = /^t_[0-9A-Za-z][0-9A-Za-z_-]{0,38}$/
/** What a request may name: an id or alias, `both`, `mix-0.50`. Whether there is such a perspective is asked by whoever knows them: router/name.ts. */
export const PERSPECTIVE = /^(?:[a-z][a-z0-9.-]{0,59}|[A-Z])$/
/** Of people, so no control or direction characters that would forge a line of a terminal's list. */
export const NAME = /^[^\p{C}\p{Zl}\p{Zp}]{1,100}$/u
const DAY = 86_400
export const LONGEST_LIFE_SECONDS = 3650 * DAY
export const LONGEST_OVERLAP_SECONDS = 90 * DAY

type Checked = Required<Omit<NewKey, 'tenant'>> & { readonly tenant: string | null, readonly expiresInSeconds: number | null, readonly defaultPerspective: string | null }

const refuse = (param: string, message: string): never => { throw new ParallaxError('invalid_request', message, { param }) }
const shown = (value: unknown): string => JSON.stringify(value) ?? String(value)

function checkSeconds (param: string, value: number, least: number, most: number): void {
  if (!Number.isSafeInteger(value) || value < least || value > most) refuse(param, `Wanted ${param} as whole seconds from ${least} to ${most} (${most / DAY} days), got ${String(value)}.`)
}

function checkQuota (asked: QuotaOverrides): QuotaOverrides {
  const quota: { -readonly [name in keyof QuotaOverrides]: QuotaOverrides[name] } = {}
  for (const name of QUOTAS) {
    const limit = asked[name]
    if (limit === undefined) continue
    if (limit !== null && !(Number.isSafeInteger(limit) && limit >= 1 && limit <= LARGEST_QUOTA)) refuse('quota', `Wanted ${QUOTA_NAMES[name]} as a whole number from 1, or null for no limit, got ${shown(limit)}.`)
    quota[name] = limit
  }
  return quota
}

/** Throws ParallaxError `invalid_request` at the first mistake, naming the member. */
export function checkNewKey (request: NewKey): Checked {
  const scopes = SCOPES.filter((scope) => request.scopes.includes(scope))
  const unknown = request.scopes.find((scope) => !SCOPES.includes(scope))
  if (unknown !== undefined) refuse('scopes', `Unknown scope ${shown(unknown)}. Wanted one or more of ${SCOPES.join(', ')}.`)
  if (scopes.length === 0) refuse('scopes', `A key needs a scope. Wanted one or more of ${SCOPES.join(', ')}.`)
  const name = request.name ?? `${scopes.join(' and ')} key`
  if (!NAME.test(name)) refuse('name', 'Wanted a name of 1 to 100 characters without control characters.')
  const tenant = request.tenant ?? null
  if (tenant !== null && !TENANT.test(tenant)) refuse('tenant', `Wanted a tenant such as t_1a2b3c (t_ and up to 39 letters, digits, - or _), got ${shown(tenant)}.`)
  const defaultPerspective = request.defaultPerspective ?? null
  if (defaultPerspective !== null && !PERSPECTIVE.test(defaultPerspective)) refuse('default_perspective', `Wanted what a request could name, such as progressive, conservative, both or mix-0.50, got ${shown(defaultPerspective)}.`)
  const expiresInSeconds = request.expiresInSeconds ?? null
  if (expiresInSeconds !== null) checkSeconds('expires_in_seconds', expiresInSeconds, 1, LONGEST_LIFE_SECONDS)
  return { scopes, name, tenant, defaultPerspective, expiresInSeconds, quota: checkQuota(request.quota ?? {}) }
}

export function checkOverlap (seconds: number): void {
  checkSeconds('overlap_seconds', seconds, 0, LONGEST_OVERLAP_SECONDS)
}
