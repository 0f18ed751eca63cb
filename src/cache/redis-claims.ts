/**
 * The right to call for a key, among replicas: a lock with a lease in Redis, renewed while the call runs; whoever does not get it waits for the answer.
 * A random token fences it: nobody renews or gives back another's. Without Redis everybody has the right.
 */
import { randomUUID } from 'node:crypto'
import type { Redis } from '../redis.ts'
import type { KeptAnswer, Claim, Claims } from './cache.ts'
import type { RedisLink } from './redis-link.ts'
import type { Names } from './redis.ts'
import { placeOf } from './sealed.ts'

/** A replica that died is waited for no longer. */
export const LEASE_MS = 5000
/** The pause between two looks, growing: an answer takes from milliseconds to minutes. */
const FIRST_PAUSE_MS = 10
const LONGEST_PAUSE_MS = 100
/** Whoever has waited for so many calls that left nothing behind calls for itself: failures would else be made one after the other. */
const CALLS_WAITED_FOR = 2

export const CLAIM_SCRIPTS = {
  plxClaim: {
    numberOfKeys: 2,
    lua: `local mine = redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])
local source = redis.call('GET', KEYS[2])
return { mine and ARGV[1] or redis.call('GET', KEYS[1]), source and redis.call('GET', ARGV[3] .. source) or false }`,
  },
  plxRenew: { numberOfKeys: 1, lua: 'if redis.call(\'GET\', KEYS[1]) ~= ARGV[1] then return 0 end return redis.call(\'PEXPIRE\', KEYS[1], ARGV[2])' },
  plxRelease: { numberOfKeys: 1, lua: 'if redis.call(\'GET\', KEYS[1]) ~= ARGV[1] then return 0 end return redis.call(\'DEL\', KEYS[1])' },
} as const

type Scripted = Redis & {
  plxClaimBuffer (lock: string, key: string, token: string, leaseMs: number, values: string): Promise<unknown>
  plxRenew (lock: string, token: string, leaseMs: number): Promise<unknown>
  plxRelease (lock: string, token: string): Promise<unknown>
}

export interface ClaimRooms {
  readonly link: RedisLink
  readonly names: (life: string) => Names
  /** The answer in an entry, where it is this key's. */
  readonly read: (key: string, entry: Uint8Array) => KeptAnswer | undefined
  readonly leaseMs?: number | undefined
}

export function redisClaims ({ link, names, read, leaseMs = LEASE_MS }: ClaimRooms): Claims {
  // a call of the expert's costs more than the longest wait for a Redis that is slow
  const ask = <T>(command: (redis: Scripted, named: Names) => Promise<T>): Promise<T | undefined> => link.insist((redis, life) => command(redis as Scripted, names(life)))

  /** Renewed until it is given back, or somebody else's. */
  function held (place: string, token: string): Claim {
    const timer = setInterval(() => {
      void ask((redis, named) => redis.plxRenew(named.lock(place), token, leaseMs)).then((reply) => { if (reply === 0) clearInterval(timer) })
    }, leaseMs / 3)
    timer.unref()
    return { release () { clearInterval(timer); release(place, token) } }
  }

  function release (place: string, token: string): void { void ask((redis, named) => redis.plxRelease(named.lock(place), token)) }

  return {
    async claim (key, usable, signal) {
      const place = placeOf(key)
      const token = randomUUID()
      const holders = new Set<string>()
      for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(LONGEST_PAUSE_MS, pause * 1.5)) {
        signal.throwIfAborted()
        const reply = await ask((redis, named) => redis.plxClaimBuffer(named.lock(place), named.key(place), token, leaseMs, named.value('')))
        // not answered, perhaps done all the same: then others would wait for a call that nobody makes
        if (!Array.isArray(reply)) return { release: () => { release(place, token) } }
        const [holder, entry] = reply as unknown[]
        const mine = String(holder) === token
        const cached = entry instanceof Uint8Array && entry.length > 0 ? read(key, entry) : undefined
        if (cached && usable(cached)) {
          if (mine) release(place, token)
          return { cached, waited: holders.size > 0 }
        }
        if (mine) {
          if (!signal.aborted) return held(place, token)
          release(place, token)
        } else if (holders.add(String(holder)).size > CALLS_WAITED_FOR) return { release: () => {} }
        await pauseFor(pause, signal)
      }
    },
  }
}

function pauseFor (ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      clearTimeout(timer)
      reject(signal.reason as Error)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', leave)
      resolve()
    }, ms)
    signal.addEventListener('abort', leave, { once: true })
    if (signal.aborted) leave()
  })
}
