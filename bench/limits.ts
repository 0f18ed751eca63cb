/**
 * `node bench/limits.ts [redis://…]`: what admitting and settling one request costs, in memory and, where a Redis is named, over it.
 * CPU time is this process's own; that of Redis stands beside it.
 */
import { memoryLimits } from '../src/limits/memory.ts'
import type { Limits, Quota } from '../src/limits/limits.ts'
import { redisLimits } from '../src/limits/redis.ts'
import { openRedis, type Redis } from '../src/redis.ts'
import { fixed, table, type Cell } from './table.ts'

const LARGE = 1e12
const QUOTAS: [string, Quota][] = [
  ['none', { requestsPerMinute: null, tokensPerMinute: null, streams: null, tokensPerDay: null }],
  ['requests, tokens a minute', { requestsPerMinute: LARGE, tokensPerMinute: LARGE, streams: null, tokensPerDay: null }],
  ['all four', { requestsPerMinute: LARGE, tokensPerMinute: LARGE, streams: LARGE, tokensPerDay: LARGE }],
]
const MEMORY_REQUESTS = 300_000
const REDIS_REQUESTS = 20_000

async function rounds (limits: Limits, quota: Quota, requests: number, atOnce: number): Promise<number[]> {
  const times: number[] = []
  let left = requests
  await Promise.all(Array.from({ length: atOnce }, async () => {
    while (left-- > 0) {
      const started = performance.now()
      const admission = await limits.admit({ key: 'k_000000000001', quota, tokens: 1200, stream: true })
      await admission.settle(300)
      times.push(performance.now() - started)
    }
  }))
  return times.sort((a, b) => a - b)
}

async function redisCpu (redis: Redis): Promise<number> {
  const info = await redis.info('cpu')
  return ['user', 'sys'].reduce((sum, kind) => sum + Number(new RegExp(`^used_cpu_${kind}:([\\d.]+)`, 'm').exec(info)?.[1] ?? NaN), 0) * 1e6
}

async function measure (name: string, limits: Limits, quota: Quota, requests: number, atOnce: number, redis?: Redis): Promise<Cell[]> {
  await rounds(limits, quota, requests / 5, atOnce)
  const [cpu, theirs] = [process.cpuUsage(), redis ? await redisCpu(redis) : NaN]
  const started = performance.now()
  const times = await rounds(limits, quota, requests, atOnce)
  const seconds = (performance.now() - started) / 1000
  const { user, system } = process.cpuUsage(cpu)
  const quantile = (part: number): number => times[Math.floor(times.length * part)]! * 1000
  return [name, atOnce, fixed((user + system) / requests, 1), fixed((redis ? await redisCpu(redis) - theirs : NaN) / requests, 1), fixed(quantile(0.5), 1), fixed(quantile(0.99), 1), Math.round(requests / seconds).toLocaleString('en')]
}

const rows: Cell[][] = []
for (const [name, quota] of QUOTAS) rows.push(await measure(`memory, ${name}`, memoryLimits(), quota, MEMORY_REQUESTS, 1))
const [url] = process.argv.slice(2)
if (url) {
  const redis = await openRedis({ url, name: 'bench' })
  const limits = redisLimits({ redis, namespace: 'bench' })
  for (const [name, quota] of QUOTAS.slice(1)) for (const atOnce of [1, 32]) rows.push(await measure(`Redis, ${name}`, limits, quota, REDIS_REQUESTS, atOnce, redis))
  await limits.close()
  redis.disconnect()
}
console.log(table(['limits', 'at once', 'CPU µs', 'Redis CPU µs', 'p50 µs', 'p99 µs', 'requests/s'], rows))
