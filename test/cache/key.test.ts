import fc from 'fast-check'
import t from 'tap'
import { cacheKey, cacheWish, type CacheScope } from '../../src/cache/key.ts'

const scope: CacheScope = { tenant: 't_1', perspectives: ['progressive'], mode: 'steerable', weights: { progressive: 1 }, experts: [{ model: 'm', adapter: 'p-1', adapterSha256: 'aa' }] }
const [expert] = scope.experts as [CacheScope['experts'][number]]
const request = { messages: [{ role: 'user', content: 'taxation' }], temperature: 0, seed: 1, top_p: 0.5, metadata: { a: 1, b: [1, 2] } }

/** The same value with every object's members in another order. */
const shuffled = (value: unknown, turn: number): unknown => Array.isArray(value)
  ? value.map((one) => shuffled(one, turn))
  : typeof value === 'object' && value !== null
    ? Object.fromEntries(Object.entries(value).map(([name, one]) => [name, shuffled(one, turn)] as const).toSorted(([a], [b]) => ((a.length * 31 + turn) % 7) - ((b.length * 17 + turn) % 7) || (turn % 2 ? 1 : -1) * a.localeCompare(b)))
    : value

t.test('JSON key order does not miss the cache (litellm 40128)', async (t) => {
  fc.assert(fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.nat(20), (members, turn) => cacheKey(members, scope) === cacheKey(shuffled(members, turn) as Record<string, unknown>, scope)))
  t.pass()
})

t.test('changing any semantic member, known to us or not, misses', async (t) => {
  const key = cacheKey(request, scope)
  for (const change of [{ temperature: 1 }, { seed: 2 }, { top_p: 0.6 }, { messages: [{ role: 'user', content: 'Taxation' }] }, { metadata: { a: 1, b: [2, 1] } }, { unknown_new_member: null }, { user: 'x' }, { n: 2 }]) {
    t.not(cacheKey({ ...request, ...change }, scope), key, JSON.stringify(change))
  }
})

t.test('another perspective, expert, adapter digest, mode, weight or tenant misses', async (t) => {
  const key = cacheKey(request, scope)
  const others: Partial<CacheScope>[] = [
    { perspectives: ['conservative'] }, { perspectives: ['progressive', 'conservative'] }, { perspectives: ['conservative', 'progressive'] }, { tenant: 't_2' },
    { mode: 'overton' }, { mode: 'distributional', mixture: 'sample' }, { mixture: 'blend' }, { role: 'summary' }, { seed: 7 }, { seed: '7' },
    { weights: { progressive: 0.5, conservative: 0.5 } }, { weights: { progressive: 0.7, conservative: 0.3 } }, { weights: { progressive: 0.3, conservative: 0.7 } },
    { experts: [{ ...expert, adapterSha256: 'bb' }] }, { experts: [{ ...expert, adapterSha256: null }] }, { experts: [{ ...expert, model: 'n' }] }, { experts: [{ ...expert, adapter: 'p-2' }] },
    { experts: [expert, expert] }, { experts: [] },
  ]
  t.equal(new Set(others.map((change) => cacheKey(request, { ...scope, ...change }))).size, others.length, 'nor are two of these the same')
  for (const change of others) t.not(cacheKey(request, { ...scope, ...change }), key, JSON.stringify(change))
})

t.test('how the answer is carried, and how the perspective was written, do not miss', async (t) => {
  const key = cacheKey(request, scope)
  for (const change of [{ stream: true }, { stream_options: { include_usage: true } }, { perspective: 'A' }, { model: 'progressive' }]) t.equal(cacheKey({ ...request, ...change }, scope), key, JSON.stringify(change))
})

t.test('a sampled answer is cached only where it was made repeatable or asked for', async (t) => {
  const seen = (one: object, header?: string) => { const { read, store } = cacheWish(one, header); return `${read}/${store}` }
  t.equal(seen({}), 'false/false')
  t.equal(seen({ temperature: 0.7 }), 'false/false')
  t.equal(seen({ temperature: 0 }), 'true/true')
  t.equal(seen({ seed: 7 }), 'true/true')
  t.equal(seen({}, 'max-age=60'), 'true/true')
  t.equal(seen({}, 'max-age=0'), 'false/false')
  t.equal(seen({ seed: 7 }, 'no-cache'), 'false/true')
  t.equal(seen({ seed: 7 }, 'no-store'), 'false/false')
  t.equal(seen({ seed: 7 }, 'No-Store, max-age=9'), 'false/false')
  t.equal(cacheWish({}, 'only-if-cached').onlyIfCached, true)
})
