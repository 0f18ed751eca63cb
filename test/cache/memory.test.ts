import t from 'tap'
import { GUARD_MS, memoryCache } from '../../src/cache/memory.ts'
import { answer, cacheContract } from '../contracts/cache.ts'

cacheContract(t, async () => {
  let now = 1000
  const cache = memoryCache(4_000_000, () => now)
  return { caches: [cache, cache], pass: (seconds) => { now += seconds * 1000 } }
})

t.test('it stays within its bytes: the oldest go, with all that was known of them', async (t) => {
  const cache = memoryCache(20_000)
  for (let i = 0; i < 100; i++) await cache.set(`k${i}`, answer('x'.repeat(500), [], `s${i}`), 60)
  t.equal(await cache.get('k0'), undefined)
  t.ok(await cache.get('k99'))
  await cache.set('k0', answer('again', [], 's99'), 60)
  t.equal(await cache.get('k99'), undefined)
})

t.test('with no room at all it keeps nothing', async (t) => {
  const cache = memoryCache(0)
  t.equal(await cache.set('k', answer('a'), 60), false)
  t.equal(await cache.get('k'), undefined)
})

t.test('more erasures at a time than it can remember close it for a while, rather than let one come back', async (t) => {
  let now = 0
  const cache = memoryCache(1_000_000, () => now)
  const late = answer('late')
  await cache.forget(new Set([late.source]))
  await cache.forget(new Set(Array.from({ length: 100_001 }, (_, at) => `other${at}`)))
  t.equal(await cache.set('k', late, 60), false)
  t.equal(await cache.set('k', answer('unconcerned'), 60), false)
  now += GUARD_MS
  t.equal(await cache.set('k', answer('unconcerned'), 60), true)
})
