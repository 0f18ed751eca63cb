/** What every store of limits promises: the same tests on each, with a clock that the test moves. */
import fc from 'fast-check'
import { parseList } from 'structured-headers'
import type { Test } from 'tap'
import { ParallaxError } from '../../src/errors.ts'
import type { Ask, Limits } from '../../src/limits/limits.ts'
import { UNLIMITED, type Quota } from '../../src/quota.ts'

export interface Clock { now: number }

/** Two replicas on one fresh store (the same one twice where there is only one), with the production spans. */
export type OpenLimits = (t: Test, clock: Clock) => Promise<readonly [Limits, Limits]>

const MINUTE = 60_000
const DAY = 86_400_000
/** A charge counts at most a bucket longer than its window. */
const MINUTE_OVER = MINUTE + 1000
const DAY_OVER = DAY + 900_000

const quota = (some: Partial<Quota>): Quota => ({ ...UNLIMITED, ...some })
const ask = (some: Partial<Ask> & { quota: Quota }): Ask => ({ key: 'k_1', tokens: 0, stream: false, ...some })

async function refusedBy (work: Promise<unknown>): Promise<ParallaxError | null> {
  try { await work; return null } catch (error) {
    if (error instanceof ParallaxError) return error
    throw error
  }
}

export function limitsContract (t: Test, open: OpenLimits): void {
  const start = 1_764_000_000_250

  t.test('a key without limits is let in without headers', async (t) => {
    const [limits] = await open(t, { now: start })
    const admission = await limits.admit(ask({ quota: UNLIMITED, tokens: 1e9, stream: true }))
    t.same(admission.headers, {})
    admission.settle(5)
  })

  t.test('L requests a minute are let in over both replicas, then refused with the reason, the time and the headers', async (t) => {
    const clock = { now: start }
    const replicas = await open(t, clock)
    const asked = ask({ quota: quota({ requestsPerMinute: 4 }) })
    for (let sent = 0; sent < 4; sent++) {
      const { headers } = await replicas[sent % 2]!.admit(asked)
      t.match(headers, { 'x-ratelimit-limit-requests': '4', 'x-ratelimit-remaining-requests': String(3 - sent), 'x-ratelimit-reset-requests': '1m1s' })
      t.notOk('x-ratelimit-limit-tokens' in headers, 'no word of a limit that there is not')
      clock.now += 1000
    }
    clock.now += 6000
    const error = await refusedBy(replicas[0].admit(asked))
    // the first of the four leaves the window 60 to 61 seconds after it came; ten seconds have gone by
    t.match(error, { code: 'rate_limit_exceeded', retryAfter: 51, details: { limit: 'requests' } })
    t.match(error?.message, /4 requests a minute.*Ask again in 51s/)
    t.match(error?.headers, { 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': '54s' })
    t.equal(replicas[0].refused.requests, 1)
  })

  t.test('whoever waits as long as Retry-After says is let in; where that is more than it can say, the message tells it', async (t) => {
    const clock = { now: start }
    const [limits] = await open(t, clock)
    const asked = ask({ quota: quota({ requestsPerMinute: 3 }) })
    for (let sent = 0; sent < 3; sent++) {
      await limits.admit(asked)
      clock.now += 700
    }
    const error = await refusedBy(limits.admit(asked))
    t.match(error, { retryAfter: 59, message: /Ask again in 59s\.$/, headers: { 'x-ratelimit-reset-requests': '1m0s' } }, 'all is free later than one is')
    clock.now += 59_000
    await limits.admit(asked)
    const burst = ask({ key: 'k_2', quota: quota({ requestsPerMinute: 1 }) })
    clock.now = start + 100 * MINUTE
    await limits.admit(burst)
    t.match(await refusedBy(limits.admit(burst)), { retryAfter: 60, message: /Ask again in 1m1s \(more than "Retry-After" can say/ })
    clock.now += 60_000
    t.match(await refusedBy(limits.admit(burst)), { retryAfter: 1 })
    clock.now += 1000
    await limits.admit(burst)
  })

  t.test('keys do not share', async (t) => {
    const [limits] = await open(t, { now: start })
    const asked = ask({ quota: quota({ requestsPerMinute: 1 }) })
    await limits.admit(asked)
    await limits.admit({ ...asked, key: 'k_2' })
    t.ok(await refusedBy(limits.admit(asked)))
  })

  t.test('a burst at the end of one minute counts in the next: 2 L around an edge are not to be had', async (t) => {
    const clock = { now: Math.ceil(start / MINUTE) * MINUTE - 10 }
    const [limits] = await open(t, clock)
    const asked = ask({ quota: quota({ requestsPerMinute: 3 }) })
    for (let sent = 0; sent < 3; sent++) await limits.admit(asked)
    clock.now += 20
    t.ok(await refusedBy(limits.admit(asked)))
    clock.now += MINUTE - 30
    t.ok(await refusedBy(limits.admit(asked)), 'not a millisecond before a minute is over')
    clock.now += 1010
    for (let sent = 0; sent < 3; sent++) await limits.admit(asked)
  })

  t.test('tokens are reserved, and what was not used is given back at once', async (t) => {
    const [limits, other] = await open(t, { now: start })
    const asked = ask({ quota: quota({ tokensPerMinute: 1000, tokensPerDay: 1500 }), tokens: 600 })
    const first = await limits.admit(asked)
    t.match(first.headers, { 'x-ratelimit-limit-tokens': '1000', 'x-ratelimit-remaining-tokens': '400', 'x-ratelimit-reset-tokens': '1m1s' })
    t.match(await refusedBy(other.admit(asked)), { code: 'rate_limit_exceeded', details: { limit: 'tokens' } })
    await first.settle(100)
    await first.settle(0)
    const second = await other.admit(asked)
    t.match(second.headers, { 'x-ratelimit-remaining-tokens': '300' }, 'only the first settlement counts')
    await second.settle(900)
    t.match((await refusedBy(limits.admit({ ...asked, tokens: 1 })))?.headers, { 'x-ratelimit-remaining-tokens': '0' }, 'what it cost beyond its reservation counts too')
  })

  t.test('settling after the window ended changes nothing in the new one', async (t) => {
    for (const cost of [0, 5000]) {
      const clock = { now: start }
      const [limits] = await open(t, clock)
      const asked = ask({ quota: quota({ tokensPerMinute: 1000 }), tokens: 1000 })
      const late = await limits.admit(asked)
      clock.now += MINUTE_OVER
      await limits.admit(asked)
      await late.settle(cost)
      t.ok(await refusedBy(limits.admit({ ...asked, tokens: 1 })), 'nothing came back')
      clock.now += MINUTE_OVER
      t.match((await limits.admit(asked)).headers, { 'x-ratelimit-remaining-tokens': '0' }, 'and nothing was added')
    }
  })

  t.test('settling late makes no window where there is none', async (t) => {
    const clock = { now: start }
    const [limits] = await open(t, clock)
    const asked = ask({ quota: quota({ tokensPerMinute: 10 }), tokens: 10 })
    const late = await limits.admit(asked)
    clock.now += 10 * DAY
    await late.settle(0)
    await limits.admit(asked)
    t.ok(await refusedBy(limits.admit(asked)), 'the refund of long ago is not to be spent')
  })

  t.test('the day has its own budget, told with the true time and a Retry-After that SDKs obey', async (t) => {
    const clock = { now: start }
    const [limits] = await open(t, clock)
    const asked = ask({ quota: quota({ tokensPerDay: 100 }), tokens: 60 })
    await limits.admit(asked)
    clock.now += DAY / 2
    const error = await refusedBy(limits.admit(asked))
    t.match(error, { code: 'rate_limit_exceeded', retryAfter: 60, details: { limit: 'tokens_day' } })
    t.match(error?.message, /Ask again in 12h\d+m/)
    clock.now += DAY_OVER - DAY / 2
    await limits.admit(asked)
  })

  t.test('so many streams at a time, also over both replicas; an end makes room, once', async (t) => {
    const [limits, other] = await open(t, { now: start })
    const asked = ask({ quota: quota({ streams: 2 }), stream: true })
    const first = await limits.admit(asked)
    await other.admit(asked)
    t.match(await refusedBy(limits.admit(asked)), { code: 'rate_limit_exceeded', retryAfter: 2, details: { limit: 'streams' } })
    await limits.admit({ ...asked, stream: false })
    await first.settle(0)
    await first.settle(0)
    await limits.admit(asked)
    t.ok(await refusedBy(other.admit(asked)))
  })

  t.test('a refused request is charged nowhere: all limits or none', async (t) => {
    const [limits] = await open(t, { now: start })
    const all = quota({ requestsPerMinute: 10, tokensPerMinute: 100, streams: 1, tokensPerDay: 100 })
    const running = await limits.admit(ask({ quota: all, tokens: 10, stream: true }))
    for (const refused of [{ tokens: 10, stream: true }, { tokens: 91, stream: false }]) t.ok(await refusedBy(limits.admit(ask({ quota: all, ...refused }))))
    const { headers } = await limits.admit(ask({ quota: all, tokens: 0 }))
    t.match(headers, { 'x-ratelimit-remaining-requests': '8', 'x-ratelimit-remaining-tokens': '90' })
    t.match(headers['ratelimit'], /"streams";r=0.*"tokens-day";r=90/)
    await running.settle(10)
  })

  t.test('what is larger than its limit can ever be is refused for good, and waiting is not advised', async (t) => {
    const [limits] = await open(t, { now: start })
    for (const some of [{ tokensPerMinute: 100 }, { tokensPerDay: 100 }]) {
      const error = await refusedBy(limits.admit(ask({ quota: quota(some), tokens: 101 })))
      t.match(error, { code: 'request_exceeds_quota', retryAfter: undefined, retryable: false })
      t.match(error?.message, /max_completion_tokens/)
    }
    t.equal(limits.refused.too_large, 2)
  })

  t.test('RateLimit and RateLimit-Policy are lists of RFC 9651 with the draft\'s parameters', async (t) => {
    const [limits] = await open(t, { now: start })
    const { headers } = await limits.admit(ask({ quota: { requestsPerMinute: 60, tokensPerMinute: 9000, streams: 4, tokensPerDay: 1_000_000 }, tokens: 25, stream: true }))
    const read = (name: string): { policy: unknown, r?: unknown, t?: unknown }[] => parseList(headers[name]!).map(([value, parameters]) => ({ policy: value, ...Object.fromEntries(parameters) }))
    t.same(read('ratelimit-policy'), [
      { policy: 'requests', q: 60, w: 60 }, { policy: 'tokens', q: 9000, w: 60, qu: 'tokens' },
      { policy: 'streams', q: 4, qu: 'concurrent-requests' }, { policy: 'tokens-day', q: 1_000_000, w: 86_400, qu: 'tokens' },
    ])
    t.same(read('ratelimit').map(({ policy, r }) => [policy, r]), [['requests', 59], ['tokens', 8975], ['streams', 3], ['tokens-day', 999_975]])
    t.ok(read('ratelimit').every(({ policy, t: seconds }) => policy === 'streams' || (Number(seconds) >= 60 && Number.isInteger(seconds))))
  })

  t.test('property: in no minute, wherever it begins, more than L is let in, and nobody is refused without need', async (t) => {
    const step = fc.record({ wait: fc.oneof(fc.integer({ min: 0, max: 3000 }), fc.integer({ min: 0, max: 70_000 })), tokens: fc.integer({ min: 0, max: 40 }), settle: fc.option(fc.integer({ min: 0, max: 40 })), replica: fc.constantFrom(0, 1) })
    let run = 0
    const clock = { now: start }
    const replicas = await open(t, clock)
    await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 60 }), async (steps) => {
      const key = `k_${run++}`
      const [requestsPerMinute, tokensPerMinute] = [5, 100]
      const admitted: { at: number, tokens: number }[] = []
      const running: ((cost: number) => Promise<void>)[] = []
      for (const { wait, tokens, settle, replica } of steps) {
        clock.now += wait
        // some end at once, some long after their window
        if (settle !== null) await running.shift()?.(settle)
        const [surely, perhaps] = [MINUTE, MINUTE_OVER].map((span) => admitted.filter(({ at }) => at > clock.now - span))
        const sum = (some: typeof admitted) => some.reduce((total, one) => total + one.tokens, 0)
        const over = (some: typeof admitted) => some.length + 1 > requestsPerMinute || sum(some) + tokens > tokensPerMinute
        try {
          const admission = await replicas[replica].admit(ask({ key, quota: quota({ requestsPerMinute, tokensPerMinute }), tokens }))
          if (over(surely!)) throw new Error(`let in ${surely!.length + 1} requests, ${sum(surely!) + tokens} tokens in a minute`)
          const charged = { at: clock.now, tokens }
          admitted.push(charged)
          running.push(async (cost) => {
            await admission.settle(cost)
            charged.tokens = cost
          })
        } catch (error) {
          if (!(error instanceof ParallaxError)) throw error
          if (!over(perhaps!)) throw new Error('refused though there was room', { cause: error })
        }
      }
    }), { numRuns: 60 })
    t.pass()
  })

  t.test('a hundred at once, on both replicas: exactly L are let in', async (t) => {
    const replicas = await open(t, { now: start })
    const asked = ask({ quota: quota({ requestsPerMinute: 30, tokensPerMinute: 2000 }), tokens: 100 })
    const outcomes = await Promise.all(Array.from({ length: 100 }, (_, at) => refusedBy(replicas[at % 2]!.admit(asked))))
    t.equal(outcomes.filter((error) => error === null).length, 20)
    t.ok(outcomes.every((error) => error === null || error.details['limit'] === 'tokens'))
  })
}
