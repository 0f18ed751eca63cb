/** A leaf's bytes: canonical JSON, its hash (RFC 6962) and its payload's commitment. Pure; knows nothing of storage or HTTP. */
import { hash } from 'node:crypto'
import { canonical, canonicalName, sorted } from '../canonical.ts'
import { ParallaxError } from '../errors.ts'
import { sha256 } from './merkle.ts'
import { randomPooled } from '../random.ts'
import type { LeafDraft } from './log.ts'

/** tlog-tiles carries entries behind a uint16 length. */
export const LEAF_BYTES_LIMIT = 65_535
export const SALT_BYTES = 32

/** What only the log can say of a leaf. */
const RESERVED = new Set(['v', 'type', 'id', 't', 'key', 'key_seq', 'req_commit', 'res_commit', 'payload_commit'])

/** What the log writes into every leaf. */
const ADDED = ['id', 'key', 'key_seq', 't', 'type', 'v'] as const

/** The canonical text of a leaf, open at the two places that only the sequencer can fill: `leaf = head + key_seq + middle + t + tail`. */
export interface LeafTemplate { readonly head: string, readonly middle: string, readonly tail: string }

/** How the payload's commitment is called: by what the payload is. */
const commitName = (type: string): string => type === 'completion.begin' || type === 'completion.refused' ? 'req_commit' : type === 'completion.end' ? 'res_commit' : 'payload_commit'

/** The members of leaves of one kind in their order, each as it is written before its value. */
type Layout = readonly { readonly name: string, readonly text: string }[]

/** Finding the order costs more than writing the values: the leaves of a kind nearly always have the same names, in the same order. */
const layouts = new Map<string, { readonly names: readonly string[], readonly layout: Layout }>()

function layoutOf (type: string, names: readonly string[], committed: string | null): Layout {
  const kind = committed === null ? type : `${type}+`
  const known = layouts.get(kind)
  if (known && known.names.length === names.length && known.names.every((name, at) => name === names[at])) return known.layout
  for (const name of names) if (RESERVED.has(name)) throw new ParallaxError('internal_error', `The member "${name}" of a leaf is the log's to write.`)
  const layout = sorted([...names, ...ADDED, ...(committed === null ? [] : [committed])]).map((name) => ({ name, text: canonicalName(name) }))
  layouts.set(kind, { names, layout })
  return layout
}

/** Throws `internal_error` where the draft names a member that the log adds, and RangeError for a number that JSON cannot hold. */
export function template ({ type, id, key, fields }: LeafDraft, commit: string | null): LeafTemplate {
  const committed = commit === null ? null : commitName(type)
  let head = ''
  let middle = ''
  let text = '{'
  for (const { name, text: written } of layoutOf(type, Object.keys(fields), committed)) {
    const comma = text === '{' ? '' : ','
    if (name === 'key_seq') {
      head = `${text}${comma}${written}`
      text = ''
    } else if (name === 't') {
      middle = `${text}${comma}${written}`
      text = ''
    } else {
      const value = name === 'id' ? id : name === 'key' ? key : name === 'type' ? type : name === 'v' ? 1 : name === committed ? commit : fields[name]
      if (value !== undefined) text += comma + written + canonical(value)
    }
  }
  return { head, middle, tail: `${text}}` }
}

export const fill = ({ head, middle, tail }: LeafTemplate, keySeq: number | null, time: number): string => `${head}${keySeq}${middle}${time}${tail}`

const LEAF_PREFIX = Buffer.from([0])

/** A leaf's bytes and their hash; one text and no copy. */
export function leafOf (open: LeafTemplate, keySeq: number | null, time: number): { readonly bytes: Buffer, readonly hash: Buffer } {
  const prefixed = Buffer.from(`\0${fill(open, keySeq, time)}`)
  return { bytes: prefixed.subarray(1), hash: sha256(prefixed) }
}

/** SHA-256(0x00 ‖ leaf), RFC 6962 §2.1. */
export const leafHash = (leaf: Uint8Array): Buffer => sha256(Buffer.concat([LEAF_PREFIX, leaf]))

/** SHA-256(salt ‖ record id ‖ bytes), base64: hides a short prompt as long as the salt is secret, and goes blind when the salt is erased. */
export const commitment = (salt: Uint8Array, id: string, bytes: Uint8Array): string => hash('sha256', Buffer.concat([salt, Buffer.from(id), bytes]), 'base64')

export const freshSalt = (): Buffer => randomPooled(SALT_BYTES)
