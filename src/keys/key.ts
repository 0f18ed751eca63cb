/**
 * The form of an API key: `plx_`, 30 base62 characters by chance (178 bits), and their CRC-32 as 6 more.
 * The checksum lets a mistyped or truncated key be refused, and a leaked one be found by scanners, without any store.
 * Pure; knows neither hashes nor who owns a key.
 */
import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'

const PREFIX = 'plx_'
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const RANDOM_LENGTH = 30
/** 62^6 > 2^32. */
const CHECKSUM_LENGTH = 6
export const KEY_LENGTH = PREFIX.length + RANDOM_LENGTH + CHECKSUM_LENGTH
const CHECKED_LENGTH = PREFIX.length + RANDOM_LENGTH
const SHAPE = /^plx_[0-9A-Za-z]{36}$/

/** The largest multiple of 62 in a byte: above it `% 62` would favour the first characters. */
const UNBIASED = 256 - (256 % ALPHABET.length)

function randomPart (): string {
  let text = ''
  while (text.length < RANDOM_LENGTH) {
    for (const byte of randomBytes(RANDOM_LENGTH)) {
      if (byte < UNBIASED && text.length < RANDOM_LENGTH) text += ALPHABET[byte % ALPHABET.length]
    }
  }
  return text
}

function checksum (checked: string): string {
  let rest = crc32(checked)
  let text = ''
  for (let place = 0; place < CHECKSUM_LENGTH; place++) {
    text = ALPHABET[rest % ALPHABET.length] + text
    rest = Math.floor(rest / ALPHABET.length)
  }
  return text
}

/** A new key. It exists nowhere else until somebody keeps it. */
export function makeKey (): string {
  const checked = PREFIX + randomPart()
  return checked + checksum(checked)
}

/**
 * The key if `presented` has the form of one and its checksum holds, else null. Total: anything may be passed in.
 * Says nothing about whether the key was ever given out.
 */
export function parseKey (presented: unknown): string | null {
  if (typeof presented !== 'string' || presented.length !== KEY_LENGTH || !SHAPE.test(presented)) return null
  return checksum(presented.slice(0, CHECKED_LENGTH)) === presented.slice(CHECKED_LENGTH) ? presented : null
}
