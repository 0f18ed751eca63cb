/** Ids of records and requests: UUIDv7 (RFC 9562 §5.7). Written here, for the package takes several times as long and every request has four of them. */
import { randomFillSync } from 'node:crypto'

/** Random bytes of one id: nine for 18 hex digits, and one for the two bits beside the variant. */
const RANDOM_BYTES = 10
const pool = Buffer.alloc(1024 * RANDOM_BYTES)
let used = pool.length

/** The id under construction. Cut from here it is one flat string: a tree of parts would weigh ten times as much wherever it is kept. */
const text = Buffer.from('00000000-0000-7000-8000-000000000000', 'latin1')
const TIME_DIGITS = 12
const RANDOM_PLACES = [15, 16, 17, 20, 21, 22, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35]
const VARIANT_PLACE = 19
const DIGITS = Buffer.from('0123456789abcdef', 'latin1')
let millisecond = -1

export function newId (): string {
  const now = Date.now()
  if (now !== millisecond) {
    millisecond = now
    text.write(now.toString(16).padStart(TIME_DIGITS, '0').replace(/^.{8}/, '$&-'), 'latin1')
  }
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  for (let at = 0; at < RANDOM_PLACES.length; at += 2) {
    const byte = pool[used++]!
    text[RANDOM_PLACES[at]!] = DIGITS[byte >> 4]!
    text[RANDOM_PLACES[at + 1]!] = DIGITS[byte & 0xf]!
  }
  text[VARIANT_PLACE] = DIGITS[0x8 | pool[used++]! & 0x3]!
  return text.toString('latin1')
}
