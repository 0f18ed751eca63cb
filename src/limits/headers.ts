/** What a key has left, as headers: OpenAI's `x-ratelimit-*`, and `RateLimit` and `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers (10 and later). Pure. */
import type { Quota } from '../quota.ts'
import { spanSeconds, type Spans } from './window.ts'

/** How one limit stands. */
export interface Reading {
  readonly used: number
  /** Until nothing that is charged now still counts. Streams end when they end: 0. */
  readonly resetMs: number
}

/** By limit; null where the quota sets none. */
export interface Readings {
  readonly requests: Reading | null
  readonly tokens: Reading | null
  readonly streams: Reading | null
  readonly day: Reading | null
}

/** For Access-Control-Expose-Headers, by name. */
export const LIMIT_HEADERS: readonly string[] = [
  ...['limit', 'remaining', 'reset'].flatMap((what) => [`x-ratelimit-${what}-requests`, `x-ratelimit-${what}-tokens`]),
  'RateLimit', 'RateLimit-Policy', 'Retry-After',
]

/** OpenAI's way of writing a time: 20ms, 1s, 6m0s. */
export function duration (ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.ceil(ms))}ms`
  const seconds = Math.ceil(ms / 1000)
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60]
  return `${h > 0 ? `${h}h` : ''}${h > 0 || m > 0 ? `${m}m` : ''}${s}s`
}

/** The same for every request of a key. */
const policies = new WeakMap<Quota, string>()

function policyOf (quota: Quota, { minute, day }: Spans): string {
  let policy = policies.get(quota)
  if (policy === undefined) {
    const { requestsPerMinute, tokensPerMinute, streams, tokensPerDay } = quota
    policies.set(quota, policy = [
      requestsPerMinute !== null && `"requests";q=${requestsPerMinute};w=${spanSeconds(minute)}`,
      tokensPerMinute !== null && `"tokens";q=${tokensPerMinute};w=${spanSeconds(minute)};qu="tokens"`,
      streams !== null && `"streams";q=${streams};qu="concurrent-requests"`,
      tokensPerDay !== null && `"tokens-day";q=${tokensPerDay};w=${spanSeconds(day)};qu="tokens"`,
    ].filter((one) => one !== false).join(', '))
  }
  return policy
}

const seconds = (ms: number): number => Math.ceil(ms / 1000)

export function limitHeaders (quota: Quota, { requests, tokens, streams, day }: Readings, spans: Spans): Record<string, string> {
  const headers: Record<string, string> = {}
  const left: string[] = []
  const note = (policy: string, limit: number | null, reading: Reading | null, openai: string | null): void => {
    if (limit === null || reading === null) return
    // what a request cost beyond its reservation is owed, not left
    const remaining = Math.max(0, limit - reading.used)
    left.push(`"${policy}";r=${remaining}${policy === 'streams' ? '' : `;t=${seconds(reading.resetMs)}`}`)
    if (openai === null) return
    headers[`x-ratelimit-limit-${openai}`] = String(limit)
    headers[`x-ratelimit-remaining-${openai}`] = String(remaining)
    headers[`x-ratelimit-reset-${openai}`] = duration(reading.resetMs)
  }
  note('requests', quota.requestsPerMinute, requests, 'requests')
  note('tokens', quota.tokensPerMinute, tokens, 'tokens')
  note('streams', quota.streams, streams, null)
  note('tokens-day', quota.tokensPerDay, day, null)
  if (left.length === 0) return headers
  headers['ratelimit'] = left.join(', ')
  headers['ratelimit-policy'] = policyOf(quota, spans)
  return headers
}
