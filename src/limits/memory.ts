/** The limits of one process. As many states as there are keys that asked, some 2 KB each. */
import type { Quota } from '../quota.ts'
import { limitHeaders, type Readings } from './headers.ts'
import type { Admission, Ask, Limits } from './limits.ts'
import { refusal, STREAM_WAIT_MS, tooLarge, type Refusal, type Waits } from './refusal.ts'
import { isUnlimited, nothingRefused, UNCOUNTED } from './uncounted.ts'
import { SlidingWindow, SPANS, type Spans } from './window.ts'

interface State { readonly requests: SlidingWindow, readonly tokens: SlidingWindow, readonly day: SlidingWindow, streams: number }

/** The clock never steps back, as one that shows the time of day may. */
export function memoryLimits ({ spans = SPANS, clock = () => performance.now() }: { spans?: Spans, clock?: () => number } = {}): Limits {
  const states = new Map<string, State>()
  const refused = nothingRefused()

  function stateOf (key: string): State {
    let state = states.get(key)
    if (!state) states.set(key, state = { requests: new SlidingWindow(spans.minute), tokens: new SlidingWindow(spans.minute), day: new SlidingWindow(spans.day), streams: 0 })
    return state
  }

  function refuse ({ by, error }: Refusal): never {
    refused[by]++
    throw error
  }

  return {
    refused,
    async admit (ask) {
      const { quota, tokens } = ask
      if (isUnlimited(quota)) return UNCOUNTED
      const large = tooLarge(ask)
      if (large) refuse(large)
      const state = stateOf(ask.key)
      const now = clock()
      const waits = waitsOf(state, ask, now)
      if (waits.requests > 0 || waits.tokens > 0 || waits.streams > 0 || waits.day > 0) refuse(refusal(ask, quota, waits, limitHeaders(quota, readingsOf(state, quota, now), spans)))
      const bucket = quota.tokensPerMinute === null ? null : state.tokens.charge(now, tokens)
      const day = quota.tokensPerDay === null ? null : state.day.charge(now, tokens)
      if (quota.requestsPerMinute !== null) state.requests.charge(now, 1)
      const counted = ask.stream && quota.streams !== null
      if (counted) state.streams++
      let settled = false
      return {
        headers: limitHeaders(quota, readingsOf(state, quota, now), spans),
        settle (cost) {
          if (settled) return
          settled = true
          if (counted) state.streams--
          const then = clock()
          if (bucket !== null) state.tokens.settle(then, bucket, cost - tokens)
          if (day !== null) state.day.settle(then, day, cost - tokens)
        },
      } satisfies Admission
    },
    close: async () => { states.clear() },
  }
}

function waitsOf (state: State, { quota, tokens, stream }: Ask, now: number): Waits {
  const { requestsPerMinute, tokensPerMinute, streams, tokensPerDay } = quota
  return {
    requests: requestsPerMinute === null ? 0 : state.requests.wait(now, requestsPerMinute - 1),
    tokens: tokensPerMinute === null ? 0 : state.tokens.wait(now, tokensPerMinute - tokens),
    streams: stream && streams !== null && state.streams >= streams ? STREAM_WAIT_MS : 0,
    day: tokensPerDay === null ? 0 : state.day.wait(now, tokensPerDay - tokens),
  }
}

function readingsOf ({ requests, tokens, streams, day }: State, quota: Quota, now: number): Readings {
  const reading = (window: SlidingWindow, limit: number | null) => limit === null ? null : { used: window.used(now), resetMs: window.reset(now) }
  return {
    requests: reading(requests, quota.requestsPerMinute),
    tokens: reading(tokens, quota.tokensPerMinute),
    streams: quota.streams === null ? null : { used: streams, resetMs: 0 },
    day: reading(day, quota.tokensPerDay),
  }
}
