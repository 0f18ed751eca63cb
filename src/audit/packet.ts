/** One group of leaves as one buffer, and the sequencer's answer as another: many small messages to a thread cost more than the writing. */
import type { Entry } from './entry.ts'

const STRINGS = ['id', 'type', 'key', 'perspective', 'status', 'begin', 'tenant', 'subject', 'effect', 'kek'] as const
const ABSENT = 0xffff_ffff

/** Bytes that an entry takes at most beside its payload: three bytes a UTF-16 unit, and the lengths. */
const roomFor = (entry: Entry): number => {
  let units = entry.template.head.length + entry.template.middle.length + entry.template.tail.length
  for (const name of STRINGS) units += entry[name]?.length ?? 0
  return units * 3 + 96 + (entry.payload?.length ?? 0) + 32 + (entry.wrapped?.length ?? 0)
}

/** Written to the beginning of `room` where there is one that is large enough, else to memory of its own. */
export function packEntries (entries: readonly Entry[], room?: SharedArrayBuffer): Uint8Array {
  const needed = entries.reduce((sum, entry) => sum + roomFor(entry), 4)
  const buffer = room && needed <= room.byteLength ? Buffer.from(room) : Buffer.allocUnsafeSlow(needed)
  let at = buffer.writeUInt32LE(entries.length, 0)
  const text = (value: string | null): void => {
    if (value === null) { at = buffer.writeUInt32LE(ABSENT, at); return }
    const length = buffer.write(value, at + 4)
    buffer.writeUInt32LE(length, at)
    at += 4 + length
  }
  const bytes = (value: Uint8Array | null): void => {
    at = buffer.writeUInt32LE(value === null ? ABSENT : value.length, at)
    if (value === null) return
    buffer.set(value, at)
    at += value.length
  }
  for (const entry of entries) {
    at = buffer.writeUInt32LE(entry.call, at)
    at = buffer.writeUInt32LE(entry.choices, at)
    at = buffer.writeUInt32LE(entry.choice, at)
    for (const name of STRINGS) text(entry[name])
    text(entry.template.head)
    text(entry.template.middle)
    text(entry.template.tail)
    bytes(entry.salt)
    bytes(entry.payload)
    bytes(entry.wrapped)
  }
  return new Uint8Array(buffer.buffer, 0, at)
}

export function unpackEntries (packed: Uint8Array): Entry[] {
  const buffer = Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength)
  let at = 4
  const number = (): number => { const value = buffer.readUInt32LE(at); at += 4; return value }
  const bytes = (): Uint8Array | null => {
    const length = number()
    return length === ABSENT ? null : buffer.subarray(at, at += length)
  }
  const text = (): string | null => {
    const length = number()
    return length === ABSENT ? null : buffer.toString('utf8', at, at += length)
  }
  return Array.from({ length: buffer.readUInt32LE(0) }, () => {
    const call = number()
    const choices = number()
    const choice = number()
    const [id, type, key, perspective, status, begin, tenant, subject, effect, kek] = [text()!, text()!, text(), text(), text(), text(), text(), text(), text(), text()]
    const template = { head: text()!, middle: text()!, tail: text()! }
    return { call, choices, choice, id, type, key, perspective, status, begin, tenant, subject, effect, kek, template, salt: bytes(), payload: bytes(), wrapped: bytes() }
  })
}

/** What became of an entry. */
export interface Placed { readonly index: number, readonly keySeq: number | null, readonly hash: Buffer }
/** `duplicate`: its id is in the log already; `refused`: the store could not commit. */
export type Outcome = Placed | 'duplicate' | 'refused'

const PLACED_BYTES = 8 + 8 + 32
const DUPLICATE = -1
const REFUSED = -2

/** To `room`, as packEntries. */
export function packOutcomes (outcomes: readonly Outcome[], room?: SharedArrayBuffer): Uint8Array {
  const needed = outcomes.length * PLACED_BYTES
  const buffer = room && needed <= room.byteLength ? Buffer.from(room) : Buffer.allocUnsafeSlow(needed)
  let at = 0
  for (const outcome of outcomes) {
    if (typeof outcome === 'string') buffer.writeDoubleLE(outcome === 'duplicate' ? DUPLICATE : REFUSED, at)
    else {
      buffer.writeDoubleLE(outcome.index, at)
      buffer.writeDoubleLE(outcome.keySeq ?? -1, at + 8)
      buffer.set(outcome.hash, at + 16)
    }
    at += PLACED_BYTES
  }
  return new Uint8Array(buffer.buffer, 0, at)
}

export function unpackOutcomes (packed: Uint8Array): Outcome[] {
  const buffer = Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength)
  return Array.from({ length: buffer.length / PLACED_BYTES }, (_, place) => {
    const at = place * PLACED_BYTES
    const index = buffer.readDoubleLE(at)
    if (index < 0) return index === DUPLICATE ? 'duplicate' : 'refused'
    const keySeq = buffer.readDoubleLE(at + 8)
    return { index, keySeq: keySeq < 0 ? null : keySeq, hash: buffer.subarray(at + 16, at + PLACED_BYTES) }
  })
}
