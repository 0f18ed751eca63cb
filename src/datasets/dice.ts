/** Chance that comes out the same on every machine: a stream of numbers from a seed and a name. Knows nothing of what is drawn. */
import { hash } from 'node:crypto'

export interface Dice {
  /** In [0, 1). */
  next (): number
  pick<T> (from: readonly T[]): T
  shuffled<T> (items: readonly T[]): T[]
}

/** 32 bits of a SHA-256. */
export const number32 = (...parts: readonly (string | number)[]): number => Number.parseInt(hash('sha256', parts.join('\u0000')).slice(0, 8), 16)

export function dice (...seed: readonly (string | number)[]): Dice {
  // mulberry32: one multiplication a number, and good enough to draw sentences by
  let state = number32(...seed)
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
  return {
    next,
    pick: (from) => from[Math.floor(next() * from.length)]!,
    shuffled (items) {
      const all = [...items]
      for (let i = all.length - 1; i > 0; i--) {
        const j = Math.floor(next() * (i + 1))
        ;[all[i], all[j]] = [all[j]!, all[i]!]
      }
      return all
    },
  }
}
