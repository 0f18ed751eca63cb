/**
 * Draws by epochs: each has a secret, committed to in the log before its first draw and revealed there after its end.
 * Knows the log's interface and an EpochStore; how a value is made of a secret is router/draw's.
 */
import { hash, randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { AuditLog } from '../audit/log.ts'
import { ParallaxError } from '../errors.ts'
import { newId } from '../ids.ts'
import { drawValue, pick, stickyHash } from '../router/draw.ts'
import type { Draws } from './draws.ts'

export interface Epoch {
  /** The second at which it began: grows, and is nobody else's even after a store was lost. */
  readonly epoch: number
  readonly secret: Uint8Array
  /** Milliseconds since the epoch of the clock; from then on no new conversation is drawn from it. */
  readonly until: number
  /** Id of the leaf that commits to the secret, and whether it is known to be durable. */
  readonly leaf: string
  readonly committed: boolean
}

/** Durable, and shared by all replicas of one log. Methods reject with what the database says. */
export interface EpochStore {
  latest (): Promise<Epoch | null>
  byNumber (epoch: number): Promise<Epoch | null>
  /** Adds `next` if the newest epoch is still `after` (null: none); returns the newest one there is then. */
  begin (next: Epoch, after: number | null): Promise<Epoch>
  committed (epoch: number): Promise<void>
  /** Epochs that ended before this time and are not yet revealed. */
  unrevealed (endedBefore: number): Promise<Epoch[]>
  revealed (epoch: number): Promise<void>
  /** The epoch that a conversation keeps: `epoch`, unless it has one already. Marks it as in use now. */
  keep (conversation: string, epoch: number, now: number): Promise<number>
  /** Lets go of conversations that nobody used since. */
  forget (before: number): Promise<void>
  close (): Promise<void> | void
}

export interface EpochOptions {
  readonly store: EpochStore
  readonly audit: Pick<AuditLog, 'append' | 'record'>
  readonly epochMs: number
  readonly clock?: () => number
  readonly onError: (error: unknown) => void
}

const SECRET_BYTES = 32
/** Other replicas may still draw from an epoch that has ended by this one's clock. */
const GRACE_MS = 60_000
const TICK_MS = 60_000
const STORE_RETRY_SECONDS = 5
const CONVERSATIONS_KEPT = 10_000
const EPOCHS_KEPT = 64
/** A conversation that rests longer is drawn anew; that it does not rest is written down so often. */
const REST_MS = 180 * 86_400_000
const IN_USE_MS = 86_400_000

export function epochDraws ({ store, audit, epochMs, clock = Date.now, onError }: EpochOptions): Draws & { /** Ends what is due: reveals, forgets. */ tick (): Promise<void> } {
  const conversations = new LRUCache<string, { readonly epoch: number, readonly written: number }>({ max: CONVERSATIONS_KEPT })
  const epochs = new LRUCache<number, Epoch>({ max: EPOCHS_KEPT })
  let current: Epoch | null = null
  let beginning: Promise<Epoch> | undefined

  /** Appends a leaf of a known id, or finds that it is there already. */
  async function ensure (id: string, fields: Record<string, string | number>): Promise<void> {
    try {
      await audit.append([{ type: 'draw.epoch', id, key: null, fields }])
    } catch (error) {
      // an append that failed may have been kept, by this replica or another
      if (!await audit.record(id).catch(() => null)) throw error
    }
  }

  async function begin (): Promise<Epoch> {
    let newest = await store.latest()
    const now = clock()
    if (!newest || newest.until <= now) {
      const next: Epoch = { epoch: Math.max(Math.floor(now / 1000), (newest?.epoch ?? 0) + 1), secret: randomBytes(SECRET_BYTES), until: now + epochMs, leaf: newId(), committed: false }
      newest = await store.begin(next, newest?.epoch ?? null)
    }
    if (!newest.committed) {
      // the hash is in the log before anything is drawn from the secret: else it could be chosen to suit
      await ensure(newest.leaf, { event: 'begun', epoch: newest.epoch, secret_sha256: hash('sha256', newest.secret), until: newest.until })
      await store.committed(newest.epoch)
    }
    return current = newest
  }

  async function now (): Promise<Epoch> {
    if (current && current.until > clock()) return current
    return beginning ??= begin().finally(() => { beginning = undefined })
  }

  async function epochOf (number: number): Promise<Epoch> {
    if (current?.epoch === number) return current
    let known = epochs.get(number)
    if (!known) {
      known = await store.byNumber(number) ?? undefined
      if (!known) throw new Error(`the secret of draw epoch ${number} is missing from its store`)
      epochs.set(number, known)
    }
    return known
  }

  async function keptBy (tenant: string, sticky: string): Promise<Epoch> {
    const conversation = hash('sha256', `${tenant}\0${sticky}`)
    const known = conversations.get(conversation)
    if (known && clock() - known.written < IN_USE_MS) return epochOf(known.epoch)
    const written = clock()
    const kept = await store.keep(conversation, known?.epoch ?? (await now()).epoch, written)
    conversations.set(conversation, { epoch: kept, written })
    return epochOf(kept)
  }

  /** The secret of a draw, or no draw: a store that is away is told like a log that is. */
  async function secretFor (tenant: string, name: string | null): Promise<Epoch> {
    try {
      return name === null ? await now() : await keptBy(tenant, name)
    } catch (cause) {
      if (cause instanceof ParallaxError) throw cause
      throw new ParallaxError('audit_unavailable', 'The secrets of the draws cannot be read or kept, so nothing was drawn. See /readyz for the reason, or ask for one perspective by its name.', { cause, retryAfter: STORE_RETRY_SECONDS })
    }
  }

  async function tick (): Promise<void> {
    for (const { epoch, secret, leaf } of await store.unrevealed(clock() - GRACE_MS)) {
      await ensure(revealId(leaf), { event: 'revealed', epoch, secret: Buffer.from(secret).toString('base64') })
      await store.revealed(epoch)
    }
    await store.forget(clock() - REST_MS)
  }

  const timer = setInterval(() => { tick().catch(onError) }, TICK_MS)
  timer.unref()

  return {
    async draw ({ tenant, sticky, request, seed, weights }) {
      const name = sticky === null ? null : stickyHash(sticky)
      const { epoch, secret } = await secretFor(tenant, name)
      const value = drawValue(secret, { tenant, sticky: name, request, seed })
      return { epoch, sticky: name, request: name === null ? request : null, seed, value, chosen: pick(weights, value) }
    },
    tick,
    async close () {
      clearInterval(timer)
      await store.close()
    },
  }
}

/** The same for every replica, so that an epoch is revealed once: the id of the leaf that began it, one bit further (a UUIDv7's last hex digit). */
const revealId = (leaf: string): string => leaf.slice(0, -1) + (Number.parseInt(leaf.slice(-1), 16) ^ 1).toString(16)
