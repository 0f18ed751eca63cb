/**
 * `node bench/cache.ts [redis://…]`: what the cache costs one request: its key, a hit, a miss that is then called and kept; in memory and, where a
 * Redis is named, over it. CPU time is this process's own; that of Redis stands beside it.
 */
import type { Cache, Claims } from '../src/cache/cache.ts'
import { cacheKey, tagsOf, type CacheScope } from '../src/cache/key.ts'
import { memoryCache } from '../src/cache/memory.ts'
import { redisCache } from '../src/cache/redis.ts'
import { makeFlights } from '../src/cache/single-flight.ts'
import { openRedis, type Redis } from '../src/redis.ts'
import { fixed, table, type Cell } from './table.ts'

const SCOPE: CacheScope = { tenant: 't_000000000001', perspectives: ['progressive'], mode: 'steerable', weights: { progressive: 1 }, experts: [{ model: 'm', adapter: 'p-2026.11.1', adapterSha256: 'ab'.repeat(32) }] }
const request = (at: number) => ({ messages: [{ role: 'system', content: 'Answer in three sentences.' }, { role: 'user', content: `What is your opinion on taxation? ${at}` }], temperature: 0, max_tokens: 200 })
/** About 1.5 KB, a usual answer. */
const COMPLETION = { choices: [{ index: 0, message: { role: 'assistant', content: 'A sentence of an answer about taxation. '.repeat(32), refusal: null }, logprobs: null, finish_reason: 'stop' }], usage: { prompt_tokens: 40, completion_tokens: 250, total_tokens: 290 } }
const never = new AbortController().signal

async function redisCpu (redis: Redis): Promise<number> {
  const info = await redis.info('cpu')
  return ['user', 'sys'].reduce((sum, kind) => sum + Number(new RegExp(`^used_cpu_${kind}:([\\d.]+)`, 'm').exec(info)?.[1] ?? NaN), 0) * 1e6
}

async function measure (name: string, requests: number, atOnce: number, work: (at: number) => unknown, redis?: Redis): Promise<Cell[]> {
  let next = 0
  async function rounds (count: number): Promise<number[]> {
    const times: number[] = []
    const end = next + count
    await Promise.all(Array.from({ length: atOnce }, async () => {
      while (next < end) {
        const started = performance.now()
        await work(next++)
        times.push(performance.now() - started)
      }
    }))
    return times.sort((a, b) => a - b)
  }
  await rounds(requests / 5)
  const [cpu, theirs] = [process.cpuUsage(), redis ? await redisCpu(redis) : NaN]
  const times = await rounds(requests)
  const { user, system } = process.cpuUsage(cpu)
  const quantile = (part: number): number => times[Math.floor(times.length * part)]! * 1000
  return [name, atOnce, fixed((user + system) / requests, 1), fixed((redis ? await redisCpu(redis) - theirs : NaN) / requests, 1), fixed(quantile(0.5), 1), fixed(quantile(0.99), 1)]
}

async function rowsOf (name: string, cache: Cache, claims: Claims | undefined, requests: number, atOnce: number, redis?: Redis): Promise<Cell[][]> {
  const flights = makeFlights(cache, claims)
  const tags = tagsOf(SCOPE)
  const hot = cacheKey(request(-1), SCOPE)
  await cache.set(hot, { completion: COMPLETION, source: 'hot', stored: Date.now(), tags }, 600)
  return [
    await measure(`${name}: hit`, requests, atOnce, async () => { if (!await cache.get(hot)) throw new Error('not a hit') }, redis),
    await measure(`${name}: miss, call, keep`, requests / 4, atOnce, async (at) => {
      const key = cacheKey(request(at), SCOPE)
      await cache.get(key)
      const flown = await flights.whole({ key, tags, ttlSeconds: 600 }, async () => COMPLETION, never)
      if ('keep' in flown) flown.keep(`${name}-${at}-${atOnce}`)
    }, redis),
  ]
}

const rows: Cell[][] = [await measure('key', 200_000, 1, (at) => cacheKey(request(at), SCOPE))]
rows.push(...await rowsOf('memory', memoryCache(64 * 1024 * 1024), undefined, 200_000, 1))
const [url] = process.argv.slice(2)
if (url) {
  const redis = await openRedis({ url, name: 'bench', commandMs: 10_000 })
  // patient: on a busy machine the usual wait would make misses of what is to be measured
  const cache = redisCache({ redis, namespace: 'bench', waitMs: 10_000 })
  while (!cache.up()) await new Promise((resolve) => setTimeout(resolve, 5))
  for (const atOnce of [1, 32]) rows.push(...await rowsOf('Redis', cache, cache.claims, 20_000, atOnce, redis))
  await cache.close()
  redis.disconnect()
}
console.log(table(['cache', 'at once', 'CPU µs', 'Redis CPU µs', 'p50 µs', 'p99 µs'], rows))
