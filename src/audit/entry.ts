/** A leaf ready to be sequenced, made from its draft. Pure but for the salt. */
import { hash } from 'node:crypto'
import { ParallaxError } from '../errors.ts'
import { newId } from '../ids.ts'
import type { Effect, KeptOwner, LeafDraft, Owner } from './log.ts'
import { commitment, freshSalt, LEAF_BYTES_LIMIT, template, type LeafTemplate } from './record.ts'

export interface Entry {
  readonly template: LeafTemplate
  readonly id: string
  readonly type: string
  readonly key: string | null
  readonly perspective: string | null
  readonly status: string | null
  /** The begin of an end, and of what comes in beside one. */
  readonly begin: string | null
  /** A begin's number of choices; 0 for other leaves. */
  readonly choices: number
  /** An end's choice. */
  readonly choice: number
  readonly salt: Uint8Array | null
  readonly payload: Uint8Array | null
  /** Where the payload is sealed already: under which key-encryption key, and the record's own key under that. */
  readonly kek: string | null
  readonly wrapped: Uint8Array | null
  readonly tenant: string | null
  /** The end user, as a hash that only this log can make. */
  readonly subject: string | null
  /** A StoreEffect, as JSON. */
  readonly effect: string | null
  /** Entries of one call are kept together or not at all. */
  readonly call: number
}

/** An effect as a store carries it out: no end user's name in it. */
export type StoreEffect =
  | { readonly erase: readonly string[] }
  | { readonly expire: { readonly from: number, readonly before: number } }
  | { readonly hold: { readonly name: string, readonly rows: readonly HoldRow[] } }
  | { readonly lift: string }
  /** Everything was brought under the key-encryption key of this id. */
  | { readonly rewrapped: string }

export interface HoldRow { readonly kind: 'record' | 'tenant' | 'user' | 'all', readonly value: string }

const SUBJECT_HEX = 32

/** Names an end user without saying who it is: SHA-256 over the log's own secret of 32 bytes, the tenant and the name, cut to 128 bits. */
export function subjectOf (subjectKey: Uint8Array, { tenant, user }: Required<Owner>): string {
  return hash('sha256', Buffer.concat([subjectKey, Buffer.from(`${tenant}\0${user}`)])).slice(0, SUBJECT_HEX)
}

function keptOf (owner: Owner | KeptOwner, subjectKey: Uint8Array): KeptOwner {
  if ('subject' in owner) return owner
  const { tenant, user } = owner
  return { tenant, subject: user === undefined ? null : subjectOf(subjectKey, { tenant, user }) }
}

function storeEffect (effect: Effect, subjectKey: Uint8Array): StoreEffect {
  if (!('hold' in effect)) return effect
  const { name, scope } = effect.hold
  const rows: HoldRow[] = 'all' in scope
    ? [{ kind: 'all', value: '' }]
    : 'records' in scope
      ? scope.records.map((value) => ({ kind: 'record', value }))
      : scope.user === undefined ? [{ kind: 'tenant', value: scope.tenant }] : [{ kind: 'user', value: subjectOf(subjectKey, { tenant: scope.tenant, user: scope.user }) }]
  return { hold: { name, rows } }
}

const text = (value: unknown): string | null => typeof value === 'string' ? value : null

/** Throws `invalid_request` for a leaf that no tile could hold, and what `template` throws. */
export function prepare (draft: LeafDraft, call: number, subjectKey: Uint8Array): Entry {
  const { id, type, key, fields, payload, owner, effect } = draft
  const salt = payload ? freshSalt() : null
  const open = template(draft, payload ? commitment(salt!, id, payload) : null)
  const units = open.head.length + open.middle.length + open.tail.length
  // a UTF-16 unit takes three bytes at most: only what could be too long is counted
  const length = units * 3 <= LEAF_BYTES_LIMIT - NUMBERS ? 0 : Buffer.byteLength(open.head) + Buffer.byteLength(open.middle) + Buffer.byteLength(open.tail) + NUMBERS
  if (length > LEAF_BYTES_LIMIT) throw new ParallaxError('invalid_request', `What has to go on record of this request takes ${length} bytes; a record holds ${LEAF_BYTES_LIMIT}. Shorten the longest member that is not a message.`)
  return {
    call, id, type, key, salt, template: open,
    perspective: text((fields['perspective'] as { id?: unknown } | undefined)?.id),
    status: text(fields['status']),
    begin: type === 'completion.end' || type === 'completion.late' ? text(fields['begin']) : null,
    choices: type === 'completion.begin' ? Number(fields['choices'] ?? 1) : 0,
    choice: Number(fields['choice'] ?? 0),
    payload: payload ?? null,
    kek: null,
    wrapped: null,
    tenant: owner?.tenant ?? null,
    subject: owner === undefined ? null : keptOf(owner, subjectKey).subject,
    effect: effect === undefined ? null : JSON.stringify(storeEffect(effect, subjectKey)),
  }
}

/** Room for key_seq and time, which are filled in later. */
const NUMBERS = 40

/** A clock may wobble by so much without a leaf of its own. */
export const CLOCK_TOLERANCE_MS = 1000

/** A clock that ran back is itself on record: the log's time stands still meanwhile. */
export const clockLeaf = (behindMs: number): Entry => prepare({ type: 'clock.anomaly', id: newId(), key: null, fields: { behind_ms: behindMs } }, 0, new Uint8Array())
