/**
 * What is about to be sent, written down first: appended to a file by plain writes, which survive the death of this process
 * (not of the machine). Read once, at the start after a crash. Knows nothing of the database.
 *
 * A file is one stream of AES-256-CTR under a key of its own, which stands wrapped at its head: one cipher for a whole file costs a
 * chunk 1 µs, one for each chunk would cost 5. Nothing authenticates it but its checksums: it lives until its answers are in the log.
 */
import { createCipheriv, createDecipheriv, createSecretKey, randomBytes, type Cipheriv } from 'node:crypto'
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { ParallaxError } from '../errors.ts'
import type { Keyring } from './seal/keyring.ts'
import { unwrap, wrap } from './seal/seal.ts'

/** magic, record id (36 ASCII bytes), choice, length, CRC-32 of the bytes */
const ID_BYTES = 36
const HEADER_BYTES = 4 + ID_BYTES + 2 + 4 + 4
const MAGIC = 0x4a_58_4c_50
/** A file longer than this is followed by a new one, and one that nobody needs any more is removed from a sixteenth of it on. */
const SEGMENT_BYTES = 16 * 1024 * 1024

/** magic, id of the key-encryption key, wrapped key, first counter block */
const HEAD_MAGIC = Buffer.from('PLXJRNL2')
const KEK_BYTES = 16
const WRAPPED_BYTES = 60
const COUNTER_BYTES = 16
const HEAD_BYTES = HEAD_MAGIC.length + KEK_BYTES + WRAPPED_BYTES + COUNTER_BYTES
const CIPHER = 'aes-256-ctr'

interface Segment { readonly path: string, readonly fd: number, readonly key: Buffer, readonly counter: Buffer, readonly cipher: Cipheriv, bytes: number, readonly open: Set<string> }

const headOf = (ring: Keyring, key: Uint8Array, counter: Uint8Array): Buffer => Buffer.concat([HEAD_MAGIC, Buffer.from(ring.current.id, 'latin1'), wrap(ring, key), counter])

export class Journal {
  readonly #directory: string
  #ring: Keyring
  readonly #open = new Map<string, Set<Segment>>()
  #segment: Segment
  #number = 0

