/** The cache of one process, bounded by bytes. */
import { LRUCache } from 'lru-cache'
import type { Cache, KeptAnswer } from './cache.ts'

/** Room that an entry takes beside its JSON: key, map slots, object. */
const ENTRY_OVERHEAD_BYTES = 768

/** How long what was forgotten or evicted is not kept: longer than an answer may take to arrive. */
export const GUARD_MS = 600_000

/** So many names are remembered for that; more at a time, and nothing at all is kept for as long. */
const GUARDED = 100_000

interface Entry { readonly text: string, readonly source: string, readonly tags: readonly string[], readonly expires: number }

/** `bytes` bounds what is kept; an answer larger than a quarter of it is not kept at all. */
export function memoryCache (bytes: number, clock: () => number = Date.now): Cache {
  const counts = { kept: 0, errors: 0 }
  if (bytes <= 0) return { get: () => undefined, set: () => false, forget: () => {}, evict: () => {}, counts: () => counts, up: () => true, close: async () => {} }
  const keyOf = new Map<string, string>()
  const guarded = new Map<string, number>()
  let shutUntil = 0
  const entries = new LRUCache<string, Entry>({
    maxSize: bytes,
    maxEntrySize: Math.max(1, Math.floor(bytes / 4)),
    sizeCalculation: ({ text }) => text.length * 2 + ENTRY_OVERHEAD_BYTES,
    dispose: ({ source }, key) => { if (keyOf.get(source) === key) keyOf.delete(source) },
  })

  function guard (name: string): void {
    const now = clock()
    for (const [one, until] of guarded) {
      if (until > now) break
      guarded.delete(one)
    }
    guarded.delete(name)
    guarded.set(name, now + GUARD_MS)
    if (guarded.size <= GUARDED) return
    guarded.clear()
    shutUntil = now + GUARD_MS
  }

  const isGuarded = (name: string, now: number): boolean => (guarded.get(name) ?? 0) > now

  return {
    get (key) {
      const entry = entries.get(key)
      if (!entry || entry.expires <= clock()) {
        if (entry) entries.delete(key)
        return undefined
      }
      // kept as text: a reader that changes its answer must not change the next reader's
      return JSON.parse(entry.text) as KeptAnswer
    },
    set (key, answer, ttlSeconds) {
      const { source, tags } = answer
      const now = clock()
      if (now < shutUntil || isGuarded(source, now) || tags.some((tag) => isGuarded(tag, now))) return false
      const before = keyOf.get(source)
      if (before !== undefined) entries.delete(before)
      entries.set(key, { text: JSON.stringify({ ...answer, ttlSeconds }), source, tags, expires: now + ttlSeconds * 1000 })
      // larger than it may be: not there
      if (entries.peek(key) === undefined) return false
      keyOf.set(source, key)
      counts.kept++
      return true
    },
    forget (sources) {
      for (const source of sources) {
        guard(source)
        const key = keyOf.get(source)
        if (key !== undefined) entries.delete(key)
      }
    },
    evict (tag) {
      guard(tag)
      for (const [key, { tags }] of entries) if (tags.includes(tag)) entries.delete(key)
    },
    counts: () => counts,
    up: () => true,
    close: async () => { entries.clear() },
  }
}
