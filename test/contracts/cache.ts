/** The promise of src/cache/cache.ts, for every implementation. */
import type { Test } from 'tap'
import type { Cache, CachedAnswer, KeptAnswer } from '../../src/cache/cache.ts'
import { cacheKey, perspectiveTag, tagsOf, type CacheScope } from '../../src/cache/key.ts'

export interface CacheUnderTest {
  /** Another replica's view of the same cache; in one process the same one. */
  readonly caches: readonly [Cache, Cache]
  /** Lets this many seconds pass, as far as the cache can tell. */
  readonly pass: (seconds: number) => Promise<void> | void
}

let sources = 0

export const answer = (content: string, tags: readonly string[] = [], source = `source-${++sources}`): CachedAnswer =>
  ({ completion: { choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }], usage: { total_tokens: 3 } }, source, stored: 1_700_000_000_000, tags })

/** What was kept is what comes back, and for how long it was kept. */
export function same (t: Test, got: KeptAnswer | undefined, kept: CachedAnswer): void {
  const { ttlSeconds, ...rest } = got ?? {}
  t.same(rest, kept)
  t.type(ttlSeconds, 'number')
}

/** Keys are SHA-256, as key.ts makes them. */
export const keyOf = (name: string, change: Partial<CacheScope> = {}): string =>
  cacheKey({ messages: [{ role: 'user', content: name }] }, { tenant: 't', perspectives: ['progressive'], mode: 'steerable', weights: { progressive: 1 }, experts: [], ...change })

