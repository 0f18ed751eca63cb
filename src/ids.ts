/** Ids of records and requests: UUIDv7, from a pool of randomness. Asking the system for 16 bytes at a time costs several times the id. */
import { randomFillSync } from 'node:crypto'
import { v7 } from 'uuid'

const ID_BYTES = 16
const pool = new Uint8Array(ID_BYTES * 512)
let used = pool.length

/** The next 16 unused random bytes; the library copies what it keeps. */
function random (): Uint8Array {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  return pool.subarray(used, used += ID_BYTES)
}

export const newId = (): string => v7({ random: random() })
