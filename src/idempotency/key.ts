/** What an Idempotency-Key may be, and when two requests are the same one. Pure. */
import { hash } from 'node:crypto'
import { canonical } from '../canonical.ts'
import { ParallaxError } from '../errors.ts'

const KEY = /^[\x20-\x7e]{1,255}$/

/** Throws `invalid_header`. */
export function checkIdempotencyKey (header: string): string {
  if (KEY.test(header)) return header
  throw new ParallaxError('invalid_header', `Wanted an Idempotency-Key of 1 to 255 printable ASCII characters, such as a UUID; this one has ${header.length}${header.length >= 1 && header.length <= 255 ? ', some of them others' : ''}.`)
}

/**
 * SHA-256 (hex) of a request: its canonical JSON (RFC 8785, so that the order of members is nothing) and the perspective that its header names.
 * Throws `invalid_request` where it holds a number that JSON cannot.
 */
export function fingerprintOf (body: unknown, perspectiveHeader: string | undefined): string {
  try {
    return hash('sha256', canonical({ body, perspective: perspectiveHeader ?? null }))
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new ParallaxError('invalid_request', 'The request holds a number that is too large to be one.', { cause })
  }
}
