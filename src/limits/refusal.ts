/** A refusal in words: which limit, how much of it is used, when to ask again, what else helps. Pure. */
import { ParallaxError } from '../errors.ts'
import type { Quota } from '../quota.ts'
import { duration } from './headers.ts'
import type { Ask, RefusedBy } from './limits.ts'

/** By limit: milliseconds until it would let this request in; 0 where it does not stand in the way. */
export interface Waits { readonly requests: number, readonly tokens: number, readonly streams: number, readonly day: number }

/** SDKs ignore a longer Retry-After. A charge counts up to a second more than a minute, so whoever has spent all at once may come a moment early. */
const MOST_TOLD_MS = 60_000
/** Nobody knows when a stream ends: a look again soon. */
export const STREAM_WAIT_MS = 2000
/** Redis is usually back within seconds, and a client that comes too early is only told again. */
const UNAVAILABLE_SECONDS = 2

export interface Refusal { readonly by: RefusedBy, readonly error: ParallaxError }

const count = (amount: number, one: string): string => `${amount} ${one}${amount === 1 ? '' : 's'}`

/** Larger than a limit will ever be: no waiting helps. Null for all others. Asked before the store, which it spares. */
export function tooLarge ({ quota, tokens }: Ask): Refusal | null {
  const { tokensPerMinute, tokensPerDay } = quota
  const exceeded = tokensPerMinute !== null && tokens > tokensPerMinute ? [tokensPerMinute, 'minute'] : tokensPerDay !== null && tokens > tokensPerDay ? [tokensPerDay, 'day'] : null
  if (!exceeded) return null
  const message = `This request may cost ${count(tokens, 'token')}, and this key has ${exceeded[0]} a ${exceeded[1]}, so it can never be answered. Send a shorter prompt, set a smaller "max_completion_tokens", or ask for fewer choices.`
  return { by: 'too_large', error: new ParallaxError('request_exceeds_quota', message, { details: { limit: 'too_large' } }) }
}

/** Told of the limit that takes longest: whoever waits for it has waited for all. */
export function refusal ({ tokens }: Ask, quota: Quota, waits: Waits, headers: Readonly<Record<string, string>>): Refusal {
  const again = (ms: number): string => `Ask again in ${duration(Math.max(1000, ms))}${ms > MOST_TOLD_MS ? ' (more than "Retry-After" can say, which is a minute)' : ''}`
  const cases: [RefusedBy, number, string][] = [
    ['requests', waits.requests, `This key may send ${count(quota.requestsPerMinute ?? 0, 'request')} a minute and has. ${again(waits.requests)}.`],
    ['tokens', waits.tokens, `This request may cost ${count(tokens, 'token')}, and less than that is left of the ${quota.tokensPerMinute} that this key has a minute. ${again(waits.tokens)}, or for fewer tokens ("max_completion_tokens").`],
    ['streams', waits.streams, `This key may have ${count(quota.streams ?? 0, 'stream')} open at a time and has. ${again(waits.streams)}, when one has ended.`],
    ['tokens_day', waits.day, `This request may cost ${count(tokens, 'token')}, and less than that is left of the ${quota.tokensPerDay} that this key has a day. ${again(waits.day)}, or for fewer tokens ("max_completion_tokens").`],
  ]
  const [by, wait, message] = cases.reduce((longest, one) => one[1] > longest[1] ? one : longest)
  return { by, error: new ParallaxError('rate_limit_exceeded', message, { retryAfter: wait / 1000, details: { limit: by }, headers }) }
}

export const unavailable = (cause: unknown): Refusal =>
  ({ by: 'unavailable', error: new ParallaxError('limits_unavailable', 'What this key has used cannot be looked up at present, so nothing is let in. Ask again in a moment.', { cause, retryAfter: UNAVAILABLE_SECONDS }) })
