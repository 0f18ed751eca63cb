import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { ParallaxError } from '../../src/errors.ts'
import { Endpoint } from '../../src/experts/endpoint.ts'
import { OpenAIExpert } from '../../src/experts/openai.ts'
import { PoolExpert } from '../../src/experts/pool.ts'
import { probe } from '../../src/experts/probe.ts'
import { Transport } from '../../src/experts/transport.ts'
import * as up from '../fixtures/upstream.ts'
import { until } from '../helper.ts'

const facts = { model: 'm', adapter: 'progressive-1', adapterSha256: 'a'.repeat(64) }
const never = new AbortController().signal
const REQUEST = { messages: [{ role: 'user', content: 'x' }] }

interface Options { readonly retries?: number, readonly hedgeMs?: number | null, readonly weights?: readonly number[], readonly failures?: number, readonly openMs?: number, readonly firstChunkMs?: number }

async function poolOf (t: Test, count: number, options: Options = {}) {
  const upstreams = await Promise.all(Array.from({ length: count }, () => up.startUpstream()))
  const transports = upstreams.map(({ url }) => new Transport({ baseUrl: url, limits: { answerBytes: 1e6, firstChunkMs: options.firstChunkMs ?? 5000, chunkGapMs: 5000 } }))
  const endpoints = upstreams.map((_, at) => new Endpoint({ name: String(at + 1), weight: options.weights?.[at] ?? 1, failures: options.failures ?? 3, openMs: options.openMs ?? 200 }))
  const pool = new PoolExpert({
    facts, retries: options.retries ?? 1, hedgeMs: options.hedgeMs ?? null,
    members: transports.map((at, place) => ({ endpoint: endpoints[place]!, expert: new OpenAIExpert({ facts, at }) })),
  })
  t.teardown(async () => {
    await Promise.all(transports.map((one) => one.close()))
    await Promise.all(upstreams.map((one) => one.close()))
  })
  const asked = (): number[] => upstreams.map(({ requests }) => requests.length)
  return { pool, upstreams, endpoints, transports, asked }
}

async function read (stream: AsyncIterable<unknown[]>): Promise<number> {
  let chunks = 0
  for await (const batch of stream) chunks += batch.length
  return chunks
}

t.test('calls go to the least busy endpoint, in turn where all are equally so, and by weight', async (t) => {
  const { pool, upstreams, asked } = await poolOf(t, 3)
  for (let call = 0; call < 9; call++) await pool.complete(REQUEST, never)
  t.same(asked(), [3, 3, 3], 'in turn')
  const leaving = new AbortController()
  upstreams[0]!.reply(up.silence())
  upstreams[1]!.reply(up.silence())
  const busy = Array.from({ length: 2 }, () => pool.complete(REQUEST, leaving.signal).catch(() => {}))
  await until(() => asked()[0]! + asked()[1]! + asked()[2]! === 11)
  for (let call = 0; call < 3; call++) pool.complete(REQUEST, leaving.signal).catch(() => {})
  await until(() => pool.endpoints().some(({ inFlight }) => inFlight > 0))
  leaving.abort()
  await Promise.all(busy)
  await until(() => pool.endpoints().every(({ inFlight }) => inFlight === 0))

  const weighted = await poolOf(t, 2, { weights: [3, 1] })
  for (const upstream of weighted.upstreams) upstream.reply(up.silence())
  const until2 = new AbortController()
  for (let call = 0; call < 8; call++) weighted.pool.complete(REQUEST, until2.signal).catch(() => {})
  await until(() => weighted.asked()[0]! + weighted.asked()[1]! === 8)
  t.same(weighted.asked(), [6, 2])
  until2.abort()
})

t.test('a stream keeps its endpoint busy to its end, also where nobody reads it', async (t) => {
  const { pool, upstreams } = await poolOf(t, 1)
  const flying = () => pool.endpoints()[0]!.inFlight
  await read(await pool.stream(REQUEST, never))
  t.equal(flying(), 0)
  upstreams[0]!.reply(up.endless())
  const leaving = new AbortController()
  await pool.stream(REQUEST, leaving.signal)
  t.equal(flying(), 1)
  leaving.abort()
  t.equal(flying(), 0, 'never begun to be read')
  for await (const batch of await pool.stream(REQUEST, never)) { t.ok(batch.length > 0); break }
  t.equal(flying(), 0, 'read in part')
  t.equal(pool.endpoints()[0]!.failures, 0)
  await until(() => upstreams[0]!.last.aborted)
})

