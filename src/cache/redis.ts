/**
 * The cache that replicas share. A key's place names the source of its answer, and the source's place holds the answer: to empty the latter is to
 * forget it, whatever else Redis may have evicted. Knows Redis and nothing of HTTP.
 */
import { hash } from 'node:crypto'
import { ParallaxError } from '../errors.ts'
import type { Redis } from '../redis.ts'
import type { Cache, Claims, KeptAnswer } from './cache.ts'
import { GUARD_MS } from './memory.ts'
import { CLAIM_SCRIPTS, redisClaims } from './redis-claims.ts'
import { redisLink } from './redis-link.ts'
import { placeOf, seal, unseal } from './sealed.ts'

/** Of this layout: another version finds nothing of this one's. */
const VERSION = 1
/** One answer, sealed. */
const ENTRY_BYTES = 1024 * 1024
/** What an eviction reads of an entry. */
const TAGS_BYTES = 4096
const FORGET_AT_ONCE = 500
const SCAN_AT_ONCE = 1000
/** A batch of an erasure, or of a scan. */
const BATCH_WAIT_MS = 2000
/** How long an erasure waits for a Redis that is down before it says so. */
const FORGET_WITHIN_MS = 5000
const RETRY_PAUSE_MS = 50

const SCRIPTS = {
  plxGet: {
    numberOfKeys: 1,
    lua: `local source = redis.call('GET', KEYS[1])
if not source then return false end
return redis.call('GET', ARGV[1] .. source)`,
  },
  // an empty answer is one that was forgotten
  plxSet: {
    numberOfKeys: 2,
    lua: `if redis.call('EXISTS', KEYS[2]) == 1 and redis.call('STRLEN', KEYS[2]) == 0 then return 0 end
for at = 4, #ARGV do if redis.call('EXISTS', ARGV[at]) == 1 then return 0 end end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return 1`,
  },
  // deleted first: that is allowed also where memory has run out, and makes room for the rest
  plxForget: { lua: 'for at = 1, #KEYS do redis.call(\'DEL\', KEYS[at]) redis.pcall(\'SET\', KEYS[at], \'\', \'PX\', ARGV[1]) end return #KEYS' },
  plxEvict: {
    lua: `local gone = 0
for at = 1, #KEYS do
  local head = redis.call('GETRANGE', KEYS[at], 0, ${TAGS_BYTES})
  local tags = string.match(head, '^(.-)\\n')
  if tags and string.find(tags, ARGV[1], 1, true) then gone = gone + redis.call('DEL', KEYS[at]) end
end
return gone`,
  },
  ...CLAIM_SCRIPTS,
} as const

/** What ioredis makes of them. */
type Scripted = Redis & {
  plxGetBuffer (key: string, values: string): Promise<unknown>
  plxSet (key: string, value: string, source: string, sealed: Buffer, ttlMs: number, ...guards: string[]): Promise<unknown>
  plxForget (count: number, ...rest: (string | number)[]): Promise<unknown>
  plxEvict (count: number, ...rest: string[]): Promise<unknown>
}

const scripted = (redis: Redis): Scripted => redis as Scripted

/** Names of this cache's keys in one run of the server. */
export interface Names { readonly key: (place: string) => string, readonly value: (source: string) => string, readonly guard: (tag: string) => string, readonly lock: (place: string) => string }

const tagLine = (tags: readonly string[]): string => `\t${tags.join('\t')}\t`

/** The answer in an entry, or undefined where it is none of this key's. */
export function readEntry (key: string, entry: Uint8Array): KeptAnswer | undefined {
  const end = entry.indexOf(10)
  const text = end < 0 ? undefined : unseal(key, entry.subarray(end + 1))
  // it opened, so it is what was written
  return text === undefined ? undefined : JSON.parse(text) as KeptAnswer
}

export interface RedisCacheOptions {
  readonly redis: Redis
  /** The log's name: gateways with a log of their own may share a Redis and see nothing of each other. */
  readonly namespace: string
  readonly waitMs?: number
  readonly forgetWithinMs?: number
  readonly leaseMs?: number
}

