/**
 * Refuses a body that says twice who shall answer: JSON's parsers keep one of the two silently, and not all the same one.
 * Looks at the bytes, for nothing else still has both.
 */
import { ParallaxError } from '../errors.ts'

const NAMES = ['perspective', 'model'] as const
const WRITTEN = NAMES.map((name) => Buffer.from(`"${name}"`))

const [QUOTE, BACKSLASH, COLON] = [0x22, 0x5c, 0x3a]
const OPENING = new Set([0x7b, 0x5b])
const CLOSING = new Set([0x7d, 0x5d])
const SPACE = new Set([0x20, 0x09, 0x0a, 0x0d])

/** `raw`: JSON that a parser has accepted. Throws `invalid_request`. */
export function refuseNamedTwice (raw: Uint8Array): void {
  const bytes = Buffer.isBuffer(raw) ? raw : Buffer.from(raw)
  for (const [at, written] of WRITTEN.entries()) {
    const first = bytes.indexOf(written)
    // nearly every request ends here; only one that has the word twice anywhere is read member by member
    if (first === -1 || bytes.indexOf(written, first + written.length) === -1) continue
    if (timesAtTop(bytes, written) > 1) throw new ParallaxError('invalid_request', `The body has the member "${NAMES[at]!}" more than once. Send it once: none of several is chosen for you.`, { param: NAMES[at]! })
  }
}

function timesAtTop (bytes: Buffer, written: Buffer): number {
  let depth = 0
  let times = 0
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!
    if (OPENING.has(byte)) depth++
    else if (CLOSING.has(byte)) depth--
    else if (byte === QUOTE) {
      const end = endOfText(bytes, at)
      if (depth === 1 && end - at === written.length && bytes.compare(written, 0, written.length, at, end) === 0 && isName(bytes, end)) times++
      at = end - 1
    }
  }
  return times
}

/** Behind the closing quote. */
function endOfText (bytes: Buffer, start: number): number {
  let at = start + 1
  while (at < bytes.length && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1
  return at + 1
}

function isName (bytes: Buffer, end: number): boolean {
  let at = end
  while (SPACE.has(bytes[at]!)) at++
  return bytes[at] === COLON
}
