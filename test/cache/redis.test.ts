import { createServer, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { redisCache, type RedisCacheOptions } from '../../src/cache/redis.ts'
import { WAIT_MS } from '../../src/cache/redis-link.ts'
import { openRedis } from '../../src/redis.ts'
import { answer, cacheContract, keyOf, same } from '../contracts/cache.ts'
import { soon } from '../contracts/flights.ts'
import { NO_REDIS, startRedis, type RedisServer } from '../fixtures/redis.ts'
import { until } from '../helper.ts'

const started = await startRedis(t)
const skip = started ? false : NO_REDIS

/** Patient, for this machine may be busy; where the time itself is the promise, the usual is. */
const PATIENT_MS = 2000
const USUAL: Partial<RedisCacheOptions> = { waitMs: WAIT_MS }

async function open (t: Test, url: string, { onState, ...options }: Partial<RedisCacheOptions> & { onState?: (name: string, reason: string | null) => void } = {}) {
  const redis = await openRedis({ url, name: 'cache', ...(onState && { onState }) })
  const cache = redisCache({ redis, namespace: 'log.example', waitMs: PATIENT_MS, ...options })
  t.teardown(async () => {
    await cache.close()
    redis.disconnect()
  })
  await until(() => cache.up())
  return cache
}

/** Milliseconds that it took. */
async function took (work: () => unknown): Promise<number> {
  const before = performance.now()
  await work()
  return performance.now() - before
}

t.test('the contract, on a real Redis, by two replicas', { skip }, async (t) => {
  cacheContract(t, async (t) => {
    const url = started!.database()
    return { caches: [await open(t, url), await open(t, url)], pass: (seconds) => soon(seconds * 1000) }
  })
})

t.test('nobody reads from Redis what was asked or answered, and what was spoilt or put under another key is a miss', { skip }, async (t) => {
  const url = started!.database()
  const [cache, raw] = [await open(t, url), started!.client(url)]
  const [a, b] = [answer('the secret of progressive', ['perspective:progressive']), answer('the secret of conservative', ['perspective:conservative'])]
  await cache.set(keyOf('a'), a, 60)
  await cache.set(keyOf('b'), b, 60)
  const names = await raw.keys('*')
  t.equal(names.length, 4)
  for (const name of names) {
    t.notMatch(name, new RegExp(keyOf('a')), 'not even the key, which opens it')
    t.notMatch(await raw.get(name), /secret/)
    t.ok(await raw.pttl(name) > 0, 'nothing stays for ever')
  }
  const valueOf = (source: string): string => names.find((name) => name.endsWith(`value:${source}`))!
  const [good, other] = [await raw.getBuffer(valueOf(a.source)), await raw.getBuffer(valueOf(b.source))]
  const spoilt = Buffer.from(good!)
  spoilt[spoilt.length - 20]! ^= 1
  for (const [how, value] of [['another\'s answer', other!], ['one bit', spoilt], ['cut short', good!.subarray(0, 60)], ['nothing', Buffer.alloc(0)], ['garbage', Buffer.from('{"completion":{}}\n{}')]] as const) {
    await raw.set(valueOf(a.source), value)
    t.equal(await cache.get(keyOf('a')), undefined, how)
  }
  t.equal(cache.counts().errors, 4, 'each but the forgotten one was noticed')
  const pointer = names.filter((name) => /:key:/.test(name))
  for (const name of pointer) await raw.set(name, b.source)
  t.equal(await cache.get(keyOf('a')), undefined, 'a mixed-up pointer')
  same(t, await cache.get(keyOf('b')), b)
  for (const name of pointer) { await raw.del(name); await raw.lpush(name, 'a list') }
  t.equal(await cache.get(keyOf('a')), undefined, 'a value of another kind')
  t.equal(cache.up(), true)
})

t.test('gateways with a log of their own see nothing of each other', { skip }, async (t) => {
  const url = started!.database()
  const [one, other] = [await open(t, url), await open(t, url, { namespace: 'other.example' })]
  await one.set(keyOf('k'), answer('one'), 60)
  t.equal(await other.get(keyOf('k')), undefined)
})

t.test('a Redis that is full does not keep, still answers, and still forgets and evicts', { skip }, async (t) => {
  const server = (await startRedis(t, ['--maxmemory', '4mb', '--maxmemory-policy', 'noeviction']))!
  const url = server.database()
  const [cache, raw] = [await open(t, url), server.client(url)]
  const kept: [string, ReturnType<typeof answer>][] = []
  for (let at = 0; at < 100; at++) {
    const one = answer('x'.repeat(100_000), [at % 2 ? 'adapter:odd' : 'adapter:even'])
    if (await cache.set(keyOf(`k${at}`), one, 600)) kept.push([keyOf(`k${at}`), one])
  }
  t.ok(kept.length > 3 && kept.length < 60, `${kept.length} were kept`)
  const [[first, gone]] = kept as [[string, ReturnType<typeof answer>]]
  same(t, await cache.get(first), gone)
  // over its limit by far: it takes nothing new at all, not even the note that something was forgotten
  await raw.config('SET', 'maxmemory', '1mb')
  t.equal(await cache.set(keyOf('full'), answer('small'), 60), false)
  await cache.forget(new Set([gone.source]))
  t.equal(await cache.get(first), undefined)
  await raw.config('SET', 'maxmemory', '4mb')
  await cache.evict('adapter:odd')
  t.equal(await cache.get(kept[1]![0]), undefined)
  same(t, await cache.get(kept[2]![0]), kept[2]![1])
  t.equal(cache.up(), true)
})

t.test('what a restarted Redis reads from its disk is not served: it may be erased by now', { skip }, async (t) => {
  const server = (await startRedis(t))!
  const url = server.database()
  const cache = await open(t, url)
  const raw = server.client(url)
  const one = answer('erased')
  await cache.set(keyOf('k'), one, 600)
  await raw.call('SAVE')
  await cache.forget(new Set([one.source]))
  await server.stop()
  await until(() => !cache.up())
  await server.start()
  await until(() => cache.up())
  t.ok((await server.client(url).keys('*')).length > 0, 'the snapshot is there again')
  t.equal(await cache.get(keyOf('k')), undefined)
  t.equal(await cache.set(keyOf('k'), answer('anew'), 60), true)
})

const troubles: [name: string, down: (server: RedisServer) => Promise<void> | void, back: (server: RedisServer) => Promise<void> | void][] = [
  ['dead', (server) => server.stop(), (server) => server.start()],
  ['hanging', (server) => { server.pause() }, (server) => { server.resume() }],
]

for (const [name, down, back] of troubles) {
  t.test(`a ${name} Redis is a miss within a tenth of a second, then costs nothing, and is found again by itself`, { skip }, async (t) => {
    const server = (await startRedis(t))!
    const changes: boolean[] = []
    const cache = await open(t, server.database(), { ...USUAL, onState: (_name, reason) => { changes.push(reason === null) } })
    await cache.set(keyOf('k'), answer('kept'), 600)
    await down(server)
    t.ok(await took(async () => { t.equal(await cache.get(keyOf('k')), undefined) }) < 150)
    t.ok(await took(async () => { for (let at = 0; at < 500; at++) await cache.get(keyOf('k')) }) < 150, 'five hundred more')
    t.equal(await cache.set(keyOf('k'), answer('other'), 600), false)
    t.equal(cache.up(), false)
    await until(() => changes.includes(false))
    t.ok(await took(async () => { for (let at = 0; at < 500; at++) await cache.get(keyOf('k')) }) < 150, 'five hundred after the connection was given up')
    await back(server)
    await until(() => cache.up())
    t.equal(await cache.set(keyOf('k2'), answer('again'), 600), true)
    t.ok(await cache.get(keyOf('k2')))
    t.same(changes, [false, true])
  })

  t.test(`an erasure while Redis is ${name} does not resolve before it is done`, { skip }, async (t) => {
    const server = (await startRedis(t))!
    const url = server.database()
    const [cache, other] = [await open(t, url, { forgetWithinMs: 300 }), await open(t, url)]
    const [one, two] = [answer('erased'), answer('erased too')]
    await cache.set(keyOf('k'), one, 600)
    await cache.set(keyOf('k2'), two, 600)
    await down(server)
    await t.rejects(Promise.resolve(cache.forget(new Set([one.source]))), { code: 'cache_unavailable' })
    const second = other.forget(new Set([two.source]))
    await soon(50)
    await back(server)
    await second
    await until(() => other.up())
    t.equal(await other.get(keyOf('k2')), undefined)
    await until(async () => other.up() && await other.get(keyOf('k')) === undefined && await other.set(keyOf('k'), one, 60) === false)
    t.pass('the one that was refused for the time being was tried on')
  })
}

t.test('a process that had no time for a while does not take Redis for slow', { skip }, async (t) => {
  const cache = await open(t, started!.database(), USUAL)
  await cache.set(keyOf('k'), answer('kept'), 60)
  for (let at = 0; at < 3; at++) {
    const asked = cache.get(keyOf('k'))
    // the question leaves, the reply comes while this goes on
    await new Promise((resolve) => setImmediate(resolve))
    for (const end = performance.now() + 2 * WAIT_MS; performance.now() < end;);
    t.ok(await asked)
  }
  t.equal(cache.counts().errors, 0)
})

t.test('a server that is no Redis, or none at all, is a miss and never an error', async (t) => {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('data', () => { socket.write('HTTP/1.1 400 Bad Request\r\n\r\n') })
  })
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  for (const url of [`redis://127.0.0.1:${(server.address() as AddressInfo).port}`, 'redis://127.0.0.1:1', 'redis://nowhere.invalid:6379']) {
    const redis = await openRedis({ url, name: 'cache' })
    const cache = redisCache({ redis, namespace: 'log.example', forgetWithinMs: 100 })
    t.equal(await cache.get(keyOf('k')), undefined)
    t.equal(await cache.set(keyOf('k'), answer('a'), 60), false)
    t.equal(cache.up(), false)
    await t.rejects(Promise.resolve(cache.forget(new Set(['s']))), { code: 'cache_unavailable' })
    await cache.close()
    redis.disconnect()
  }
})
