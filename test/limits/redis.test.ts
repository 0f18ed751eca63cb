import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { openRedis } from '../../src/redis.ts'
import { redisLimits, type RedisLimitsOptions } from '../../src/limits/redis.ts'
import { UNLIMITED } from '../../src/quota.ts'
import { limitsContract } from '../contracts/limits.ts'
import { NO_REDIS, startRedis } from '../fixtures/redis.ts'
import { until } from '../helper.ts'

const server = await startRedis(t)
const skip = server === null && NO_REDIS

async function connect (t: Test, url: string, options: Partial<RedisLimitsOptions> & { commandMs?: number } = {}) {
  const { commandMs, ...rest } = options
  const states: (string | null)[] = []
  const redis = await openRedis({ url, name: 'limits', ...(commandMs !== undefined && { commandMs }), onState: (_name, reason) => { states.push(reason) } })
  const limits = redisLimits({ redis, namespace: 'test', ...rest })
  t.teardown(async () => {
    await limits.close()
    redis.disconnect()
  })
  return { limits, redis, states }
}

t.test('the promise', { skip }, (t) => {
  limitsContract(t, async (t, clock) => {
    const url = server!.database()
    const open = async () => (await connect(t, url, { clock: () => clock.now })).limits
    return [await open(), await open()]
  })
  t.end()
})

/** Another replica, in a process of its own. */
async function replica (t: Test, url: string, settings: object) {
  const child = spawn(process.execPath, [fileURLToPath(new URL('../fixtures/limits-replica.ts', import.meta.url)), url, JSON.stringify(settings)], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(() => { child.kill('SIGKILL') })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const said = async () => (await lines.next()).value as string
  if (await said() !== 'ready') throw new Error('the replica did not start')
  return { child: child as ChildProcess, go: async () => { child.stdin.write('go\n'); return JSON.parse(await said()) as { admitted: number, refused: number } } }
}

t.test('two processes whose clocks differ by an hour share one limit: L, not 2 L (litellm 40291)', { skip }, async (t) => {
  const url = server!.database()
  const quota = { ...UNLIMITED, requestsPerMinute: 40 }
  const replicas = await Promise.all([0, 3_600_000].map((clockAheadMs) => replica(t, url, { quota, asks: 15, clockAheadMs })))
  for (const one of replicas) t.same(await one.go(), { admitted: 15, refused: 0 }, 'each counts in the same window')
  const outcomes = await Promise.all(replicas.map((one) => one.go()))
  t.equal(outcomes.reduce((sum, one) => sum + one.admitted, 0), 10)
  t.equal(outcomes.reduce((sum, one) => sum + one.refused, 0), 20)
})

t.test('the streams of a killed process come free with their leases; those of one that lives do not', { skip }, async (t) => {
  const url = server!.database()
  const quota = { ...UNLIMITED, streams: 3 }
  const leaseMs = 600
  const dying = await replica(t, url, { quota, asks: 2, stream: true, leaseMs })
  t.same(await dying.go(), { admitted: 2, refused: 0 })
  const { limits } = await connect(t, url, { leaseMs })
  const ask = { key: 'k_1', quota, tokens: 0, stream: true }
  const mine = await limits.admit(ask)
  await new Promise((resolve) => setTimeout(resolve, 3 * leaseMs))
  await t.rejects(limits.admit(ask), { code: 'rate_limit_exceeded' }, 'both live: their leases are renewed')
  dying.child.kill('SIGKILL')
  await once(dying.child, 'exit')
  const admitted = await until(() => limits.admit(ask).catch(() => null), 5 * leaseMs)
  await limits.admit(ask)
  await t.rejects(limits.admit(ask), { code: 'rate_limit_exceeded' }, 'two came free, and mine is still held')
  await admitted.settle(0)
  await mine.settle(0)
})

t.test('a Redis that is down, hangs or forgets: refused within the bound, and well again by itself', { skip }, async (t) => {
  const server = (await startRedis(t))!
  const url = server.database()
  const { limits, states } = await connect(t, url, { commandMs: 200 })
  const ask = { key: 'k_1', quota: { ...UNLIMITED, requestsPerMinute: 1000, tokensPerDay: 1000 }, tokens: 600, stream: false }
  const refusedWithin = async (ms: number, what: string) => {
    const started = performance.now()
    await t.rejects(limits.admit(ask), { code: 'limits_unavailable', statusCode: 503, retryable: true, retryAfter: 2 }, what)
    t.ok(performance.now() - started < ms, `${what}: within ${ms} ms`)
  }
  const early = await limits.admit(ask)

  server.pause()
  await refusedWithin(1500, 'it hangs')
  server.resume()
  await until(() => limits.admit({ ...ask, tokens: 0 }).catch(() => null))

  await server.stop()
  await refusedWithin(1500, 'it is down')
  await limits.admit({ ...ask, quota: UNLIMITED })
  await early.settle(0)
  t.ok(await until(() => typeof states.at(-1) === 'string'), 'the operator is told')
  await server.start()
  const again = await until(() => limits.admit(ask).catch(() => null))
  t.ok(await until(() => states.at(-1) === null))
  t.ok(limits.refused.unavailable >= 2)

  await server.stop()
  await server.start()
  await until(() => limits.admit(ask).catch(() => null))
  await again.settle(0)
  await t.rejects(limits.admit(ask), { code: 'rate_limit_exceeded' }, 'what a lost window had reserved is not given back to its successor')
})

t.test('a Redis that is not there yet is no reason not to start', { skip }, async (t) => {
  const server = (await startRedis(t))!
  await server.stop()
  const started = performance.now()
  const { limits, states } = await connect(t, server.database())
  t.ok(performance.now() - started < 3000)
  const ask = { key: 'k_1', quota: { ...UNLIMITED, requestsPerMinute: 5 }, tokens: 0, stream: false }
  await t.rejects(limits.admit(ask), { code: 'limits_unavailable' })
  t.match(states, [/ECONNREFUSED/])
  await server.start()
  t.ok(await until(() => limits.admit(ask).catch(() => null)))
  t.match(states, [/ECONNREFUSED/, null])
})

t.test('nothing of a key stays in Redis for ever', { skip }, async (t) => {
  const url = server!.database()
  const { limits, redis } = await connect(t, url)
  const quota = { requestsPerMinute: 10, tokensPerMinute: 100, streams: 2, tokensPerDay: 1000 }
  const admission = await limits.admit({ key: 'k_1', quota, tokens: 10, stream: true })
  const ttls = new Map(await Promise.all((await redis.keys('*')).map(async (key) => [key.split(':').at(-1)!, Math.round(await redis.pttl(key) / 1000)] as const)))
  t.same(Object.fromEntries(ttls), { requests: 61, tokens: 61, day: 87_300, streams: 30 })
  await admission.settle(5)
  t.equal((await redis.keys('*:streams')).length, 0)
})
