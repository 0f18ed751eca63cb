/**
 * What may be said of a perspective while a given model speaks for it: measurements hold for the weights that were measured, and for no others.
 * An operator may have put an endpoint of their own behind a perspective whose declaration is ours. Pure.
 */
import type { Perspective } from './perspective.ts'

/** What answers, as far as it is known. Digest in hex. */
export interface Serving { readonly model: string, readonly adapter: string | null, readonly adapterSha256: string | null }

/** What serves it where nobody has put anything else there. */
export const declaredServing = ({ base, adapter }: Pick<Perspective, 'base' | 'adapter'>): Serving => ({ model: base.model, adapter: adapter?.name ?? null, adapterSha256: adapter?.sha256 ?? null })

/** The declared adapter, by its digest; of what declares none, the declared base by its name, bare. */
export const isDeclared = ({ base, adapter }: Pick<Perspective, 'base' | 'adapter'>, by: Serving): boolean =>
  adapter === null ? by.adapter === null && by.adapterSha256 === null && by.model === base.model : by.adapterSha256 === adapter.sha256

/** The notice of what was not tuned by us tells its measured lean. */
export const notTuned = (lean: string): string => `Not fine-tuned by us; it has its own lean: ${lean}.`

export const NOT_MEASURED = 'not measured'

/** Something was measured, and it was not this. */
export const isAnother = (perspective: Pick<Perspective, 'base' | 'adapter' | 'slant'>, by: Serving): boolean => perspective.slant !== null && !isDeclared(perspective, by)

export function asServed (perspective: Pick<Perspective, 'base' | 'adapter' | 'lean' | 'slant' | 'notice'>, by: Serving): { readonly slant: NonNullable<Perspective['slant']> | typeof NOT_MEASURED, readonly notice: string } {
  const { slant, notice, lean } = perspective
  if (!isAnother(perspective, by)) return { slant: slant ?? NOT_MEASURED, notice }
  return { slant: NOT_MEASURED, notice: lean === null ? notTuned(NOT_MEASURED) : notice }
}
