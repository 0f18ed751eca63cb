/** Closes the records that a dead process left open, with what it had journalled as their answer. Pure but for the ids. */
import { newId } from '../ids.ts'
import type { Json, KeptOwner, LeafDraft } from './log.ts'

interface BeginLeaf { readonly key: string | null, readonly choices?: number, readonly perspective?: Json, readonly model?: Json, readonly adapter_sha256?: Json }

/** A begin record: its leaf, and whose transcript it has. */
export interface Began { readonly id: string, readonly entry: Uint8Array, readonly tenant: string | null, readonly subject: string | null }
/** One that is open: the choices that have ended. */
export interface Begun extends Began { readonly ended: readonly number[] }

/** The end is the same person's as the begin, for whoever erases or holds by person. */
const ownerOf = ({ tenant, subject }: Began): { owner?: KeptOwner } => tenant === null ? {} : { owner: { tenant, subject } }

/** The end records that are missing, in the order of their begins. */
export function endsFor (open: readonly Begun[], journalled: ReadonlyMap<string, ReadonlyMap<number, Uint8Array>>): LeafDraft[] {
  return open.flatMap((one) => {
    const { id, entry, ended } = one
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
        ...ownerOf(one),
      }
    })
  })
}

/** An answer whose record was closed without it: it comes in beside the end. */
export function lateAnswer (began: Began, id: string, choice: number, payload: Uint8Array): LeafDraft {
  const { key, choices = 1 } = JSON.parse(Buffer.from(began.entry).toString('utf8')) as BeginLeaf
  return { type: 'completion.late', id, key, payload, fields: { begin: began.id, bytes_sent: payload.length, ...(choices > 1 && { choice }) }, ...ownerOf(began) }
}
