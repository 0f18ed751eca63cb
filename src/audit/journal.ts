/**
 * What is about to be sent, written down first: appended to a file by plain writes, which survive the death of this process
 * (not of the machine). Read once, at the start after a crash. Knows nothing of the database.
 */
import { closeSync, existsSync, ftruncateSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { ParallaxError } from '../errors.ts'

/** magic, record id (36 ASCII bytes), choice, length, CRC-32 of the bytes */
const ID_BYTES = 36
const HEADER_BYTES = 4 + ID_BYTES + 2 + 4 + 4
const MAGIC = 0x4a_58_4c_50
/** An idle journal longer than this is emptied; a busy one goes on in a new file. */
const SEGMENT_BYTES = 16 * 1024 * 1024

interface Segment { readonly path: string, readonly fd: number, bytes: number, readonly open: Set<string> }

export class Journal {
  readonly #directory: string
  readonly #open = new Map<string, Set<Segment>>()
  #segment: Segment
  #number = 0

  /** Starts empty: call `readJournal` first where there may be something to recover. */
  constructor (directory: string) {
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
    try {
      for (let at = 0; at < frame.length;) at += writeSync(segment.fd, frame, at)
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
      else if (segment.bytes > SEGMENT_BYTES / 16) {
        ftruncateSync(segment.fd, 0)
        segment.bytes = 0
      }
    }
  }

  /** Removes what is not needed; what is still open stays for the next start. */
  close (): void {
    for (const segment of new Set([this.#segment, ...[...this.#open.values()].flatMap((each) => [...each])])) {
      if (segment.open.size === 0) discard(segment)
      else closeSync(segment.fd)
    }
  }

  #next (): Segment {
    const path = join(this.#directory, `${String(this.#number++).padStart(8, '0')}.journal`)
    return { path, fd: openSync(path, 'a', 0o600), bytes: 0, open: new Set() }
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

/** What a crashed process had journalled: record id -> choice -> bytes in order. A torn or damaged frame ends its file. */
export function readJournal (directory: string): Map<string, Map<number, Buffer>> {
  const folder = join(directory, 'journal')
  const parts = new Map<string, Map<number, Buffer[]>>()
  if (!existsSync(folder)) return new Map()
  for (const name of readdirSync(folder).sort()) {
    const file = readFileSync(join(folder, name))
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
