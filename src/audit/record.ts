/** A leaf's bytes: canonical JSON (RFC 8785), its hash (RFC 6962) and its payload's commitment. Pure; knows nothing of storage or HTTP. */
import { hash, randomFillSync } from 'node:crypto'
import { ParallaxError } from '../errors.ts'
import type { Json, LeafDraft } from './log.ts'

/** tlog-tiles carries entries behind a uint16 length. */
export const LEAF_BYTES_LIMIT = 65_535
export const SALT_BYTES = 32

/** What only the log can say of a leaf. */
const RESERVED = new Set(['v', 'type', 'id', 't', 'key', 'key_seq', 'req_commit', 'res_commit', 'payload_commit'])

/** Canonical JSON by RFC 8785. Its rules are ECMAScript's own for numbers and strings; only the order of members is to be made. Members that are undefined are left out. */
export function canonical (value: Json): string {
  if (value === null || typeof value !== 'object') {
    if (typeof value === 'number' && !Number.isFinite(value)) throw new ParallaxError('internal_error', `A leaf cannot hold the number ${value}.`)
    return JSON.stringify(value)
  }
  if (Array.isArray(value)) return `[${(value as readonly Json[]).map(canonical).join(',')}]`
  const members = value as { readonly [name: string]: Json | undefined }
  let text = ''
  for (const name of Object.keys(members).sort()) {
    const member = members[name]
    if (member !== undefined) text += `${text === '' ? '' : ','}${JSON.stringify(name)}:${canonical(member)}`
  }
  return `{${text}}`
}

/** The canonical text of a leaf, open at the two places that only the sequencer can fill: `leaf = head + key_seq + middle + t + tail`. */
export interface LeafTemplate { readonly head: string, readonly middle: string, readonly tail: string }

/** Stand where key_seq and t come; neither can be part of a JSON text, which escapes control characters. */
const KEY_SEQ_SLOT = '\u0001'
const TIME_SLOT = '\u0002'

/** How the payload's commitment is called: by what the payload is. */
const commitName = (type: string): string => type === 'completion.begin' || type === 'completion.refused' ? 'req_commit' : type === 'completion.end' ? 'res_commit' : 'payload_commit'

/** Throws `internal_error` where the draft names a member that the log adds. */
export function template (draft: LeafDraft, commit: string | null): LeafTemplate {
  const members: Record<string, Json | undefined> = { ...draft.fields, v: 1, type: draft.type, id: draft.id, key: draft.key, ...(commit !== null && { [commitName(draft.type)]: commit }) }
  for (const name of Object.keys(draft.fields)) if (RESERVED.has(name)) throw new ParallaxError('internal_error', `The member "${name}" of a leaf is the log's to write.`)
  let text = ''
  for (const name of [...Object.keys(members), 'key_seq', 't'].sort()) {
    const slot = name === 'key_seq' ? KEY_SEQ_SLOT : name === 't' ? TIME_SLOT : undefined
    const member = members[name]
    if (slot === undefined && member === undefined) continue
    text += `${text === '' ? '' : ','}${JSON.stringify(name)}:${slot ?? canonical(member!)}`
  }
  const keySeq = text.indexOf(KEY_SEQ_SLOT)
  const time = text.indexOf(TIME_SLOT)
  return { head: `{${text.slice(0, keySeq)}`, middle: text.slice(keySeq + 1, time), tail: `${text.slice(time + 1)}}` }
}

export const fill = ({ head, middle, tail }: LeafTemplate, keySeq: number | null, time: number): string => `${head}${keySeq}${middle}${time}${tail}`

const LEAF_PREFIX = Buffer.from([0])

/** SHA-256(0x00 ‖ leaf), RFC 6962 §2.1. */
export const leafHash = (leaf: Uint8Array): Buffer => hash('sha256', Buffer.concat([LEAF_PREFIX, leaf]), 'buffer')

/** SHA-256(salt ‖ record id ‖ bytes), base64: hides a short prompt as long as the salt is secret, and goes blind when the salt is erased. */
export const commitment = (salt: Uint8Array, id: string, bytes: Uint8Array): string => hash('sha256', Buffer.concat([salt, Buffer.from(id), bytes]), 'base64')

/** Salts, cut from a pool: asking the system for 32 bytes at a time costs 4 µs a request. */
const POOL_BYTES = SALT_BYTES * 256
const pool = Buffer.alloc(POOL_BYTES)
let used = POOL_BYTES

export function freshSalt (): Buffer {
  if (used === POOL_BYTES) {
    randomFillSync(pool)
    used = 0
  }
  const salt = Buffer.from(pool.subarray(used, used += SALT_BYTES))
  return salt
}
