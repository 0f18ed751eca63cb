/** A leaf's bytes: canonical JSON, its hash (RFC 6962) and its payload's commitment. Pure; knows nothing of storage or HTTP. */
import { hash } from 'node:crypto'
import { canonicalMember, sorted } from '../canonical.ts'
import { ParallaxError } from '../errors.ts'
import { randomPooled } from '../random.ts'
import type { LeafDraft } from './log.ts'

/** tlog-tiles carries entries behind a uint16 length. */
export const LEAF_BYTES_LIMIT = 65_535
export const SALT_BYTES = 32

/** What only the log can say of a leaf. */
const RESERVED = new Set(['v', 'type', 'id', 't', 'key', 'key_seq', 'req_commit', 'res_commit', 'payload_commit'])

/** The canonical text of a leaf, open at the two places that only the sequencer can fill: `leaf = head + key_seq + middle + t + tail`. */
export interface LeafTemplate { readonly head: string, readonly middle: string, readonly tail: string }

/** How the payload's commitment is called: by what the payload is. */
const commitName = (type: string): string => type === 'completion.begin' || type === 'completion.refused' ? 'req_commit' : type === 'completion.end' ? 'res_commit' : 'payload_commit'

/** Throws `internal_error` where the draft names a member that the log adds, and RangeError for a number that JSON cannot hold. */
export function template ({ type, id, key, fields }: LeafDraft, commit: string | null): LeafTemplate {
  const committed = commitName(type)
  const names = Object.keys(fields)
  for (const name of names) if (RESERVED.has(name)) throw new ParallaxError('internal_error', `The member "${name}" of a leaf is the log's to write.`)
  names.push('id', 'key', 'key_seq', 't', 'type', 'v')
  if (commit !== null) names.push(committed)
  let head = ''
  let middle = ''
  let text = '{'
  for (const name of sorted(names)) {
    const comma = text === '{' ? '' : ','
    if (name === 'key_seq') {
      head = `${text},"key_seq":`
      text = ''
    } else if (name === 't') {
      middle = `${text},"t":`
      text = ''
    } else {
      const value = name === 'id' ? id : name === 'key' ? key : name === 'type' ? type : name === 'v' ? 1 : name === committed && commit !== null ? commit : fields[name]
      if (value !== undefined) text += comma + canonicalMember(name, value)
    }
  }
  return { head, middle, tail: `${text}}` }
}

export const fill = ({ head, middle, tail }: LeafTemplate, keySeq: number | null, time: number): string => `${head}${keySeq}${middle}${time}${tail}`

const LEAF_PREFIX = Buffer.from([0])

/** SHA-256(0x00 ‖ leaf), RFC 6962 §2.1. */
export const leafHash = (leaf: Uint8Array): Buffer => hash('sha256', Buffer.concat([LEAF_PREFIX, leaf]), 'buffer')

/** SHA-256(salt ‖ record id ‖ bytes), base64: hides a short prompt as long as the salt is secret, and goes blind when the salt is erased. */
export const commitment = (salt: Uint8Array, id: string, bytes: Uint8Array): string => hash('sha256', Buffer.concat([salt, Buffer.from(id), bytes]), 'base64')

export const freshSalt = (): Buffer => randomPooled(SALT_BYTES)
