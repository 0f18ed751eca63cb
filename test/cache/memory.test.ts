import t from 'tap'
import { memoryCache } from '../../src/cache/memory.ts'

const answer = (content: string) => ({ completion: { choices: [{ content }] }, source: 'r', stored: 0 })

t.test('an entry is given back as it was, also after a reader changed its copy', async (t) => {
  const cache = memoryCache(1_000_000)
  await cache.set('k', answer('first'), 60)
  const got = await cache.get('k')
  ;(got!.completion['choices'] as object[]).length = 0
  t.same(await cache.get('k'), answer('first'))
  t.equal(await cache.get('other'), undefined)
})

t.test('an entry past its time to live is gone', async (t) => {
  let now = 0
  const cache = memoryCache(1_000_000, () => now)
  await cache.set('k', answer('a'), 60)
  now = 59_999
  t.ok(await cache.get('k'))
  now = 60_000
  t.equal(await cache.get('k'), undefined)
})

t.test('it stays within its bytes: old entries go, and one that is too large is never kept', async (t) => {
  const cache = memoryCache(20_000)
  for (let i = 0; i < 100; i++) await cache.set(`k${i}`, answer('x'.repeat(500)), 60)
  t.equal(await cache.get('k0'), undefined)
  t.ok(await cache.get('k99'))
  await cache.set('huge', answer('x'.repeat(50_000)), 60)
  t.equal(await cache.get('huge'), undefined)
})

t.test('with no room at all it keeps nothing', async (t) => {
  const cache = memoryCache(0)
  await cache.set('k', answer('a'), 60)
  t.equal(await cache.get('k'), undefined)
})