const RETRIED: [string, up.Behaviour][] = [['a cut connection', up.resets()], ['503', up.unavailable()], ['500', up.htmlError(500)], ['429', up.rateLimited('17')], ['refused credentials', up.unauthorized()], ['404', up.refusal(404)]]
for (const [name, behaviour] of RETRIED) {
  t.test(`before the first byte, ${name} on one endpoint is answered by another of the pool, whole and streamed`, async (t) => {
    const { pool, upstreams, asked } = await poolOf(t, 2, { failures: 0 })
    upstreams[0]!.reply(behaviour)
    for (let call = 0; call < 2; call++) {
      await pool.complete(REQUEST, never)
      t.ok(await read(await pool.stream(REQUEST, never)) > 2)
    }
    t.equal(asked()[1], 4)
    t.ok(asked()[0]! >= 1)
    t.equal(pool.endpoints()[1]!.retries, asked()[0])
  })
}

t.test('an endpoint that is not there is passed over, and after as many failures not even tried', async (t) => {
  const { pool, upstreams, asked } = await poolOf(t, 2, { openMs: 60_000 })
  await upstreams[0]!.close()
  for (let call = 0; call < 20; call++) await pool.complete(REQUEST, never)
  t.equal(asked()[1], 20)
  t.match(pool.endpoints()[0], { status: 'open', failures: 3, opened: 1, reason: /failed 3 times in a row.*cannot be reached/ })
  t.same(pool.availability(), { ok: true })
})

const NOT_RETRIED: [string, up.Behaviour, string][] = [
  ['the caller\'s mistake', up.badRequest(), 'expert_rejected'], ['a context that is too small', up.contextExceeded(), 'context_length_exceeded'],
  ['half an answer', up.halfJson(), 'expert_failed'], ['garbage', up.garbage('text'), 'expert_failed'], ['silence', up.silence(), 'expert_timeout'], ['a time-out behind it', up.refusal(504), 'expert_failed'],
]
for (const [name, behaviour, code] of NOT_RETRIED) {
  t.test(`${name} is not tried on another endpoint`, async (t) => {
    const { pool, upstreams, asked } = await poolOf(t, 2, { retries: 2, firstChunkMs: 300 })
    for (const upstream of upstreams) upstream.reply(behaviour)
    await t.rejects(pool.complete(REQUEST, never), { code })
    t.equal(asked()[0]! + asked()[1]!, 1)
  })
}

t.test('a stream that breaks after its first byte is not begun again elsewhere', async (t) => {
  const { pool, upstreams, asked } = await poolOf(t, 2)
  for (const upstream of upstreams) upstream.reply(up.halfFrame())
  await t.rejects(read(await pool.stream(REQUEST, never)), { code: 'expert_failed' })
  t.equal(asked()[0]! + asked()[1]!, 1)
  t.equal(pool.endpoints().reduce((sum, one) => sum + one.failures, 0), 1, 'and counts against its endpoint')
})

t.test('retries are bounded', async (t) => {
  for (const retries of [0, 1, 2]) {
    const { pool, upstreams, asked } = await poolOf(t, 4, { retries })
    for (const upstream of upstreams) upstream.reply(up.resets())
    await t.rejects(pool.complete(REQUEST, never), { code: 'expert_failed' })
    t.equal(asked().reduce((sum, one) => sum + one, 0), retries + 1)
  }
})

