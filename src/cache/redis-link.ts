/**
 * Redis for a room that can do without: what is not answered within a moment is done without, and while Redis is known not to answer it is not asked.
 * Knows nothing of what is kept there.
 */
import type { Redis } from '../redis.ts'

/** What one request may wait for one reply. Redis on the same network answers within one. */
export const WAIT_MS = 75

/** While it is in doubt it is asked so often whether it is there, by nobody's request. */
const PROBE_MS = 100

/** How long a Redis that is slow, not gone, is waited for by what costs more to do without. It is one that hangs after that. */
export const PATIENCE_MS = 500
const AGAIN_MS = 1000

export interface RedisLink {
  /** Undefined, never an error: Redis is down, slow, or refused the command. `life` names this run of the server: what an earlier one left on its disk is not to be served. */
  ask<T> (command: (redis: Redis, life: string) => Promise<T>, waitMs?: number): Promise<T | undefined>
  /** The same for what costs more to do without than to wait for: also while Redis owes a reply, until it has owed it for PATIENCE_MS. */
  insist<T> (command: (redis: Redis, life: string) => Promise<T>): Promise<T | undefined>
  /** Whether it is worth insisting: Redis answers, or has not owed a reply for so long yet. */
  patient (): boolean
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
  /** Comes back by itself, sends nothing twice and keeps nothing for later; closed by whoever opened it. */
  readonly redis: Redis
  /** Scripts by name: they become commands of the client. */
  readonly scripts: Readonly<Record<string, { readonly lua: string, readonly numberOfKeys?: number }>>
  readonly waitMs?: number | undefined
}

export function redisLink ({ redis, scripts, waitMs: usual = WAIT_MS }: LinkOptions): RedisLink {
  let life: string | undefined
  let suspect = false
  /** Since when it owes a reply, while it is in doubt. */
  let doubted = 0
  let errors = 0
  let closed = false
  const waiting = new Set<() => void>()

  for (const [name, script] of Object.entries(scripts)) redis.defineCommand(name, script)
  const lost = (): void => { life = undefined }
  const found = (): void => { void begin() }
  redis.on('close', lost)
  redis.on('ready', found)
  if (redis.status === 'ready') found()

  /** The connection stands: which run of the server is it? Without an answer it is not used, and asked again. */
  async function begin (): Promise<void> {
    const run = /^run_id:(\w+)/m.exec(await redis.info('server').catch(() => ''))?.[1]
    if (closed || redis.status !== 'ready') return
    if (run === undefined) {
      errors++
      setTimeout(found, AGAIN_MS).unref()
      return
    }
    life = run
    trust()
  }

  /** It owes a reply, or failed: nobody is to wait for it before it has answered something. */
  function doubt (asked: number): void {
    errors++
    if (suspect) return
    suspect = true
    doubted = asked
    probe()
  }

  function trust (): void {
    suspect = false
    for (const wake of waiting) wake()
  }

  function probe (): void {
    setTimeout(() => {
      // another connection begins anew
      if (closed || !suspect || life === undefined) return
      redis.ping().then(trust, probe)
    }, PROBE_MS).unref()
  }

  const up = (): boolean => life !== undefined && !suspect

  const patience = (): number => life === undefined ? 0 : suspect ? PATIENCE_MS - (performance.now() - doubted) : PATIENCE_MS

  function ask<T> (command: (redis: Redis, life: string) => Promise<T>, now: string, waitMs: number): Promise<T | undefined> {
    return new Promise((resolve) => {
      let owed = true
      const asked = performance.now()
      const timer = setTimeout(() => {
        // where it was this process that had no time, the reply is there by now: it is read first
        setImmediate(() => {
          if (!owed) return
          doubt(asked)
          resolve(undefined)
        })
      }, waitMs)
      command(redis, now).then((reply) => {
        owed = false
        clearTimeout(timer)
        if (suspect) trust()
        resolve(reply)
      }, (error: Error) => {
        owed = false
        clearTimeout(timer)
        // a refusal is an answer
        if (error.name === 'ReplyError') errors++
        else doubt(asked)
        resolve(undefined)
      })
    })
  }

  return {
    up,
    errors: () => errors,
    spoilt () { errors++ },
    closed: () => closed,
    ask: (command, waitMs = usual) => up() ? ask(command, life!, waitMs) : Promise.resolve(undefined),
    insist: (command) => patience() > 0 ? ask(command, life!, Math.max(usual, patience())) : Promise.resolve(undefined),
    patient: () => patience() > 0,
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
      redis.off('close', lost)
      redis.off('ready', found)
      life = undefined
    },
  }
}
