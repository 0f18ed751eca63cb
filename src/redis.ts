/**
 * A connection to the Redis that replicas share, for rooms that must know rather than guess: a command is answered or refused within a bound,
 * nothing is sent twice or kept for later, and the connection comes back by itself. Knows nothing of what is kept there.
 */
import { Redis } from 'ioredis'

export type { Redis } from 'ioredis'

export interface RedisConnection {
  readonly url: string
  /** What it is for: shown in Redis's own list of clients, and to `onState`. */
  readonly name: string
  /** How long a command may take. */
  readonly commandMs?: number
  /** Told when it is lost, with the reason, and when it is back (null). */
  readonly onState?: (name: string, reason: string | null) => void
}

const COMMAND_MS = 500
const CONNECT_MS = 2000
const LONGEST_PAUSE_MS = 1000

/** Waits for the first connection no longer than a connection may take: a Redis that is down is no reason not to start. */
export async function openRedis ({ url, name, commandMs = COMMAND_MS, onState = () => {} }: RedisConnection): Promise<Redis> {
  const redis = new Redis(url, {
    connectionName: `parallax-${name}`,
    lazyConnect: true,
    connectTimeout: CONNECT_MS,
    commandTimeout: commandMs,
    // one that hangs is given up: what was sent to it would run, late and for nobody, when it goes on
    socketTimeout: 2 * commandMs,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (times) => Math.min(LONGEST_PAUSE_MS, 50 * times),
  })
  let up: boolean | undefined
  let last = 'The connection was closed.'
  redis.on('error', (error: Error) => { last = error.message })
  redis.on('ready', () => {
    if (up === false) onState(name, null)
    up = true
  })
  redis.on('close', () => {
    if (up !== false && redis.status !== 'end') onState(name, last)
    up = false
  })
  let timer: NodeJS.Timeout | undefined
  await Promise.race([
    redis.connect().catch(() => {}),
    new Promise((resolve) => { timer = setTimeout(resolve, CONNECT_MS) }),
  ])
  clearTimeout(timer)
  return redis
}