t.test('failures in a row open the circuit, one call tries again, and success closes it', async (t) => {
  const { pool, upstreams, asked } = await poolOf(t, 1, { failures: 3, openMs: 150 })
  const [upstream] = upstreams
  upstream!.reply(up.resets())
  for (let call = 0; call < 3; call++) await t.rejects(pool.complete(REQUEST, never), { code: 'expert_failed' })
  const now = pool.availability()
  t.match(now, { ok: false, reason: /^Its endpoint is out: failed 3 times in a row, last because: The connection.* tried again in 1 s\.$/ })
  t.notMatch(JSON.stringify(now), /127\.0\.0\.1/)
  await t.rejects(pool.complete(REQUEST, never), { code: 'expert_unavailable', statusCode: 503 })
  t.equal(asked()[0], 3, 'not asked while it is open')

  await until(() => pool.availability().ok)
  t.equal(pool.endpoints()[0]!.status, 'half-open')
  upstream!.reply(up.silence())
  const leaving = new AbortController()
  const trial = pool.complete(REQUEST, leaving.signal).catch(() => 'left')
  await upstream!.received(4)
  await t.rejects(pool.complete(REQUEST, never), { code: 'expert_unavailable' }, 'one trial at a time')
  leaving.abort(new Error('left'))
  t.equal(await trial, 'left')
  t.same(pool.availability(), { ok: true }, 'a trial whose caller left proves nothing')
  upstream!.reply(up.resets())
  await t.rejects(pool.complete(REQUEST, never), { code: 'expert_failed' })
  t.match(pool.endpoints()[0], { status: 'open', opened: 2 })
  await sleep(200)
  t.equal(pool.endpoints()[0]!.status, 'open', 'longer than before')
  await until(() => pool.availability().ok)
  upstream!.reply(up.answer())
  await pool.complete(REQUEST, never)
  t.match(pool.endpoints()[0], { status: 'ok', reason: null })
})

t.test('neither a caller\'s own mistakes nor callers who leave open a circuit', async (t) => {
  const { pool, upstreams } = await poolOf(t, 1, { failures: 2 })
  upstreams[0]!.reply(up.badRequest())
  for (let call = 0; call < 6; call++) await t.rejects(pool.complete(REQUEST, never), { code: 'expert_rejected' })
  await t.rejects(pool.complete({ ...REQUEST, lora: [] }, never), { code: 'unsupported_parameter' })
  upstreams[0]!.reply(up.silence())
  for (let call = 0; call < 6; call++) {
    const leaving = new AbortController()
    const asking = pool.stream(REQUEST, leaving.signal).catch(() => {})
    await upstreams[0]!.received(7 + call)
    // a limit of the gateway's own ends a call with an error that would count if an endpoint gave it
    leaving.abort(call % 2 ? new Error('left') : new ParallaxError('expert_timeout', 'The answer took longer than the gateway allows.'))
    await asking
  }
  t.match(pool.endpoints()[0], { status: 'ok', failures: 0, inFlight: 0 })
  t.same(pool.availability(), { ok: true })
})

t.test('a success in between sets the count back', async (t) => {
  const { pool, upstreams } = await poolOf(t, 1, { failures: 2 })
  for (let round = 0; round < 4; round++) {
    upstreams[0]!.replyNext(up.resets())
    await t.rejects(pool.complete(REQUEST, never))
    await pool.complete(REQUEST, never)
  }
  t.match(pool.endpoints()[0], { status: 'ok', opened: 0, failures: 4 })
})

t.test('429 with Retry-After leaves that endpoint alone; where all ask for it, it is 429 with the time that is left', async (t) => {
  const { pool, upstreams, asked } = await poolOf(t, 2)
  upstreams[0]!.reply(up.rateLimited('30'))
  for (let call = 0; call < 10; call++) await pool.complete(REQUEST, never)
  t.same(asked(), [1, 10])
  t.match(pool.endpoints()[0], { status: 'parked', reason: /left alone for (30|29) s/, failures: 0 })
  upstreams[1]!.reply(up.rateLimited('10'))
  await t.rejects(pool.complete(REQUEST, never), { code: 'expert_rate_limited', retryAfter: 10 })
  await t.rejects(pool.complete(REQUEST, never), { code: 'expert_rate_limited', statusCode: 429, retryAfter: 10 })
  t.same(asked(), [1, 11], 'nobody was asked')
  t.same(pool.availability(), { ok: true }, 'it is there')
})

t.test('a 429 without Retry-After is passed on, and the endpoint is asked again', async (t) => {
  const { pool, upstreams, asked } = await poolOf(t, 1)
  upstreams[0]!.reply(up.refusal(429))
  for (let call = 0; call < 5; call++) await t.rejects(pool.complete(REQUEST, never), { code: 'expert_rate_limited' })
  t.same(asked(), [5])
})

