/**
 * How a reply lies in a shared store: found by a hash of tenant and key, sealed under a key that is made of the whole request, so that only whoever
 * sends the same request with the same key can read it, and whatever was altered does not open. Pure.
 */
import { createCipheriv, createDecipheriv, hash, randomBytes } from 'node:crypto'

const CIPHER = 'aes-256-gcm'
const IV_BYTES = 12
const TAG_BYTES = 16

/** Lengths first, so that no two triples read alike. */
const of = (purpose: string, ...parts: string[]): string => `parallax idempotency ${purpose} ${parts.map((part) => `${part.length}:${part}`).join('')}`

export const placeOf = (tenant: string, key: string): string => hash('sha256', of('place', tenant, key))

/** Says whether two requests are the same one, and nothing of what they ask. */
export const markOf = (tenant: string, key: string, fingerprint: string): string => hash('sha256', of('mark', tenant, key, fingerprint))

export const sealingKey = (tenant: string, key: string, fingerprint: string): Buffer => hash('sha256', of('seal', tenant, key, fingerprint), 'buffer')

export function seal (key: Buffer, text: string): Buffer {
  const iv = randomBytes(IV_BYTES)
  const cipher = createCipheriv(CIPHER, key, iv)
  return Buffer.concat([iv, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
}

/** Throws where it was not sealed under this key, or not left as it was. */
export function unseal (key: Buffer, sealed: Uint8Array): string {
  const decipher = createDecipheriv(CIPHER, key, sealed.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES })
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
  return decipher.update(sealed.subarray(IV_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8')
}
