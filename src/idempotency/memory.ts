/** The Idempotency-Keys of one process. Replies are bounded by bytes; claims by the requests that are being answered. */
import { LRUCache } from 'lru-cache'
import { GUARD_MS, REPLY_BYTES, type Idempotency, type KeptReply } from './idempotency.ts'
import { conflict, inFlight } from './refusal.ts'

/** Room that a reply takes beside its text. */
const OVERHEAD_BYTES = 1024
/** As many forgotten records are remembered at a time: a flight of each would have to be under way. */
const GUARDED = 100_000

export interface MemoryIdempotencyOptions {
  readonly ttlMs: number
  readonly bytes: number
  readonly clock?: () => number
}

interface Kept { readonly fingerprint: string, readonly text: string, readonly record: string, readonly until: number }

export function memoryIdempotency ({ ttlMs, bytes, clock = Date.now }: MemoryIdempotencyOptions): Idempotency {
  const counts = { new: 0, replayed: 0, conflict: 0, in_flight: 0, unavailable: 0, unkept: 0 }
  /** Being answered: place -> fingerprint. */
  const claims = new Map<string, string>()
  const placeOf = new Map<string, string>()
  const guarded = new Map<string, number>()
  const replies = new LRUCache<string, Kept>({
    maxSize: Math.max(1, bytes),
    maxEntrySize: Math.max(1, Math.min(2 * REPLY_BYTES, bytes)),
    sizeCalculation: ({ text }) => text.length * 2 + OVERHEAD_BYTES,
    dispose: ({ record }) => { placeOf.delete(record) },
  })

  function found (place: string): Kept | undefined {
    // not a use: a reply that is asked for again and again is no younger
    const kept = replies.peek(place)
    if (!kept || kept.until > clock()) return kept
    replies.delete(place)
    return undefined
  }

  function keep (place: string, fingerprint: string, reply: KeptReply): boolean {
    const { record } = reply
    if ((guarded.get(record) ?? 0) > clock()) return false
    replies.set(place, { fingerprint, record, text: JSON.stringify(reply), until: clock() + ttlMs })
    if (replies.peek(place) === undefined) return false
    placeOf.set(record, place)
    return true
  }

  function guard (record: string): void {
    const now = clock()
    for (const [one, until] of guarded) {
      if (until > now && guarded.size < GUARDED) break
      guarded.delete(one)
    }
    guarded.set(record, now + GUARD_MS)
  }

  return {
    counts,
    async claim (tenant, key, fingerprint) {
      const place = `${tenant}\0${key}`
      const kept = found(place)
      const running = claims.get(place)
      if ((kept?.fingerprint ?? running ?? fingerprint) !== fingerprint) {
        counts.conflict++
        throw conflict()
      }
      if (kept) {
        counts.replayed++
        return { kind: 'replay', reply: JSON.parse(kept.text) as KeptReply }
      }
      if (running !== undefined) {
        counts.in_flight++
        throw inFlight()
      }
      counts.new++
      claims.set(place, fingerprint)
      let ended = false
      const end = (): boolean => {
        if (ended) return false
        claims.delete(place)
        return ended = true
      }
      return {
        kind: 'new',
        async keep (reply) {
          if (!end()) return false
          if (keep(place, fingerprint, reply)) return true
          counts.unkept++
          return false
        },
        async release () { end() },
      }
    },
    async forget (records) {
      for (const record of records) {
        guard(record)
        const place = placeOf.get(record)
        if (place !== undefined) replies.delete(place)
      }
    },
    async close () { replies.clear() },
  }
}
