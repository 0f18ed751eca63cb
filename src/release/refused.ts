/** The memory of refusals: digests, so that no other name, report or threshold brings a refused adapter back. Knows nothing of gates or logs. */
import { existsSync } from 'node:fs'
import { z } from 'zod'
import { readJson } from './read-json.ts'
import { writeDurably } from './write.ts'

const sha256 = z.string().regex(/^[0-9a-f]{64}$/)

export const refusal = z.strictObject({
  version: z.string(),
  at: z.iso.datetime(),
  /** What failed together: perspective -> digest of its adapter. */
  adapters: z.record(z.string(), sha256).refine((all) => Object.keys(all).length > 0, 'wanted at least one adapter'),
  report_sha256: sha256,
  gate_sha256: sha256,
  failed: z.array(z.strictObject({ threshold: z.string(), perspective: z.string().nullable(), wanted: z.string(), found: z.number().nullable() })).min(1),
})
export type Refusal = z.infer<typeof refusal>

const file = z.strictObject({ about: z.string(), refused: z.array(refusal) })

const ABOUT = 'Adapters that the gate refused, by the SHA-256 of their bytes. What failed together is refused together. Entries are never removed.'

/** Throws ReleaseError where the file is broken: an unreadable memory refuses nothing, so nothing may be released by it. */
export const readRefused = (path: string): readonly Refusal[] => existsSync(path) ? readJson(path, 'list of refusals', file).value.refused : []

/** Durable when it returns. The same refusal again changes nothing. */
export function rememberRefused (path: string, refusals: readonly Refusal[]): void {
  const { about, refused } = existsSync(path) ? readJson(path, 'list of refusals', file).value : { about: ABOUT, refused: [] }
  const fresh = refusals.filter((one) => !refused.some((known) => sameAdapters(known.adapters, one.adapters)))
  if (fresh.length > 0) writeDurably(path, `${JSON.stringify({ about, refused: [...refused, ...fresh] }, null, 2)}\n`)
}

const sameAdapters = (one: Refusal['adapters'], other: Refusal['adapters']): boolean =>
  JSON.stringify(Object.values(one).toSorted()) === JSON.stringify(Object.values(other).toSorted())

/** The refusal that these digests fall under, whichever perspective they are offered for. */
export function refusedBefore<T extends { readonly adapters: Readonly<Record<string, string>> }> (refused: Iterable<T>, digests: readonly string[]): T | undefined {
  for (const one of refused) if (Object.values(one.adapters).every((digest) => digests.includes(digest))) return one
  return undefined
}
