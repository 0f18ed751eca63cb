/**
 * Where a reply lies in a shared store: found by a hash of tenant and key, sealed under a key that is made of the whole request, so that only whoever
 * sends the same request with the same key can read it. Pure.
 */
import { hash } from 'node:crypto'

/** Lengths first, so that no two triples read alike. */
const of = (purpose: string, ...parts: string[]): string => `parallax idempotency ${purpose} ${parts.map((part) => `${part.length}:${part}`).join('')}`

export const placeOf = (tenant: string, key: string): string => hash('sha256', of('place', tenant, key))

/** Says whether two requests are the same one, and nothing of what they ask. */
export const markOf = (tenant: string, key: string, fingerprint: string): string => hash('sha256', of('mark', tenant, key, fingerprint))

export const sealingKey = (tenant: string, key: string, fingerprint: string): Buffer => hash('sha256', of('seal', tenant, key, fingerprint), 'buffer')