t.test('hedging: a slow endpoint is overtaken by another, and its call ends at once', async (t) => {
  const { pool, upstreams, asked } = await poolOf(t, 2, { hedgeMs: 60 })
  for (const way of ['complete', 'stream'] as const) {
    for (const upstream of upstreams) upstream.reset()
    let first = true
    const reply = () => { const slow = first; first = false; return slow ? up.slowHeaders(3000) : up.answer() }
    for (const upstream of upstreams) upstream.reply(reply)
    const started = Date.now()
    if (way === 'complete') await pool.complete(REQUEST, never)
    else t.ok(await read(await pool.stream(REQUEST, never)) > 2)
    t.ok(Date.now() - started < 1000, `${Date.now() - started} ms`)
    t.same(asked(), [1, 1])
    await until(() => upstreams.some(({ last }) => last.aborted))
    const loser = upstreams.find(({ last }) => last.aborted)!.last
    t.ok(loser.abortedAt! - started < 1000)
  }
  t.match(pool.endpoints().reduce((sum, one) => ({ hedges: sum.hedges + one.hedges, failures: sum.failures + one.failures, inFlight: sum.inFlight + one.inFlight }), { hedges: 0, failures: 0, inFlight: 0 }), { hedges: 2, failures: 0, inFlight: 0 })
})

t.test('hedging is off unless it is asked for, and a quick answer is asked for once', async (t) => {
  const off = await poolOf(t, 2)
  for (const upstream of off.upstreams) upstream.reply(up.slowHeaders(300))
  await off.pool.complete(REQUEST, never)
  t.equal(off.asked()[0]! + off.asked()[1]!, 1)
  const on = await poolOf(t, 2, { hedgeMs: 1000 })
  await on.pool.complete(REQUEST, never)
  await read(await on.pool.stream(REQUEST, never))
  t.equal(on.asked()[0]! + on.asked()[1]!, 2)
})

t.test('a hedged call that fails leaves the other running, and a caller who leaves ends both', async (t) => {
  const { pool, upstreams } = await poolOf(t, 2, { hedgeMs: 50, retries: 0 })
  let count = 0
  for (const upstream of upstreams) upstream.reply(() => count++ === 0 ? up.slowHeaders(300) : up.resets())
  await pool.complete(REQUEST, never)
  for (const upstream of upstreams) { upstream.reset(); upstream.reply(up.silence()) }
  const leaving = new AbortController()
  const asking = pool.stream(REQUEST, leaving.signal).catch((error: Error) => error.message)
  await Promise.all(upstreams.map((upstream) => upstream.received(1)))
  leaving.abort(new Error('left'))
  t.equal(await asking, 'left')
  await until(() => upstreams.every(({ last }) => last.aborted))
  t.ok(pool.endpoints().every(({ inFlight }) => inFlight === 0))
})

t.test('an endpoint that fails its health checks is not asked until it passes one', async (t) => {
  const { pool, upstreams, endpoints, transports, asked } = await poolOf(t, 2)
  let well = true
  upstreams[0]!.page('/health', () => ({ status: well ? 200 : 503, body: {} }))
  const changes: (string | null)[] = []
  const stop = probe(endpoints[0]!, transports[0]!, { path: '/health', intervalMs: 20, timeoutMs: 500 }, (unhealthy) => { changes.push(unhealthy) })
  t.teardown(stop)
  well = false
  await until(() => pool.endpoints()[0]!.status === 'unhealthy')
  for (let call = 0; call < 6; call++) await pool.complete(REQUEST, never)
  t.same(asked(), [0, 6])
  t.match(pool.endpoints()[0]!.reason, /did not answer its last \d+ health checks/)
  well = true
  await until(() => pool.endpoints()[0]!.status === 'ok')
  for (let call = 0; call < 4; call++) await pool.complete(REQUEST, never)
  t.same(asked(), [2, 8])
  t.equal(changes.length, 2)
})

t.test('all endpoints out: every one is named with its reason, and no address', async (t) => {
  const { pool, upstreams } = await poolOf(t, 2, { failures: 1, openMs: 30_000 })
  for (const upstream of upstreams) upstream.reply(up.resets())
  await t.rejects(pool.complete(REQUEST, never))
  const now = pool.availability()
  t.match(now, { ok: false, reason: /All 2 of its endpoints are out\. "1": failed 1 times.*"2": failed/ })
  t.notMatch(JSON.stringify(now), /127\.0\.0\.1|localhost/)
  t.ok(!now.ok && now.retryAfter > 25)
})