  /** Starts empty: call `readJournal` first where there may be something to recover. */
  constructor (directory: string, ring: Keyring) {
    this.#ring = ring
    this.#directory = join(directory, 'journal')
    rmSync(this.#directory, { recursive: true, force: true })
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 })
    this.#segment = this.#next()
  }

  /** When it returns the bytes survive a `kill -9`. Throws `audit_unavailable`; then nothing of them may be sent. */
  append (record: string, choice: number, bytes: Uint8Array): void {
    if (this.#segment.bytes > SEGMENT_BYTES) this.#rotate()
    const segment = this.#segment
    const frame = Buffer.allocUnsafe(HEADER_BYTES + bytes.length)
    frame.writeUInt32LE(MAGIC, 0)
    frame.write(record, 4, ID_BYTES, 'latin1')
    frame.writeUInt16LE(choice, 4 + ID_BYTES)
    frame.writeUInt32LE(bytes.length, 6 + ID_BYTES)
    frame.writeUInt32LE(crc32(bytes), 10 + ID_BYTES)
    frame.set(bytes, HEADER_BYTES)
    const sealed = segment.cipher.update(frame)
    try {
      for (let at = 0; at < sealed.length;) at += writeSync(segment.fd, sealed, at)
    } catch (cause) {
      // a torn frame must not hide what comes after it: go on in a new file
      try { this.#rotate() } catch { /* the next append tries again */ }
      throw new ParallaxError('audit_unavailable', 'The audit journal cannot be written, so nothing more is sent. The operator has to look at the disk of the data directory.', { cause, retryAfter: 5 })
    }
    segment.bytes += frame.length
    segment.open.add(record)
    let segments = this.#open.get(record)
    if (!segments) this.#open.set(record, segments = new Set())
    segments.add(segment)
  }

  /** The record is closed in the log: what was journalled for it is not needed any more. */
  release (record: string): void {
    const segments = this.#open.get(record)
    if (!segments) return
    this.#open.delete(record)
    for (const segment of segments) {
      segment.open.delete(record)
      if (segment.open.size > 0) continue
      if (segment !== this.#segment) discard(segment)
      // not emptied and used again: the cipher would go on where the file begins
      else if (segment.bytes > SEGMENT_BYTES / 16) {
        try { this.#rotate() } catch { /* the next append says it to somebody */ }
      }
    }
  }

  /** What was journalled of records that are closed is not to stay any longer than that of those still open beside them. */
  forget (): void {
    if (this.#segment.bytes > 0) this.#rotate()
  }

  /** The files of this moment open under `ring`'s current key from now on. */
  rekey (ring: Keyring): void {
    this.#ring = ring
    for (const { fd, key, counter } of this.#segments()) writeSync(fd, headOf(ring, key, counter), 0, HEAD_BYTES, 0)
  }

  /** Removes what is not needed; what is still open stays for the next start. */
  close (): void {
    for (const segment of this.#segments()) {
      if (segment.open.size === 0) discard(segment)
      else closeSync(segment.fd)
    }
  }

  #segments (): Set<Segment> {
    return new Set([this.#segment, ...[...this.#open.values()].flatMap((each) => [...each])])
  }

  #next (): Segment {
    const path = join(this.#directory, `${String(this.#number++).padStart(8, '0')}.journal`)
    const key = randomBytes(32)
    const counter = randomBytes(COUNTER_BYTES)
    const fd = openSync(path, 'w', 0o600)
    try {
      if (writeSync(fd, headOf(this.#ring, key, counter)) !== HEAD_BYTES) throw new Error('the disk is full')
    } catch (error) {
      closeSync(fd)
      throw error
    }
    return { path, fd, key, counter, cipher: createCipheriv(CIPHER, createSecretKey(key), counter), bytes: 0, open: new Set() }
  }

  #rotate (): void {
    const full = this.#segment
    this.#segment = this.#next()
    if (full.open.size === 0) discard(full)
  }
}

function discard (segment: Segment): void {
  closeSync(segment.fd)
  rmSync(segment.path, { force: true })
}

/** A file in clear. Empty where its head is not whole: nothing was written behind it then. Throws where its key cannot be unwrapped. */
function opened (path: string, ring: Keyring): Buffer {
  const file = readFileSync(path)
  // the journals of the first version lay in clear
  if (!file.subarray(0, HEAD_MAGIC.length).equals(HEAD_MAGIC)) return file
  if (file.length < HEAD_BYTES) return Buffer.alloc(0)
  const wrappedAt = HEAD_MAGIC.length + KEK_BYTES
  const counterAt = wrappedAt + WRAPPED_BYTES
  try {
    const key = unwrap(ring, file.toString('latin1', HEAD_MAGIC.length, wrappedAt), file.subarray(wrappedAt, counterAt))
    return createDecipheriv(CIPHER, createSecretKey(key), file.subarray(counterAt, HEAD_BYTES)).update(file.subarray(HEAD_BYTES))
  } catch (cause) {
    throw new Error(`The journal ${path} of a gateway that died cannot be opened (${(cause as Error).message}). Bring back the key-encryption key that it ran with; or, to give up what it had sent of answers that were cut off, remove the file.`, { cause })
  }
}

/** What a crashed process had journalled: record id -> choice -> bytes in order. A torn or damaged frame ends its file. */
export function readJournal (directory: string, ring: Keyring): Map<string, Map<number, Buffer>> {
  const folder = join(directory, 'journal')
  const parts = new Map<string, Map<number, Buffer[]>>()
  if (!existsSync(folder)) return new Map()
  for (const name of readdirSync(folder).sort()) {
    const file = opened(join(folder, name), ring)
    for (let at = 0; at + HEADER_BYTES <= file.length && file.readUInt32LE(at) === MAGIC;) {
      const length = file.readUInt32LE(at + 6 + ID_BYTES)
      const bytes = file.subarray(at + HEADER_BYTES, at + HEADER_BYTES + length)
      if (bytes.length < length || crc32(bytes) !== file.readUInt32LE(at + 10 + ID_BYTES)) break
      const record = file.toString('latin1', at + 4, at + 4 + ID_BYTES)
      const choice = file.readUInt16LE(at + 4 + ID_BYTES)
      const choices = parts.get(record) ?? new Map<number, Buffer[]>()
      const list = choices.get(choice) ?? []
      list.push(bytes)
      parts.set(record, choices.set(choice, list))
      at += HEADER_BYTES + length
    }
  }
  return new Map([...parts].map(([record, choices]) => [record, new Map([...choices].map(([choice, list]) => [choice, Buffer.concat(list)]))]))
}
