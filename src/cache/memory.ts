/** The cache of one process, bounded by bytes. */
import type { Cache, KeptAnswer } from './cache.ts'

/** Room that an entry takes beside its JSON: key, map slots, object. */
const ENTRY_OVERHEAD_BYTES = 768

/** How long what was forgotten or evicted is not kept: longer than an answer may take to arrive. */
export const GUARD_MS = 600_000

/** So many names are remembered for that; more at a time, and nothing at all is kept for as long. */
const GUARDED = 100_000

interface Entry { readonly text: string, readonly source: string, readonly tags: readonly string[], readonly expires: number, readonly bytes: number }

/**
 * Answers of one age, and under which key each source's lies. There are two: when the younger one is full the older one goes, all at once, and
 * what was read meanwhile has moved on. A list in the order of use, kept entry by entry, is a µs more for every answer.
 */
interface Generation { readonly entries: Map<string, Entry>, readonly keyOf: Map<string, string>, bytes: number }

const generation = (): Generation => ({ entries: new Map(), keyOf: new Map(), bytes: 0 })

/** `bytes` bounds what is kept; an answer larger than a quarter of it is not kept at all. */
export function memoryCache (bytes: number, clock: () => number = Date.now): Cache {
  const counts = { kept: 0, errors: 0 }
  if (bytes <= 0) return { get: () => undefined, set: () => false, forget: () => {}, evict: () => {}, counts: () => counts, up: () => true, close: async () => {} }
  let young = generation()
  let old = generation()
  const guarded = new Map<string, number>()
  let shutUntil = 0

  function add (key: string, entry: Entry): void {
    if (young.bytes + entry.bytes > bytes / 2) {
      old = young
      young = generation()
    }
    young.entries.set(key, entry)
    young.keyOf.set(entry.source, key)
    young.bytes += entry.bytes
  }

  function drop (key: string): void {
    old.entries.delete(key)
    const entry = young.entries.get(key)
    if (!entry) return
    young.entries.delete(key)
    young.bytes -= entry.bytes
  }

  /** A source's place is not taken back when its entry goes: it counts only where the entry is still the source's. */
  function dropSource (source: string): void {
    const key = young.keyOf.get(source) ?? old.keyOf.get(source)
    if (key !== undefined && (young.entries.get(key) ?? old.entries.get(key))?.source === source) drop(key)
  }

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

  const isGuarded = (name: string, now: number): boolean => guarded.size > 0 && (guarded.get(name) ?? 0) > now

  return {
    get (key) {
      const kept = young.entries.get(key)
      const entry = kept ?? old.entries.get(key)
      if (!entry) return undefined
      if (entry.expires <= clock()) {
        drop(key)
        return undefined
      }
      if (!kept) {
        old.entries.delete(key)
        add(key, entry)
      }
      // kept as text: a reader that changes its answer must not change the next reader's
      return JSON.parse(entry.text) as KeptAnswer
    },
    set (key, answer, ttlSeconds) {
      const { source, tags } = answer
      const now = clock()
      if (now < shutUntil || isGuarded(source, now) || tags.some((tag) => isGuarded(tag, now))) return false
      dropSource(source)
      drop(key)
      const text = JSON.stringify({ ...answer, ttlSeconds })
      const size = text.length * 2 + ENTRY_OVERHEAD_BYTES
      if (size > bytes / 4) return false
      add(key, { text, source, tags, expires: now + ttlSeconds * 1000, bytes: size })
      counts.kept++
      return true
    },
    forget (sources) {
      for (const source of sources) {
        guard(source)
        dropSource(source)
      }
    },
    evict (tag) {
      guard(tag)
      for (const { entries } of [young, old]) for (const [key, { tags }] of entries) if (tags.includes(tag)) drop(key)
    },
    counts: () => counts,
    up: () => true,
    close: async () => { young = old = generation() },
  }
}
