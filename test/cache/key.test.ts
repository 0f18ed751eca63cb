import fc from 'fast-check'
import t from 'tap'
import canonicalize from 'canonicalize'
import { chatRequest, expertRequest, parseChatRequest } from '../../src/chat/request.ts'
import { cacheKey, cacheWish, isUsable, remaining, type CacheScope } from '../../src/cache/key.ts'

const scope: CacheScope = { tenant: 't_1', perspectives: ['progressive'], mode: 'steerable', weights: { progressive: 1 }, experts: [{ model: 'm', adapter: 'p-1', adapterSha256: 'aa' }] }
const [expert] = scope.experts as [CacheScope['experts'][number]]
const request = { messages: [{ role: 'user', content: 'taxation' }], temperature: 0, seed: 1, top_p: 0.5, metadata: { a: 1, b: [1, 2] } }

/** The same value with every object's members in an order of the turn's. */
function shuffled (value: unknown, turn: number): unknown {
  if (Array.isArray(value)) return value.map((one) => shuffled(one, turn))
  if (typeof value !== 'object' || value === null) return value
  const place = new Map(Object.keys(value).map((name, at) => [name, (at * 7919 + turn * 104_729) % 1009]))
  const members = Object.entries(value).map(([name, one]) => [name, shuffled(one, turn)] as const).toSorted(([a], [b]) => place.get(a)! - place.get(b)!)
  // defined one by one: "__proto__" is a member like any other where it comes from JSON
  const made = {}
  for (const [name, one] of members) Object.defineProperty(made, name, { value: one, enumerable: true, writable: true, configurable: true })
  return made
}

const members = fc.dictionary(fc.oneof(fc.string(), fc.constantFrom('messages', 'seed', 'temperature', 'tools', '__proto__', 'constructor')), fc.jsonValue(), { maxKeys: 8 })
const CARRIED = ['stream', 'stream_options', 'perspective', 'model']

t.test('JSON key order does not miss the cache (litellm 40128)', async (t) => {
  fc.assert(fc.property(members, fc.nat(1000), (request, turn) => cacheKey(request, scope) === cacheKey(shuffled(request, turn) as Record<string, unknown>, shuffled(scope, turn) as CacheScope)))
  t.not(Object.keys(shuffled(request, 3) as object).join(), Object.keys(request).join(), 'the orders do differ')
})

t.test('an unkeyed parameter never gets another one\'s answer: any two requests that differ in a member, at any depth, have two keys (litellm 42400)', async () => {
  const path = fc.array(fc.oneof(fc.constantFrom('a', 'b', 'messages', 'tools', 'metadata'), fc.string()), { minLength: 1, maxLength: 4 }).filter(([first]) => !CARRIED.includes(first!))
  /** The request with one member of another value, wherever the path leads. */
  const changed = (value: unknown, [name, ...rest]: string[], to: unknown): unknown => {
    if (name === undefined) return to
    const here = typeof value === 'object' && value !== null ? value as Record<string, unknown> : {}
    return { ...here, [name]: changed(Object.hasOwn(here, name) ? here[name] : undefined, rest, to) }
  }
  fc.assert(fc.property(members, path, fc.jsonValue(), fc.jsonValue(), (request, path, one, other) => {
    const [a, b] = [changed(request, path, one), changed(request, path, other)] as Record<string, unknown>[]
    // what JSON cannot tell apart is the same: -0 and 0
    return (JSON.stringify(shuffled(one, 0)) === JSON.stringify(shuffled(other, 0))) || canonicalize(one) === canonicalize(other) || cacheKey(a!, scope) !== cacheKey(b!, scope)
  }))
  fc.assert(fc.property(members, path, fc.jsonValue(), (request, path, one) => {
    const without = { ...request }
    delete without[path[0]!]
    return cacheKey(without, scope) !== cacheKey({ ...without, [path[0]!]: one }, scope)
  }))
})

t.test('two scopes that differ anywhere have two keys', async () => {
  const id = fc.constantFrom('progressive', 'conservative', 'baseline', 'a', 'b')
  const expert = fc.record({ model: id, adapter: fc.option(id), adapterSha256: fc.option(id) })
  const scopes: fc.Arbitrary<CacheScope> = fc.record({
    tenant: id, perspectives: fc.array(id, { maxLength: 3 }), mode: fc.constantFrom('steerable', 'distributional', 'overton'), mixture: fc.constantFrom(undefined, 'sample', 'blend'),
    role: fc.constantFrom(undefined, 'summary'), weights: fc.dictionary(id, fc.double({ min: 0, max: 1, noNaN: true }), { maxKeys: 3 }), seed: fc.oneof(fc.constant(undefined), fc.integer(), id), experts: fc.array(expert, { maxLength: 2 }),
  })
  fc.assert(fc.property(scopes, scopes, (one, other) => (canonicalize(one) === canonicalize(other)) === (cacheKey(request, one) === cacheKey(request, other))))
})

