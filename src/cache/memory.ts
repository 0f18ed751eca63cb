/** The cache of one process, bounded by bytes. */
import { LRUCache } from 'lru-cache'
import type { Cache, CachedAnswer } from './cache.ts'

/** Room that an entry takes beside its JSON: key, map slot, object. */
const ENTRY_OVERHEAD_BYTES = 512

/** `bytes` bounds what is kept; an answer larger than a quarter of it is not kept at all. */
export function memoryCache (bytes: number, clock: () => number = Date.now): Cache {
  if (bytes <= 0) return { get: () => undefined, set: () => {}, forget: () => {}, close: async () => {} }
  const entries = new LRUCache<string, { text: string, source: string, expires: number }>({
    maxSize: bytes,
    maxEntrySize: Math.max(1, Math.floor(bytes / 4)),
    sizeCalculation: ({ text }) => text.length * 2 + ENTRY_OVERHEAD_BYTES,
  })
  return {
    get (key) {
      const entry = entries.get(key)
      if (!entry) return undefined
      if (entry.expires <= clock()) { entries.delete(key); return undefined }
      // kept as text: a reader that changes its answer must not change the next reader's
      return JSON.parse(entry.text) as CachedAnswer
    },
    set (key, answer, ttlSeconds) { entries.set(key, { text: JSON.stringify(answer), source: answer.source, expires: clock() + ttlSeconds * 1000 }) },
    forget (sources) { for (const [key, { source }] of entries) if (sources.has(source)) entries.delete(key) },
    close: async () => { entries.clear() },
  }
}
