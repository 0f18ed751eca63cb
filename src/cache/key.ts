/** Which two requests are the same one, and what a request allows the cache to do. Pure. */
import { hash } from 'node:crypto'
import { canonical, canonicalMember, sorted } from '../canonical.ts'

/** Everything beside the request that decides an answer. Perspectives and experts are in the order in which they speak or are mixed. */
export interface CacheScope {
  readonly tenant: string
  readonly perspectives: readonly string[]
  readonly mode: string
  readonly mixture?: string | undefined
  /** What it speaks as, where that is not for itself: `summary`. */
  readonly role?: string | undefined
  readonly weights: Readonly<Record<string, number>>
  /** What a draw was made with, where there was one; which expert it fell on is in `experts`. */
  readonly seed?: string | number | null | undefined
  readonly experts: readonly { readonly model: string, readonly adapter: string | null, readonly adapterSha256: string | null }[]
}

/** Members that change how an answer is carried or asked for, not what it says. */
const NOT_SEMANTIC = new Set(['stream', 'stream_options', 'perspective', 'model'])

/** SHA-256 (hex) over the canonical JSON (RFC 8785) of the whole request, unknown members included, and its scope. */
export function cacheKey (request: Readonly<Record<string, unknown>>, scope: CacheScope): string {
  let semantic = ''
  for (const name of sorted(Object.keys(request))) {
    const value = request[name]
    if (value !== undefined && !NOT_SEMANTIC.has(name)) semantic += (semantic === '' ? '' : ',') + canonicalMember(name, value)
  }
  return hash('sha256', `{"request":{${semantic}},"scope":${canonical(scope)}}`)
}

export const perspectiveTag = (id: string): string => `perspective:${id}`
export const adapterTag = (sha256: string): string => `adapter:${sha256}`
export const tenantTag = (tenant: string): string => `tenant:${tenant}`

/** Whose answer it is: what an eviction goes by. */
export function tagsOf ({ tenant, perspectives, experts }: CacheScope): string[] {
  return [tenantTag(tenant), ...perspectives.map(perspectiveTag), ...experts.flatMap(({ adapterSha256 }) => adapterSha256 === null ? [] : [adapterTag(adapterSha256)])]
}

export interface CacheWish {
  readonly read: boolean
  readonly store: boolean
  readonly onlyIfCached: boolean
  readonly maxAge: number | null
}

/**
 * What the request and its Cache-Control header allow. A sampled answer is cached only where the caller made it repeatable
 * (`seed`, `temperature: 0`) or asked for it (`max-age`): else two askers would wrongly get one roll of the dice.
 */
export function cacheWish (request: { readonly seed?: unknown, readonly temperature?: unknown }, cacheControl: string | undefined): CacheWish {
  const directives = new Map((cacheControl ?? '').toLowerCase().split(',').map((part) => {
    const [name = '', value = ''] = part.trim().split('=')
    return [name.trim(), value.trim()] as const
  }))
  const age = directives.get('max-age')
  const maxAge = age !== undefined && /^\d{1,9}$/.test(age) ? Number(age) : null
  const repeatable = typeof request.seed === 'number' || request.temperature === 0
  const allowed = (repeatable || (maxAge !== null && maxAge > 0)) && !directives.has('no-store')
  return {
    read: allowed && !directives.has('no-cache') && maxAge !== 0,
    store: allowed && maxAge !== 0,
    onlyIfCached: directives.has('only-if-cached'),
    maxAge,
  }
}
