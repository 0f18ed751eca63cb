/**
 * The draw of a weighted mixture: which perspective answers, from a secret that nobody can predict and that is revealed afterwards, so that an
 * auditor can compute every draw again. Pure; whose secret it is and when it is revealed is draws/'s.
 */
import { hash } from 'node:crypto'
import { canonical } from '../canonical.ts'
import type { Weights } from './weights.ts'

/** What a draw depends on beside the secret. */
export interface DrawInput {
  readonly tenant: string
  /** SHA-256 (hex) of the caller's name for the conversation: the name itself may be a person's. Null: the request's own id counts. */
  readonly sticky: string | null
  readonly request: string
  readonly seed: number | null
}

export const stickyHash = (sticky: string): string => hash('sha256', sticky)

const BLOCK = 64
const BITS = 48

/** HMAC-SHA256 (RFC 2104) as two one-shot hashes: a tenth of an HMAC object's cost. `secret`: at most 64 bytes. */
function hmac (secret: Uint8Array, message: string): Buffer {
  const inner = Buffer.alloc(BLOCK, 0x36)
  const outer = Buffer.alloc(BLOCK, 0x5c)
  for (let at = 0; at < secret.length; at++) {
    inner[at]! ^= secret[at]!
    outer[at]! ^= secret[at]!
  }
  const inside = hash('sha256', Buffer.concat([inner, Buffer.from(message)]), 'buffer')
  return hash('sha256', Buffer.concat([outer, inside]), 'buffer')
}

/** A number in [0, 1) with 48 bits: HMAC(secret, canonical JSON of [tenant, "sticky"|"request", name, seed]). */
export function drawValue (secret: Uint8Array, { tenant, sticky, request, seed }: DrawInput): number {
  const message = canonical(sticky === null ? [tenant, 'request', request, seed] : [tenant, 'sticky', sticky, seed])
  return hmac(secret, message).readUIntBE(0, BITS / 8) / 2 ** BITS
}

/** The id whose span of the cumulated weights holds the value. In the order of the ids, as the leaf has them; they may fall short of 1 by rounding. */
export function pick (weights: Weights, value: number): string {
  const entries = Object.entries(weights).sort(([a], [b]) => a < b ? -1 : 1)
  const total = entries.reduce((sum, [, weight]) => sum + weight, 0)
  let reached = 0
  for (const [id, weight] of entries) {
    reached += weight
    if (value * total < reached) return id
  }
  // the last one that has a share: rounding must not lead past the end
  return entries.findLast(([, weight]) => weight > 0)![0]
}