export function cacheContract (t: Test, make: (t: Test) => Promise<CacheUnderTest>): void {
  t.test('an answer is given back as it was, to every replica, also after a reader changed its copy', async (t) => {
    const { caches: [one, other] } = await make(t)
    const kept = answer('first – erste – 第一 \u2028 \0')
    t.equal(await one.get(keyOf('k')), undefined)
    t.equal(await one.set(keyOf('k'), kept, 60), true)
    const got = await one.get(keyOf('k'))
    same(t, got, kept)
    ;(got!.completion['choices'] as object[]).length = 0
    same(t, await other.get(keyOf('k')), kept)
    t.equal(await other.get(keyOf('other')), undefined)
    t.equal(one.counts().kept, 1)
    t.equal(one.up(), true)
  })

  t.test('a later answer takes the place of an earlier one, and is the only one', async (t) => {
    const { caches: [one, other] } = await make(t)
    await one.set(keyOf('k'), answer('first'), 60)
    const second = answer('second')
    await other.set(keyOf('k'), second, 60)
    same(t, await one.get(keyOf('k')), second)
  })

  t.test('an entry past its time to live is gone', async (t) => {
    const { caches: [one], pass } = await make(t)
    await one.set(keyOf('short'), answer('a'), 1)
    await one.set(keyOf('long'), answer('b'), 60)
    t.ok(await one.get(keyOf('short')))
    await pass(1.1)
    t.equal(await one.get(keyOf('short')), undefined)
    t.ok(await one.get(keyOf('long')))
  })

  t.test('an answer that is too large is not kept, and one that was under its key stays or goes, but is never mixed with it', async (t) => {
    const { caches: [one] } = await make(t)
    const small = answer('small')
    await one.set(keyOf('k'), small, 60)
    t.equal(await one.set(keyOf('k'), answer('x'.repeat(3_000_000)), 60), false)
    const left = await one.get(keyOf('k'))
    if (left) same(t, left, small)
    t.equal(await one.set(keyOf('huge'), answer('x'.repeat(3_000_000)), 60), false)
    t.equal(await one.get(keyOf('huge')), undefined)
  })

  t.test('another tenant, perspective or adapter with the same words gets nothing (bifrost 5769)', async (t) => {
    const { caches: [one, other] } = await make(t)
    await one.set(keyOf('taxation'), answer('for t'), 60)
    const expert = { model: 'm', adapter: 'a', adapterSha256: 'aa' }
    for (const change of [{ tenant: 't2' }, { perspectives: ['conservative'] }, { experts: [expert] }, { experts: [{ ...expert, adapterSha256: 'bb' }] }]) {
      t.equal(await other.get(keyOf('taxation', change)), undefined, JSON.stringify(change))
    }
  })

  t.test('what is forgotten is served by no replica, and everything else is', async (t) => {
    const { caches: [one, other] } = await make(t)
    const [gone, stays] = [answer('gone'), answer('stays')]
    await one.set(keyOf('gone'), gone, 60)
    await other.set(keyOf('stays'), stays, 60)
    t.ok(await other.get(keyOf('gone')))
    await other.forget(new Set([gone.source, 'never there']))
    for (const cache of [one, other]) {
      t.equal(await cache.get(keyOf('gone')), undefined)
      same(t, await cache.get(keyOf('stays')), stays)
    }
  })

  t.test('an answer that arrives after it was forgotten does not come back', async (t) => {
    const { caches: [one, other], pass } = await make(t)
    const late = answer('late')
    await one.forget(new Set([late.source]))
    t.equal(await other.set(keyOf('late'), late, 60), false)
    await pass(1.1)
    t.equal(await one.set(keyOf('late'), late, 60), false)
    for (const cache of [one, other]) t.equal(await cache.get(keyOf('late')), undefined)
    // its key is free for an answer of another record
    const fresh = answer('fresh')
    t.equal(await one.set(keyOf('late'), fresh, 60), true)
    same(t, await other.get(keyOf('late')), fresh)
  })

  t.test('a thousand sources are forgotten at once', async (t) => {
    const { caches: [one, other] } = await make(t)
    const all = Array.from({ length: 1000 }, (_, at) => answer(`a${at}`))
    for (const [at, one_] of all.entries()) await one.set(keyOf(`k${at}`), one_, 60)
    await other.forget(new Set(all.slice(0, 999).map(({ source }) => source)))
    t.equal(await one.get(keyOf('k0')), undefined)
    t.equal(await one.get(keyOf('k998')), undefined)
    same(t, await one.get(keyOf('k999')), all[999]!)
  })

  t.test('a source stands for one answer: under another key it takes the first one\'s place', async (t) => {
    const { caches: [one, other] } = await make(t)
    const [first, second] = [answer('first', [], 'same'), answer('second', [], 'same')]
    await one.set(keyOf('first'), first, 60)
    await one.set(keyOf('second'), second, 60)
    t.equal(await other.get(keyOf('first')), undefined)
    same(t, await other.get(keyOf('second')), second)
    await other.forget(new Set(['same']))
    t.equal(await one.get(keyOf('second')), undefined)
  })

  t.test('a release evicts what came from a perspective or an adapter, nothing else, and an old call\'s late answer is not kept', async (t) => {
    const { caches: [one, other] } = await make(t)
    const scope = (id: string, adapterSha256: string): CacheScope => ({ tenant: 't', perspectives: [id], mode: 'steerable', weights: { [id]: 1 }, experts: [{ model: 'm', adapter: 'a', adapterSha256 }] })
    const kept = { a: answer('a', tagsOf(scope('progressive', 'aa'))), a2: answer('a2', tagsOf(scope('progressive', 'a2'))), b: answer('b', tagsOf(scope('conservative', 'bb'))) }
    for (const [name, one_] of Object.entries(kept)) await one.set(keyOf(name), one_, 60)
    await other.evict('adapter:aa')
    t.equal(await one.get(keyOf('a')), undefined)
    same(t, await one.get(keyOf('a2')), kept.a2)
    t.equal(await one.set(keyOf('a'), answer('late', tagsOf(scope('progressive', 'aa'))), 60), false)
    t.equal(await one.get(keyOf('a')), undefined)
    await other.evict(perspectiveTag('progressive'))
    t.equal(await one.get(keyOf('a2')), undefined)
    same(t, await other.get(keyOf('b')), kept.b)
  })
}
