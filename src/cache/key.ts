/** Which two requests are the same one, and what a request allows the cache to do. Pure. */
import { hash } from 'node:crypto'
import { canonical, canonicalMember, sorted } from '../canonical.ts'
import { parseCacheControl } from './cache-control.ts'
import type { KeptAnswer } from './cache.ts'

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
  readonly minFresh: number | null
  /** Kept, or given, but for what the request says: Cache-Status tells the two apart. */
  readonly refused: 'bypass' | 'request' | null
}

/**
 * What the request and its Cache-Control header allow. A sampled answer is cached only where the caller made it repeatable
 * (`seed`, `temperature: 0`) or asked for it (`max-age`): else two askers would wrongly get one roll of the dice.
 */
export function cacheWish (request: { readonly seed?: unknown, readonly temperature?: unknown }, cacheControl: string | undefined): CacheWish {
  const { noCache, noStore, onlyIfCached, maxAge, minFresh } = parseCacheControl(cacheControl)
  const repeatable = typeof request.seed === 'number' || request.temperature === 0
  const allowed = (repeatable || (maxAge !== null && maxAge > 0)) && !noStore
  const read = allowed && !noCache && maxAge !== 0
  return { read, store: allowed && maxAge !== 0, onlyIfCached, maxAge, minFresh, refused: read ? null : allowed ? 'request' : 'bypass' }
}

/** Seconds that a kept answer is good for yet. */
export const remaining = ({ stored, ttlSeconds }: KeptAnswer, now = Date.now()): number => ttlSeconds - (now - stored) / 1000

/** Whether a kept answer is as young, and good for as long, as the request wants it. */
export const isUsable = (kept: KeptAnswer, { maxAge, minFresh }: CacheWish, now = Date.now()): boolean =>
  (maxAge === null || now - kept.stored <= maxAge * 1000) && (minFresh === null || remaining(kept, now) >= minFresh)
