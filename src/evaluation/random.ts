/** Chance that comes out the same everywhere: seeded numbers, orders and samples. Guards nothing. */

/** Mulberry32: numbers in [0, 1). */
export function random (seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** FNV-1a, and murmur3's last step: names that differ in their last letter only must not stay neighbours. */
export function hash32 (text: string): number {
  let value = 0x811c9dc5
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193)
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35)
  return (value ^ (value >>> 16)) >>> 0
}

/** By each item's own name, so that an item more or less leaves the others where they are. */
export const shuffled = <T>(items: readonly T[], nameOf: (item: T) => string, seed: number): T[] =>
  items.map((item) => ({ item, place: hash32(`${seed}\0${nameOf(item)}`) })).toSorted((a, b) => a.place - b.place).map(({ item }) => item)

export const sample = <T>(items: readonly T[], count: number, nameOf: (item: T) => string, seed: number): T[] => shuffled(items, nameOf, seed).slice(0, count)
