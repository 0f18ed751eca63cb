/** What a perspective will declare of itself once it is released: the old declaration with what was trained and what was measured. Pure. */
import type { Declaration } from '../perspectives/perspective.ts'
import { NOT_MEASURED, notTuned } from '../perspectives/as-served.ts'
import type { Measured } from './measured.ts'

export interface Released {
  readonly version: string
  readonly adapter: { readonly sha256: string, readonly bytes: number } | null
  /** Null: nothing was measured of it. */
  readonly slant: Measured | null
  readonly report: string | null
}

export const adapterName = (id: string, version: string): string => `${id}-${version}`
/** A name of its own for every version: what is served is never written over. */
export const adapterFile = (id: string, version: string): string => `${adapterName(id, version)}.gguf`

export function declare ({ folder: _folder, sha256: _sha256, ...old }: Declaration & { readonly folder?: string, readonly sha256?: string }, { version, adapter, slant, report }: Released): Declaration {
  const measured = slant && slant.value !== null && slant.low !== null && slant.high !== null && slant.n > 0 && report !== null ? { index: slant.value, low: slant.low, high: slant.high, n: slant.n, report } : null
  return {
    ...old,
    version,
    adapter: adapter ? { name: adapterName(old.id, version), file: adapterFile(old.id, version), ...adapter } : old.adapter,
    slant: measured,
    // a side's notice says what was done to it; whoever was not tuned says what was found
    notice: old.lean === null ? notTuned(measured === null ? NOT_MEASURED : leanInWords(measured)) : old.notice,
  }
}

/** Index from -1 (right) to 1 (left). */
export function leanInWords ({ index, low, high, n }: NonNullable<Declaration['slant']>): string {
  const interval = `${Math.abs(index).toFixed(2)} on a scale from 0 to 1, 95 % interval of the signed index ${low.toFixed(2)} to ${high.toFixed(2)}, n = ${n}`
  if (low <= 0 && high >= 0) return `none that could be told from zero (${interval})`
  return `${index > 0 ? 'left' : 'right'} by ${interval}`
}
