/**
 * The pepper: 32 random bytes in a file of their own, without which a stolen keys.db cannot be searched for keys.
 * And the HMAC-SHA256 made with it. Knows nothing of what a key looks like or where hashes are kept.
 */
import { hash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { KeyStoreError } from './keys.ts'
import { tooOpen, writePrivate } from '../private-file.ts'

export const PEPPER_BYTES = 32
/** SHA-256's block, by which HMAC pads its key. */
const BLOCK = 64
const DIGEST = 32
/** Longest message in bytes: a key has 40. */
const MESSAGE_LIMIT = 256

/**
 * Reads the pepper, or makes it where there is none and `inUse` is 0. Throws KeyStoreError, never guesses:
 * a wrong pepper would turn every key into an unknown one.
 */
export function readPepper (path: string, inUse: number): Buffer {
  let pepper: Buffer
  try {
    pepper = readFileSync(path)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw new KeyStoreError(`The pepper ${path} cannot be read (${(cause as Error).message}). Give this user the right to read it.`, { cause })
    }
    if (inUse > 0) {
      throw new KeyStoreError(`The pepper ${path} is missing, and ${inUse} ${inUse === 1 ? 'key was' : 'keys were'} hashed with it. Restore it from a backup; or, to begin anew and lose every key, remove keys.db beside it.`)
    }
    pepper = randomBytes(PEPPER_BYTES)
    writePrivate(path, pepper)
    return pepper
  }
  if (pepper.length !== PEPPER_BYTES) {
    throw new KeyStoreError(`The pepper ${path} has ${pepper.length} bytes instead of ${PEPPER_BYTES}. Restore it from a backup${inUse === 0 ? ', or remove it: no key depends on it yet' : ''}.`)
  }
  const mode = tooOpen(path)
  if (mode !== null) {
    throw new KeyStoreError(`The pepper ${path} can be read by others (mode ${mode}). If nobody did, run: chmod 600 ${path}`)
  }
  return pepper
}

/**
 * HMAC-SHA256 under `key`, for short messages. Two one-shot hashes, since createHmac costs seven times as much a call and this
 * runs on every request. The buffers are reused: the function is synchronous, and its result is a new buffer.
 */
export function hmacSha256 (key: Uint8Array): (message: string) => Buffer {
  if (key.length > BLOCK) throw new RangeError(`HMAC key of ${key.length} bytes: wanted at most ${BLOCK}`)
  const inner = Buffer.alloc(BLOCK + MESSAGE_LIMIT, 0x36)
  const outer = Buffer.alloc(BLOCK + DIGEST, 0x5c)
  for (const [place, byte] of key.entries()) {
    inner[place] = byte ^ 0x36
    outer[place] = byte ^ 0x5c
  }
  return (message) => {
    const length = Buffer.byteLength(message)
    if (length > MESSAGE_LIMIT) throw new RangeError(`HMAC message of ${length} bytes: wanted at most ${MESSAGE_LIMIT}`)
    inner.write(message, BLOCK)
    hash('sha256', inner.subarray(0, BLOCK + length), 'buffer').copy(outer, BLOCK)
    return hash('sha256', outer, 'buffer')
  }
}
