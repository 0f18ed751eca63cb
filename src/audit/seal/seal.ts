/**
 * Transcripts as they lie in a store: AES-256-GCM under a key of the record's own, which is itself sealed under the key-encryption key.
 * A record's key is random and kept nowhere else: whoever removes it has erased the transcript. Pure but for its randomness.
 */
import { createCipheriv, createDecipheriv, createSecretKey, hash, randomBytes, randomFillSync, type Cipheriv, type KeyObject } from 'node:crypto'
import { randomPooled } from '../../random.ts'
import type { Kek, Keyring } from './keyring.ts'

const CIPHER = 'aes-256-gcm'
const STREAM = 'aes-256-ctr'
const WRAPPING_LABEL = Buffer.from('parallax record keys v2\0')
const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** Says what a wrapped key is, so that nothing else that was sealed under the same key can be passed off as one. */
const WRAPPED_KEY = Buffer.from('parallax record key v1')

/** nonce (12) ‖ ciphertext ‖ tag (16). The key is an object, for a raw one costs 10 µs more a call. */
function encrypt (key: KeyObject, aad: Uint8Array, bytes: Uint8Array): Buffer {
  const nonce = randomPooled(NONCE_BYTES)
  const cipher = createCipheriv(CIPHER, key, nonce)
  cipher.setAAD(aad)
  const text = cipher.update(bytes)
  cipher.final()
  return Buffer.concat([nonce, text, cipher.getAuthTag()])
}

/** Throws where a single bit is another. */
function decrypt (key: KeyObject, aad: Uint8Array, sealed: Uint8Array): Buffer {
  if (sealed.length < NONCE_BYTES + TAG_BYTES) throw new Error('what was sealed was cut short')
  const cipher = createDecipheriv(CIPHER, key, sealed.subarray(0, NONCE_BYTES))
  cipher.setAAD(aad)
  cipher.setAuthTag(sealed.subarray(-TAG_BYTES))
  const text = cipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES))
  cipher.final()
  return text
}

/** A fresh key, and itself as it may be stored. */
export interface RecordKey { readonly key: KeyObject, readonly kek: string, readonly wrapped: Buffer }

export function newRecordKey (kek: Kek): RecordKey {
  const raw = randomPooled(KEY_BYTES)
  const made = { key: createSecretKey(raw), kek: kek.id, wrapped: encrypt(kek.key, WRAPPED_KEY, raw) }
  raw.fill(0)
  return made
}

/** Keys that are made and wrapped in one go: a cipher of its own for each would cost more than what it does. */
const KEYS_AT_ONCE = 32
const BLOCK_BYTES = 16
/** Then the stream begins anew, at another random place. */
const KEYS_A_STREAM = 2 ** 20

/**
 * Fresh record keys under one key-encryption key, by AES-256-CTR under a key derived from it: counter block (16) ‖ key XOR keystream (32).
 * Nothing authenticates a wrapped key but what it opens: one that was altered is another key, and the transcript's GCM tag says so.
 */
export class RecordKeys {
  readonly #kek: Kek
  readonly #wrapping: KeyObject
  #stream: { readonly cipher: Cipheriv, readonly start: Buffer, used: number } | undefined
  #raw = Buffer.alloc(0)
  #wrapped = Buffer.alloc(0)
  #next = KEYS_AT_ONCE

  constructor (kek: Kek) {
    this.#kek = kek
    this.#wrapping = wrappingKey(kek)
  }

  next (): RecordKey {
    if (this.#next === KEYS_AT_ONCE) this.#refill()
    const at = this.#next++
    const raw = this.#raw.subarray(at * KEY_BYTES, (at + 1) * KEY_BYTES)
    const { start, used } = this.#stream!
    const wrapped = Buffer.allocUnsafe(BLOCK_BYTES + KEY_BYTES)
    wrapped.set(start, 0)
    // the low half counts, and begins at zero
    wrapped.writeUInt32BE((used - KEYS_AT_ONCE + at) * KEY_BYTES / BLOCK_BYTES, BLOCK_BYTES - 4)
    wrapped.set(this.#wrapped.subarray(at * KEY_BYTES, (at + 1) * KEY_BYTES), BLOCK_BYTES)
    const key = createSecretKey(raw)
    raw.fill(0)
    return { key, kek: this.#kek.id, wrapped }
  }

  #refill (): void {
    if (!this.#stream || this.#stream.used >= KEYS_A_STREAM) {
      const start = Buffer.alloc(BLOCK_BYTES)
      randomFillSync(start, 0, BLOCK_BYTES - 4)
      this.#stream = { cipher: createCipheriv(STREAM, this.#wrapping, start), start, used: 0 }
    }
    this.#raw = randomBytes(KEYS_AT_ONCE * KEY_BYTES)
    this.#wrapped = this.#stream.cipher.update(this.#raw)
    this.#stream.used += KEYS_AT_ONCE
    this.#next = 0
  }
}

/** For wrapping record keys and nothing else: what is sealed under the key-encryption key itself never meets the same counter blocks. */
const wrappingKey = ({ raw }: Kek): KeyObject => createSecretKey(hash('sha256', Buffer.concat([WRAPPING_LABEL, raw]), 'buffer'))

/** `id` is bound in: what was sealed for one leaf does not open as another's. */
export const seal = ({ key }: RecordKey, id: string, bytes: Uint8Array): Buffer => encrypt(key, Buffer.from(id), bytes)

/** Throws Error where the key-encryption key is missing, or where anything was altered. */
export function unseal (ring: Keyring, kek: string, wrapped: Uint8Array, id: string, sealed: Uint8Array): Buffer {
  return decrypt(createSecretKey(unwrap(ring, kek, wrapped)), Buffer.from(id), sealed)
}

/** The same key under the ring's current key-encryption key. */
export function rewrap (ring: Keyring, kek: string, wrapped: Uint8Array): Buffer {
  const raw = unwrap(ring, kek, wrapped)
  const again = encrypt(ring.current.key, WRAPPED_KEY, raw)
  raw.fill(0)
  return again
}

/** Any 32 bytes under the current key-encryption key; `unwrap` gives them back. */
export const wrap = (ring: Keyring, raw: Uint8Array): Buffer => encrypt(ring.current.key, WRAPPED_KEY, raw)

export function unwrap (ring: Keyring, kek: string, wrapped: Uint8Array): Buffer {
  const found = ring.find(kek)
  if (!found) throw new Error(`the key-encryption key ${kek} is not here`)
  // a record's key as RecordKeys wraps it; what was wrapped one by one has a nonce and a tag around it
  if (wrapped.length === BLOCK_BYTES + KEY_BYTES) return createDecipheriv(STREAM, wrappingKey(found), wrapped.subarray(0, BLOCK_BYTES)).update(wrapped.subarray(BLOCK_BYTES))
  return decrypt(found.key, WRAPPED_KEY, wrapped)
}
