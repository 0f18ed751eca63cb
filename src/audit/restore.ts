/** Going on from an older backup: never by itself, and never without a leaf that says what was lost. */
import { SetBackError } from './edge-check.ts'
import type { LeafDraft } from './log.ts'
import { newId } from '../ids.ts'

/** Why the operator accepts that the log was set back; stands in the log for ever. */
export interface AcceptedRestore { readonly reason: string }

/** Runs the check at the start; the leaves that have to be written because of what it found. Rejects as the check does, unless that was accepted. */
export async function lossOf (accepted: AcceptedRestore | undefined, check: () => void | Promise<void>): Promise<LeafDraft[]> {
  try {
    await check()
  } catch (error) {
    if (!accepted || !(error instanceof SetBackError)) throw error
    const { size, root } = error.lost
    return [{ type: 'log.restored', id: newId(), key: null, fields: { lost_size: size, lost_root: root.toString('base64'), reason: accepted.reason } }]
  }
  if (accepted) throw new Error('There is nothing to accept: this log is not behind any checkpoint that is known here.')
  return []
}
