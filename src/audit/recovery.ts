/** Closes the records that a dead process left open, with what it had journalled as their answer. Pure but for the ids. */
import { newId } from '../ids.ts'
import type { Json, LeafDraft } from './log.ts'

interface BeginLeaf { readonly key: string | null, readonly tenant?: string, readonly choices?: number, readonly perspective?: Json, readonly model?: Json, readonly adapter_sha256?: Json }

/** A begin record that is open: its leaf, and the choices that have ended. */
export interface Begun { readonly id: string, readonly entry: Uint8Array, readonly ended: readonly number[] }

/** The end records that are missing, in the order of their begins. */
export function endsFor (open: readonly Begun[], journalled: ReadonlyMap<string, ReadonlyMap<number, Uint8Array>>): LeafDraft[] {
  return open.flatMap(({ id, entry, ended }) => {
    const begin = JSON.parse(Buffer.from(entry).toString('utf8')) as BeginLeaf
    const choices = begin.choices ?? 1
    return Array.from({ length: choices }, (_, choice) => choice).filter((choice) => !ended.includes(choice)).map((choice): LeafDraft => {
      const payload = journalled.get(id)?.get(choice) ?? new Uint8Array()
      return {
        type: 'completion.end', id: newId(), key: begin.key, payload,
        fields: {
          begin: id, status: 'interrupted', bytes_sent: payload.length, tokens: null, finish: [], source: null,
          perspective: begin.perspective, model: begin.model, adapter_sha256: begin.adapter_sha256,
          ...(choices > 1 && { choice }),
        },
        ...(begin.tenant !== undefined && { owner: { tenant: begin.tenant } }),
      }
    })
  })
}
