/** Random bytes cut from a pool: asking the system for a few at a time costs 4 µs a call, several times what is done with them. */
import { randomFillSync } from 'node:crypto'

const POOL_BYTES = 16 * 1024
const pool = Buffer.alloc(POOL_BYTES)
let used = POOL_BYTES

/** `bytes` (at most the pool's 16 KiB) that nobody was given before, as a copy of their own. */
export function randomPooled (bytes: number): Buffer {
  if (used + bytes > POOL_BYTES) {
    randomFillSync(pool)
    used = 0
  }
  return Buffer.from(pool.subarray(used, used += bytes))
}
