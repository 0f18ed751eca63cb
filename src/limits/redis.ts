/** The limits of all replicas that share a Redis. One round trip to admit, one to settle; what they do there is scripts.ts's. */
import { hash } from 'node:crypto'
import { newId } from '../ids.ts'
import type { Quota } from '../quota.ts'
import type { Redis } from '../redis.ts'
import { limitHeaders, type Reading, type Readings } from './headers.ts'
import type { Admission, Limits } from './limits.ts'
import { refusal, STREAM_WAIT_MS, tooLarge, unavailable, type Refusal } from './refusal.ts'
import { ADMIT, RENEW, SETTLE } from './scripts.ts'
import { isUnlimited, nothingRefused, UNCOUNTED } from './uncounted.ts'
import { SPANS, type Spans } from './window.ts'

export interface RedisLimitsOptions {
  readonly redis: Redis
  /** The log's name: gateways with logs of their own may share a Redis and do not count each other's. */
  readonly namespace: string
  readonly spans?: Spans
  /** A stream's place is free after this long without word from its replica. Renewed three times as often. */
  readonly leaseMs?: number
  /** In the place of Redis's own clock. */
  readonly clock?: () => number
}

const LEASE_MS = 30_000

type Script = (...args: (string | number)[]) => Promise<unknown>
/** {used, reset, wait, bucket, born} three times, between whether it was admitted and the streams. */
type Counted = readonly (number & string)[]

export function redisLimits ({ redis, namespace, spans = SPANS, leaseMs = LEASE_MS, clock }: RedisLimitsOptions): Limits {
  redis.defineCommand('limitsAdmit', { numberOfKeys: 4, lua: ADMIT })
  redis.defineCommand('limitsSettle', { numberOfKeys: 3, lua: SETTLE })
  redis.defineCommand('limitsRenew', { numberOfKeys: 1, lua: RENEW })
  const { limitsAdmit, limitsSettle, limitsRenew } = redis as unknown as Record<'limitsAdmit' | 'limitsSettle' | 'limitsRenew', Script>
  const scope = `parallax:limits:${hash('sha256', namespace).slice(0, 16)}`
  const refused = nothingRefused()
  /** Streams that run here, by the place where their key's are counted. */
  const running = new Map<string, Set<string>>()
  const now = (): number | '' => clock ? clock() : ''
  const windows = [spans.minute.bucketMs, spans.minute.buckets, spans.day.bucketMs, spans.day.buckets]

  function refuse ({ by, error }: Refusal): never {
    refused[by]++
    throw error
  }

  const timer = setInterval(() => {
    // one that fails is tried again before the lease has ended
    for (const [place, ids] of running) limitsRenew.call(redis, place, now(), leaseMs, ...ids).catch(() => {})
  }, leaseMs / 3)
  timer.unref()

  return {
    refused,
    async admit (ask) {
      const { key, quota, tokens, stream } = ask
      if (isUnlimited(quota)) return UNCOUNTED
      const large = tooLarge(ask)
      if (large) refuse(large)
      const id = newId()
      const [requests, minute, day, streams] = placesOf(scope, key)
      let counted: Counted
      try {
        counted = await limitsAdmit.call(redis, requests, minute, day, streams, now(), id, tokens, stream ? 1 : 0, leaseMs,
          quota.requestsPerMinute ?? '', quota.tokensPerMinute ?? '', quota.tokensPerDay ?? '', quota.streams ?? '', ...windows) as Counted
      } catch (cause) {
        refuse(unavailable(cause))
      }
      const headers = limitHeaders(quota, readingsOf(counted, quota), spans)
      if (counted[0] !== 1) refuse(refusal(ask, quota, { requests: counted[3]!, tokens: counted[8]!, day: counted[13]!, streams: counted[17] ? STREAM_WAIT_MS : 0 }, headers))
      const leased = stream && quota.streams !== null
      if (leased) hold(streams, id)
      const tags = [quota.tokensPerMinute === null ? '' : counted[9]!, counted[10]!, spans.minute.buckets, quota.tokensPerDay === null ? '' : counted[14]!, counted[15]!, spans.day.buckets]
      let settled = false
      return {
        headers,
        async settle (cost) {
          if (settled) return
          settled = true
          if (leased) release(streams, id)
          const difference = cost - tokens
          if (!leased && (difference === 0 || (tags[0] === '' && tags[3] === ''))) return
          // never tried again: nobody knows whether it was done, and twice would give back what was used. The window takes what stays, the lease the stream
          await limitsSettle.call(redis, minute, day, streams, id, difference, ...tags, leased ? 1 : 0).catch(() => {})
        },
      } satisfies Admission
    },
    async close () {
      clearInterval(timer)
      running.clear()
    },
  }

  function hold (place: string, id: string): void {
    const ids = running.get(place)
    if (ids) ids.add(id)
    else running.set(place, new Set([id]))
  }

  function release (place: string, id: string): void {
    const ids = running.get(place)
    ids?.delete(id)
    if (ids?.size === 0) running.delete(place)
  }
}

/** In braces what a cluster goes by: the four of a key lie together. */
const placesOf = (scope: string, key: string): [string, string, string, string] => {
  const place = `${scope}:{${key}}:`
  return [`${place}requests`, `${place}tokens`, `${place}day`, `${place}streams`]
}

function readingsOf (counted: Counted, quota: Quota): Readings {
  const reading = (limit: number | null, at: number): Reading | null => limit === null ? null : { used: counted[at]!, resetMs: counted[at + 1]! }
  return {
    requests: reading(quota.requestsPerMinute, 1),
    tokens: reading(quota.tokensPerMinute, 6),
    day: reading(quota.tokensPerDay, 11),
    streams: quota.streams === null ? null : { used: counted[16]!, resetMs: 0 },
  }
}
