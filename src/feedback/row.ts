/** What was said, as one row of a table: the same columns on both databases. Pure. */
import type { Answer, Given, Saying } from './feedback.ts'

export interface Row {
  readonly id: string
  readonly tenant: string
  readonly key: string
  readonly thing: string
  /** `good`, `bad`, or `choice`: the first answer over the other. */
  readonly verdict: string
  readonly record: string
  readonly idx: number
  readonly choice: number
  readonly perspective: string
  readonly adapter: string | null
  readonly over_record: string | null
  readonly over_idx: number | null
  readonly over_choice: number | null
  readonly over_perspective: string | null
  readonly over_adapter: string | null
  readonly comment: Uint8Array | null
  /** What the comment is sealed under; null where it lies open. */
  readonly comment_key: Uint8Array | null
  readonly consent_version: string | null
  readonly salt: Uint8Array
  readonly at: number
}

export const COLUMNS = ['id', 'tenant', 'key', 'thing', 'verdict', 'record', 'idx', 'choice', 'perspective', 'adapter', 'over_record', 'over_idx', 'over_choice', 'over_perspective', 'over_adapter', 'comment', 'comment_key', 'consent_version', 'salt', 'at'] as const satisfies readonly (keyof Row)[]

/** How comments lie in a store. */
export interface Comments {
  hide (id: string, comment: string): { readonly comment: Uint8Array, readonly comment_key: Uint8Array | null }
  show (id: string, comment: Uint8Array, key: Uint8Array | null): string
}

export function rowOf ({ id, tenant, key, at, salt, said }: Given, thing: string, comments: Comments): Row {
  const [first, other] = said.kind === 'rating' ? [said.about, null] : [said.preferred, said.over]
  return {
    id, tenant, key, thing, at, salt,
    verdict: said.kind === 'rating' ? said.rating : 'choice',
    record: first.record, idx: first.index, choice: first.choice, perspective: first.perspective, adapter: first.adapterSha256,
    over_record: other?.record ?? null, over_idx: other?.index ?? null, over_choice: other?.choice ?? null, over_perspective: other?.perspective ?? null, over_adapter: other?.adapterSha256 ?? null,
    ...(said.comment === null ? { comment: null, comment_key: null } : comments.hide(id, said.comment)),
    consent_version: said.consentVersion,
  }
}

export function givenOf (row: Row, comments: Comments): Given {
  const about: Answer = { record: row.record, index: row.idx, choice: row.choice, perspective: row.perspective, adapterSha256: row.adapter }
  const beside = { comment: row.comment === null ? null : comments.show(row.id, row.comment, row.comment_key), consent: row.consent_version !== null, consentVersion: row.consent_version }
  const said: Saying<Answer> = row.verdict === 'choice'
    ? { kind: 'choice', preferred: about, over: { record: row.over_record!, index: row.over_idx!, choice: row.over_choice!, perspective: row.over_perspective!, adapterSha256: row.over_adapter }, ...beside }
    : { kind: 'rating', rating: row.verdict as 'good' | 'bad', about, ...beside }
  return { id: row.id, tenant: row.tenant, key: row.key, at: row.at, salt: row.salt, said }
}