/** `claims` is for the flights over the same connection. */
export function redisCache ({ redis, namespace, waitMs, forgetWithinMs = FORGET_WITHIN_MS, leaseMs }: RedisCacheOptions): Cache & { readonly claims: Claims } {
  const link = redisLink({ redis, waitMs, scripts: SCRIPTS })
  const scope = `parallax:cache:${VERSION}:${hash('sha256', namespace).slice(0, 16)}`
  let names: (Names & { readonly life: string }) | undefined
  function named (life: string): Names {
    if (names?.life === life) return names
    const prefix = `${scope}:${life.slice(0, 16)}`
    const name = (kind: string) => (what: string): string => `${prefix}:${kind}:${what}`
    names = { life, key: name('key'), value: name('value'), guard: name('guard'), lock: name('lock') }
    return names
  }
  let kept = 0

  /** Until it is done; says so when that takes too long, and tries on. */
  async function surely (work: () => Promise<boolean>, what: string): Promise<void> {
    const done = (async () => {
      while (!await work()) {
        if (link.closed()) return false
        await new Promise((resolve) => { setTimeout(resolve, RETRY_PAUSE_MS) })
        await link.back(FORGET_WITHIN_MS)
      }
      return true
    })()
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<boolean>((resolve) => { timer = setTimeout(resolve, forgetWithinMs, false) })
    const finished = await Promise.race([done, late])
    clearTimeout(timer)
    if (!finished) throw new ParallaxError('cache_unavailable', `The shared cache cannot be reached, so it is not certain yet that ${what} are gone from it. This is tried until it can be, or until the gateway stops; what is left there runs out by its time to live.`, { retryAfter: 30 })
  }

  const cache: Cache = {
    async get (key) {
      const entry = await link.ask((client, life) => scripted(client).plxGetBuffer(named(life).key(placeOf(key)), named(life).value('')))
      if (!(entry instanceof Uint8Array) || entry.length === 0) return undefined
      const answer = readEntry(key, entry)
      if (!answer) link.spoilt()
      return answer
    },
    set (key, answer, ttlSeconds) {
      if (!link.patient()) return false
      const tags = tagLine(answer.tags)
      const text = JSON.stringify({ ...answer, ttlSeconds })
      if (text.length > ENTRY_BYTES || tags.length >= TAGS_BYTES) return false
      const sealed = Buffer.concat([Buffer.from(`${tags}\n`), seal(key, text)])
      // nobody's answer waits for it, and without it the next who asks would be a call
      return link.insist((client, life) => {
        const names = named(life)
        return scripted(client).plxSet(names.key(placeOf(key)), names.value(answer.source), answer.source, sealed, Math.max(1, Math.ceil(ttlSeconds * 1000)), ...answer.tags.map(names.guard))
      }).then((reply) => {
        if (reply === 1) kept++
        return reply === 1
      })
    },
    async forget (sources) {
      const all = [...sources]
      if (all.length === 0) return
      await surely(async () => {
        for (let at = 0; at < all.length; at += FORGET_AT_ONCE) {
          const some = all.slice(at, at + FORGET_AT_ONCE)
          if (await link.ask((client, life) => scripted(client).plxForget(some.length, ...some.map(named(life).value), GUARD_MS), BATCH_WAIT_MS) === undefined) return false
        }
        return true
      }, 'erased answers')
    },
    async evict (tag) {
      await surely(async () => {
        // where memory has run out this fails at first, and what is evicted makes room for it
        const guarded = await link.ask((client, life) => client.set(named(life).guard(tag), '1', 'PX', GUARD_MS), BATCH_WAIT_MS)
        let cursor = '0'
        do {
          const found = await link.ask((client, life) => client.scan(cursor, 'MATCH', named(life).value('*'), 'COUNT', SCAN_AT_ONCE), BATCH_WAIT_MS)
          if (!found) return false
          const [next, keys] = found
          if (keys.length > 0 && await link.ask((client) => scripted(client).plxEvict(keys.length, ...keys, tagLine([tag])), BATCH_WAIT_MS) === undefined) return false
          cursor = next
        } while (cursor !== '0')
        return guarded === 'OK'
      }, 'evicted answers')
    },
    counts: () => ({ kept, errors: link.errors() }),
    up: () => link.up(),
    close: () => link.close(),
  }
  return { ...cache, claims: redisClaims({ link, names: named, read: readEntry, leaseMs }) }
}
