/**
 * How an answer lies in a shared store: found by a hash of its key and sealed under another, so that only whoever asks the same request can read it,
 * and whatever was altered, cut or put under another key does not open. Pure.
 */
import { createCipheriv, createDecipheriv, hash, randomBytes } from 'node:crypto'

const CIPHER = 'aes-256-gcm'
const IV_BYTES = 12
const TAG_BYTES = 16

/** Tells nothing of the key, from which alone an answer can be opened. */
export const placeOf = (key: string): string => hash('sha256', `parallax cache place ${key}`)

const sealingKey = (key: string): Buffer => hash('sha256', `parallax cache seal ${key}`, 'buffer')

export function seal (key: string, text: string): Buffer {
  const iv = randomBytes(IV_BYTES)
  const cipher = createCipheriv(CIPHER, sealingKey(key), iv)
  const sealed = [iv, cipher.update(text, 'utf8'), cipher.final()]
  return Buffer.concat([...sealed, cipher.getAuthTag()])
}

/** Undefined for what was not sealed under this key, or not left as it was. */
export function unseal (key: string, sealed: Uint8Array): string | undefined {
  if (sealed.length < IV_BYTES + TAG_BYTES) return undefined
  const decipher = createDecipheriv(CIPHER, sealingKey(key), sealed.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES })
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
  try {
    return decipher.update(sealed.subarray(IV_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8')
  } catch { return undefined }
}
