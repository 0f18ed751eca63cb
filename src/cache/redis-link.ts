/**
 * A connection to Redis that nobody waits for: what it does not answer within a moment is done without, and while it is known not to answer it is not asked.
 * It comes back by itself. Knows nothing of what is kept there.
 */
import { Redis } from 'ioredis'

/** What one request may wait for one reply. Redis on the same network answers within one. */
export const WAIT_MS = 75

/** A connection that owes a reply for so long is given up; the next is not used before Redis answers on it. */
const HUNG_MS = 500
const RECONNECT_MS = 1000

export interface RedisLink {
  /** Undefined, never an error: Redis is down, slow, or refused the command. `life` names this run of the server: what an earlier one left on its disk is not to be served. */
  ask<T> (command: (redis: Redis, life: string) => Promise<T>, waitMs?: number): Promise<T | undefined>
  /** Resolves when Redis can be asked again, or after `ms`. */
  back (ms: number): Promise<void>
  up (): boolean
  /** Commands that failed or were not waited for. */
  errors (): number
  /** For what a reply turned out to be worth. */
  spoilt (): void
  closed (): boolean
  close (): Promise<void>
}

export interface LinkOptions {
  readonly url: string
  /** Scripts by name: they become commands of the client. */
  readonly scripts: Readonly<Record<string, { readonly lua: string, readonly numberOfKeys?: number }>>
  /** Told when Redis is lost or found, once each; never told the address's password. */
  readonly onChange?: ((up: boolean, reason: string) => void) | undefined
  readonly waitMs?: number | undefined
}

export function redisLink ({ url, scripts, onChange = () => {}, waitMs: usual = WAIT_MS }: LinkOptions): RedisLink {
  let life: string | undefined
  let suspect = false
  let errors = 0
  let closed = false
  let told: boolean | undefined
  let reason = 'not connected yet'
  const waiting = new Set<() => void>()

  const redis = new Redis(url, {
    scripts: { ...scripts },
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: RECONNECT_MS,
    socketTimeout: HUNG_MS,
    maxLoadingRetryTime: RECONNECT_MS,
    retryStrategy: (times) => Math.min(RECONNECT_MS, 25 * 2 ** Math.min(times, 10)),
  })
  redis.on('error', (error: Error) => { reason = error.message })
  redis.on('close', () => { lost() })
  redis.on('ready', () => { void begin() })

  /** The connection stands: which run of the server is it? */
  async function begin (): Promise<void> {
    try {
      const run = /^run_id:(\w+)/m.exec(await redis.info('server'))?.[1]
      if (run === undefined) throw new Error('Redis does not say its run_id (INFO server)')
      if (redis.status !== 'ready') return
      life = run
      suspect = false
      tell(true, 'connected')
      for (const wake of waiting) wake()
    } catch (error) {
      reason = (error as Error).message
      redis.disconnect(true)
    }
  }

  function lost (): void {
    life = undefined
    if (!closed) tell(false, reason)
  }

  function tell (up: boolean, why: string): void {
    if (told === up) return
    told = up
    onChange(up, why)
  }

  const up = (): boolean => life !== undefined && !suspect

  return {
    up,
    errors: () => errors,
    spoilt () { errors++ },
    closed: () => closed,
    ask (command, waitMs = usual) {
      const now = life
      if (now === undefined || suspect) return Promise.resolve(undefined)
      return new Promise((resolve) => {
        const timer = setTimeout(() => {
          errors++
          // the reply that is owed clears it, or the connection is given up: nobody else waits meanwhile
          suspect = true
          resolve(undefined)
        }, waitMs)
        command(redis, now).then((reply) => {
          clearTimeout(timer)
          suspect = false
          resolve(reply)
        }, (error: Error) => {
          clearTimeout(timer)
          errors++
          reason = error.message
          // it answered, if only to refuse
          if (error.name === 'ReplyError') suspect = false
          resolve(undefined)
        })
      })
    },
    back (ms) {
      if (up()) return Promise.resolve()
      return new Promise((resolve) => {
        const wake = (): void => {
          clearTimeout(timer)
          waiting.delete(wake)
          resolve()
        }
        const timer = setTimeout(wake, ms)
        waiting.add(wake)
      })
    },
    async close () {
      closed = true
      for (const wake of waiting) wake()
      redis.disconnect()
    },
  }
}