type Semantic = Exclude<keyof typeof chatRequest.shape, 'stream' | 'stream_options' | 'perspective' | 'model'>

/** Values of every member that says something, no two of which ask for the same. A member that is new in the schema has none, which the compiler and the test both say. */
const VALUES: Readonly<Record<Semantic, readonly unknown[]>> = {
  messages: [request.messages, [{ role: 'user', content: 'Taxation' }], [{ role: 'system', content: 'taxation' }], [...request.messages, ...request.messages], [{ ...request.messages[0], name: 'x' }], [{ role: 'user', content: [{ type: 'text', text: 'taxation' }] }]],
  n: [undefined, 2, 3], temperature: [0, 0.5, 1], top_p: [0.5, 0.6, undefined], max_tokens: [undefined, 1, 2], max_completion_tokens: [undefined, 1, 2], stop: [undefined, 'a', 'b', ['a'], ['a', 'b'], ['b', 'a']],
  seed: [1, 2, undefined], frequency_penalty: [undefined, 0.1, -0.1], presence_penalty: [undefined, 0.1, -0.1], logprobs: [undefined, true, false], top_logprobs: [undefined, 1, 2],
  tools: [undefined, [{ type: 'function', function: { name: 'a' } }], [{ type: 'function', function: { name: 'b' } }], []], user: [undefined, 'x', 'y'], safety_identifier: [undefined, 'x', 'y'],
}

t.test('changing any member of the request\'s schema misses, save for how the answer is carried', async (t) => {
  t.same(Object.keys(VALUES).toSorted(), Object.keys(chatRequest.shape).filter((name) => !CARRIED.includes(name)).toSorted(), 'every member of the schema has its values')
  const keyOf = (change: object): string => cacheKey(expertRequest(parseChatRequest({ model: 'progressive', ...request, ...change }, { messages: 10, choices: 8 })), scope)
  const keys = new Set([keyOf({})])
  let values = 1
  for (const [name, [, ...others]] of Object.entries(VALUES)) {
    for (const value of others) {
      keys.add(keyOf({ [name]: value }))
      t.equal(keys.size, ++values, `${name}: ${JSON.stringify(value)}`)
    }
  }
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
  const seen = (one: object, header?: string) => { const { read, store, refused } = cacheWish(one, header); return `${read}/${store} ${refused ?? ''}`.trim() }
  t.equal(seen({}), 'false/false bypass')
  t.equal(seen({ temperature: 0.7 }), 'false/false bypass')
  t.equal(seen({ temperature: 0 }), 'true/true')
  t.equal(seen({ seed: 7 }), 'true/true')
  t.equal(seen({ seed: null, temperature: null }), 'false/false bypass')
  t.equal(seen({}, 'max-age=60'), 'true/true')
  t.equal(seen({}, 'max-age=0'), 'false/false bypass')
  t.equal(seen({}, 'max-age=soon'), 'false/false bypass')
  t.equal(seen({ seed: 7 }, 'max-age=0'), 'false/false request')
  t.equal(seen({ seed: 7 }, 'no-cache'), 'false/true request')
  t.equal(seen({ seed: 7 }, 'no-store'), 'false/false bypass')
  t.equal(seen({ seed: 7 }, 'No-Store, max-age=9'), 'false/false bypass')
  t.equal(cacheWish({}, 'only-if-cached').onlyIfCached, true)
})

t.test('a kept answer is as young, and good for as long, as the request wants', async (t) => {
  const now = 1_000_000
  const kept = { completion: {}, source: 's', tags: [], stored: now - 40_000, ttlSeconds: 100 }
  t.equal(remaining(kept, now), 60)
  const usable = (header: string) => isUsable(kept, cacheWish({ seed: 1 }, header), now)
  t.equal(usable(''), true)
  t.equal(usable('max-age=40'), true)
  t.equal(usable('max-age=39'), false)
  t.equal(usable('min-fresh=60'), true)
  t.equal(usable('min-fresh=61'), false)
  t.equal(usable('max-stale=1000, max-age=39'), false, 'nothing stale is given, asked or not')
})
