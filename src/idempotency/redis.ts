/** The Idempotency-Keys of all replicas that share a Redis. A key's place names the record of its answer, the record's place holds it: to empty the latter is to forget it. */
import { hash, randomUUID } from 'node:crypto'
import type { Redis } from '../redis.ts'
import { seal, unseal } from '../sealed.ts'
import { GUARD_MS, REPLY_BYTES, type Idempotency, type KeptReply } from './idempotency.ts'
import { conflict, inFlight, unavailable, unforgotten } from './refusal.ts'
import { markOf, placeOf, sealingKey } from './place.ts'

export interface RedisIdempotencyOptions {
  readonly redis: Redis
  /** The log's name: gateways with logs of their own may share a Redis and see nothing of each other. */
  readonly namespace: string
  readonly ttlMs: number
  /** A claim is free after this long without word from its replica. Renewed three times as often. */
  readonly leaseMs?: number
  /** Whether the log has erased the transcript of a record: a Redis that was set back to an older copy may still hold its answer. */
  readonly erased?: (record: string) => Promise<boolean>
}

/** Of this layout: another version finds nothing of this one's. */
const VERSION = 1
const LEASE_MS = 30_000
const FORGET_AT_ONCE = 500

const SCRIPTS = {
  // KEYS: place. ARGV: mark, token, lease, where replies are. An answer that is gone makes the key new again
  idempotencyClaim: {
    numberOfKeys: 1,
    lua: `local kept = redis.call('HMGET', KEYS[1], 'mark', 'record')
if kept[1] then
  local reply = kept[2] and redis.call('GET', ARGV[4] .. kept[2])
  if not kept[2] or (reply and reply ~= '') then
    if kept[1] ~= ARGV[1] then return { 'conflict' } end
    if not kept[2] then return { 'in_flight' } end
    return { 'replay', reply, kept[2] }
  end
  redis.call('DEL', KEYS[1])
end
redis.call('HSET', KEYS[1], 'mark', ARGV[1], 'token', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return { 'new' }`,
  },
  // KEYS: place, reply. ARGV: token, record, sealed, ttl. The reply first: where memory has run out nothing else is done
  idempotencyKeep: {
    numberOfKeys: 2,
    lua: `if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
if redis.call('EXISTS', KEYS[2]) == 1 then
  redis.call('DEL', KEYS[1])
  return 0
end
redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
redis.call('HSET', KEYS[1], 'record', ARGV[2])
redis.call('HDEL', KEYS[1], 'token')
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1`,
  },
  idempotencyRenew: { numberOfKeys: 1, lua: 'if redis.call(\'HGET\', KEYS[1], \'token\') ~= ARGV[1] then return 0 end return redis.call(\'PEXPIRE\', KEYS[1], ARGV[2])' },
  idempotencyRelease: { numberOfKeys: 1, lua: 'if redis.call(\'HGET\', KEYS[1], \'token\') ~= ARGV[1] then return 0 end return redis.call(\'DEL\', KEYS[1])' },
  // deleted first: that is allowed also where memory has run out. What is left there keeps an answer that is under way from being kept
  idempotencyForget: { lua: 'for at = 1, #KEYS do redis.call(\'DEL\', KEYS[at]) redis.pcall(\'SET\', KEYS[at], \'\', \'PX\', ARGV[1]) end' },
} as const

type Scripted = Redis & {
  idempotencyClaimBuffer (place: string, mark: string, token: string, leaseMs: number, replies: string): Promise<Buffer[]>
  idempotencyKeep (place: string, reply: string, token: string, record: string, sealed: Buffer, ttlMs: number): Promise<number>
  idempotencyRenew (place: string, token: string, leaseMs: number): Promise<number>
  idempotencyRelease (place: string, token: string): Promise<number>
  idempotencyForget (count: number, ...rest: (string | number)[]): Promise<unknown>
}

export function redisIdempotency ({ redis: client, namespace, ttlMs, leaseMs = LEASE_MS, erased = async () => false }: RedisIdempotencyOptions): Idempotency {
  for (const [name, script] of Object.entries(SCRIPTS)) client.defineCommand(name, script)
  const redis = client as Scripted
  const scope = `parallax:idempotency:${VERSION}:${hash('sha256', namespace).slice(0, 16)}`
  const replyOf = (record: string): string => `${scope}:reply:${record}`
  const counts = { new: 0, replayed: 0, conflict: 0, in_flight: 0, unavailable: 0, unkept: 0 }
  /** Being answered here: token -> place. */
  const claims = new Map<string, string>()

  const timer = setInterval(() => {
    // one that fails is tried again before the lease has ended
    for (const [token, place] of claims) redis.idempotencyRenew(place, token, leaseMs).catch(() => {})
  }, leaseMs / 3)
  timer.unref()

  async function surely<T> (command: () => Promise<T>): Promise<T> {
    try { return await command() } catch (cause) {
      counts.unavailable++
      throw unavailable(cause)
    }
  }

  async function forget (records: readonly string[]): Promise<void> {
    for (let at = 0; at < records.length; at += FORGET_AT_ONCE) {
      const some = records.slice(at, at + FORGET_AT_ONCE).map(replyOf)
      await redis.idempotencyForget(some.length, ...some, GUARD_MS)
    }
  }

  return {
    counts,
    async claim (tenant, key, fingerprint) {
      const place = `${scope}:place:${placeOf(tenant, key)}`
      const sealing = sealingKey(tenant, key, fingerprint)
      const token = randomUUID()
      const ask = (): Promise<Buffer[]> => surely(() => redis.idempotencyClaimBuffer(place, markOf(tenant, key, fingerprint), token, leaseMs, replyOf('')).catch((error: unknown) => {
        // it may have been granted all the same, and nobody would use it
        redis.idempotencyRelease(place, token).catch(() => {})
        throw error
      }))
      let [outcome, sealed, record] = await ask()
      if (sealed && record && await surely(() => erased(record!.toString()))) {
        await surely(() => forget([record!.toString()]))
        ;[outcome, sealed, record] = await ask()
      }
      switch (outcome!.toString()) {
        case 'conflict': counts.conflict++; throw conflict()
        case 'in_flight': counts.in_flight++; throw inFlight()
        case 'replay': {
          const text = unseal(sealing, sealed!)
          if (text === undefined) {
            counts.unavailable++
            throw unavailable(new Error('The kept answer is not as it was written.'))
          }
          counts.replayed++
          return { kind: 'replay', reply: JSON.parse(text) as KeptReply }
        }
      }
      counts.new++
      claims.set(token, place)
      const release = async (): Promise<void> => {
        if (claims.delete(token)) await redis.idempotencyRelease(place, token).catch(() => {})
      }
      return {
        kind: 'new',
        async keep (reply) {
          if (!claims.delete(token)) return false
          const text = JSON.stringify(reply)
          const kept = reply.body.length <= REPLY_BYTES && await redis.idempotencyKeep(place, replyOf(reply.record), token, reply.record, seal(sealing, text), ttlMs).catch(() => 0) === 1
          if (kept) return true
          counts.unkept++
          await redis.idempotencyRelease(place, token).catch(() => {})
          return false
        },
        release,
      }
    },
    forget: (records) => forget([...records]).catch((cause: unknown) => { throw unforgotten(cause) }),
    async close () {
      clearInterval(timer)
      await Promise.all([...claims].map(([token, place]) => redis.idempotencyRelease(place, token).catch(() => {})))
    },
  }
}
