/**
 * What the audit log hears of keys: pseudonyms, scopes and times; never a secret, and never a name, since the log cannot forget.
 * Knows nothing of stores but that they can remember a leaf they owe.
 */
import { newId } from '../ids.ts'
import type { AuditLog, LeafDraft } from '../audit/log.ts'
import { ParallaxError } from '../errors.ts'
import type { KeyTable } from './table.ts'
import { quotaToWire } from './quota-wire.ts'
import type { Actor, KeyRecord } from './keys.ts'

/** What the keys want of the log. A command that only lists keys can open the log behind it when, and if, it is needed. */
export type KeyLeaves = Pick<AuditLog, 'append' | 'record'>

export const createdLeaf = (key: KeyRecord, by: Actor, replaces?: string): LeafDraft => ({
  type: 'key.created',
  id: newId(),
  key: by,
  fields: { subject: key.id, tenant: key.tenant, scopes: key.scopes, default_perspective: key.defaultPerspective, expires: key.expires, ...(Object.keys(key.quota).length > 0 && { quota: quotaToWire(key.quota) }), ...(replaces === undefined ? {} : { replaces }) },
})

/** `effective` lies ahead where a rotation leaves an overlap. */
export const revokedLeaf = (subject: string, effective: number, by: Actor): LeafDraft => ({ type: 'key.revoked', id: newId(), key: by, fields: { subject, effective } })

/** Resolves when the leaves are durable; throws `audit_unavailable`. */
export async function appendLeaves (audit: KeyLeaves, drafts: readonly LeafDraft[]): Promise<void> {
  try {
    await audit.append(drafts)
  } catch (cause) {
    if (cause instanceof ParallaxError) throw cause
    throw new ParallaxError('audit_unavailable', 'The audit log could not record the change of keys, so it was not made. See /readyz for the reason.', { cause })
  }
}

export type OwedLeaves = Pick<KeyTable, 'owed' | 'settled'>

/** Appends what is owed, but no leaf that is already there: a rejected append may have been kept. Not to be run twice at once. */
export async function settleLeaves (audit: KeyLeaves, store: OwedLeaves): Promise<void> {
  const there = async (id: string): Promise<boolean> => await audit.record(id) !== null
  for (const draft of await store.owed()) {
    if (!await there(draft.id)) {
      // another gateway may be at the same leaf
      await appendLeaves(audit, [draft]).catch(async (error: unknown) => { if (!await there(draft.id)) throw error })
    }
    await store.settled(draft.id)
  }
}
