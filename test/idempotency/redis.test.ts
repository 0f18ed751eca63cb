import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { redisIdempotency, type RedisIdempotencyOptions } from '../../src/idempotency/redis.ts'
import { openRedis } from '../../src/redis.ts'
import { idempotencyContract, isNew, reply } from '../contracts/idempotency.ts'
import { NO_REDIS, startRedis } from '../fixtures/redis.ts'
import { until } from '../helper.ts'

const server = await startRedis(t)
const skip = server === null && NO_REDIS

async function connect (t: Test, url: string, options: Partial<RedisIdempotencyOptions> & { commandMs?: number } = {}) {
  const { commandMs, ...rest } = options
  const redis = await openRedis({ url, name: 'idempotency', ...(commandMs !== undefined && { commandMs }) })
  const store = redisIdempotency({ redis, namespace: 'test', ttlMs: 3_600_000, ...rest })
  t.teardown(async () => {
    await store.close()
    redis.disconnect()
  })
  return { store, redis }
}

t.test('the promise', { skip }, (t) => {
  idempotencyContract(t, async (t, ttlMs) => {
    const url = server!.database()
    const open = async () => (await connect(t, url, { ttlMs })).store
    return { replicas: [await open(), await open()], pass: (ms) => new Promise((resolve) => { setTimeout(resolve, ms) }) }
  })
  t.end()
})

t.test('the claim of a killed process comes free with its lease; that of one that lives does not', { skip }, async (t) => {
  const url = server!.database()
  const leaseMs = 600
  const child = spawn(process.execPath, [fileURLToPath(new URL('../fixtures/idempotency-replica.ts', import.meta.url)), url, String(leaseMs)], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => { child.kill('SIGKILL') })
  t.equal(String((await once(child.stdout, 'data'))[0]).trim(), 'new')
  const { store } = await connect(t, url, { leaseMs })
  await new Promise((resolve) => { setTimeout(resolve, 3 * leaseMs) })
  await t.rejects(store.claim('t_1', 'key', 'f'), { code: 'idempotency_in_flight' })
  child.kill('SIGKILL')
  isNew(await until(() => store.claim('t_1', 'key', 'f').catch(() => null), 5 * leaseMs))
})

t.test('a Redis that is down or hangs: nothing is answered that might have been answered before, and it is well again by itself', { skip }, async (t) => {
  const server = (await startRedis(t))!
  const { store } = await connect(t, server.database(), { commandMs: 200 })
  const refusedWithin = async (ms: number, what: string) => {
    const started = performance.now()
    await t.rejects(store.claim('t_1', 'key', 'f'), { code: 'idempotency_unavailable', statusCode: 503, retryable: true }, what)
    t.ok(performance.now() - started < ms, `${what}: within ${ms} ms`)
  }
  server.pause()
  await refusedWithin(1500, 'it hangs')
  server.resume()
  const claim = isNew(await until(() => store.claim('t_1', 'other', 'f').catch(() => null)))
  await server.stop()
  await refusedWithin(1500, 'it is down')
  t.equal(await claim.keep(reply()), false, 'the answer goes out, and is not kept')
  await t.rejects(store.forget(new Set(['r'])), { code: 'idempotency_unavailable' }, 'an erasure that is not certain says so')
  await server.start()
  isNew(await until(() => store.claim('t_1', 'key', 'f').catch(() => null)))
})

t.test('what lies in Redis tells nothing of who asked what, and goes with its time', { skip }, async (t) => {
  const url = server!.database()
  const { store } = await connect(t, url)
  const probe = server!.client(url)
  await isNew(await store.claim('t_secret', 'the key', 'f')).keep(reply({ body: 'a secret answer', record: 'r-1' }))
  isNew(await store.claim('t_secret', 'running', 'f'))
  const keys = await probe.keys('*')
  t.equal(keys.length, 3)
  for (const key of keys) {
    const value = await probe.type(key) === 'hash' ? JSON.stringify(await probe.hgetall(key)) : (await probe.getBuffer(key))!.toString('latin1')
    t.notMatch(key + value, /secret|the key/)
    t.ok(await probe.pttl(key) > 0, 'nothing stays for ever')
  }
})

t.test('an answer that was altered or put in another\'s place is not replayed', { skip }, async (t) => {
  const url = server!.database()
  const { store } = await connect(t, url)
  const probe = server!.client(url)
  for (const key of ['mine', 'theirs']) await isNew(await store.claim('t_1', key, 'f')).keep(reply({ record: `r-${key}` }))
  const place = async (record: string) => (await probe.keys(`*:reply:${record}`))[0]!
  const theirs = (await probe.getBuffer(await place('r-theirs')))!
  await probe.set(await place('r-mine'), theirs, 'KEEPTTL')
  await t.rejects(store.claim('t_1', 'mine', 'f'), { code: 'idempotency_unavailable' })
  theirs[20]! ^= 1
  await probe.set(await place('r-theirs'), theirs, 'KEEPTTL')
  await t.rejects(store.claim('t_1', 'theirs', 'f'), { code: 'idempotency_unavailable' })
})

t.test('a Redis that was set back to an older copy replays nothing that the log has erased', { skip }, async (t) => {
  const url = server!.database()
  const erased = new Set<string>()
  const { store } = await connect(t, url, { erased: async (record) => erased.has(record) })
  await isNew(await store.claim('t_1', 'key', 'f')).keep(reply({ record: 'r-old' }))
  t.equal((await store.claim('t_1', 'key', 'f')).kind, 'replay')
  erased.add('r-old')
  await isNew(await store.claim('t_1', 'key', 'f')).release()
  t.equal((await server!.client(url).keys('*:reply:r-old')).length, 1, 'only the mark that it is not to come again')
})

t.test('a Redis without memory left keeps nothing and lets nobody answer twice', { skip }, async (t) => {
  const server = (await startRedis(t, ['--maxmemory', '8mb', '--maxmemory-policy', 'noeviction']))!
  const { store } = await connect(t, server.database())
  const claim = isNew(await store.claim('t_1', 'key', 'f'))
  const filler = server.client(server.database())
  for (let at = 0; await filler.set(`filler ${at}`, 'x'.repeat(100_000)).catch(() => null) !== null; at++) if (at > 1000) throw new Error('it never fills')
  t.equal(await claim.keep(reply({ body: 'x'.repeat(1_000_000) })), false)
  await store.forget(new Set(['r']))
  await t.rejects(store.claim('t_1', 'second', 'f'), { code: 'idempotency_unavailable' })
})
