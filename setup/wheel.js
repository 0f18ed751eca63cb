/**
 * Reads one member out of a wheel (a zip file) as a stream, whatever its size. Only what wheels use: stored or deflated members,
 * no encryption, no zip64. Knows nothing of models, and checks no content: whoever asks compares a digest.
 */
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { createInflateRaw } from 'node:zlib'

/** Signatures and lengths from PKWARE's APPNOTE 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16. */
const END = { signature: 0x06054b50, bytes: 22 }
const CENTRAL = { signature: 0x02014b50, bytes: 46 }
const LOCAL = { signature: 0x04034b50, bytes: 30 }
/** The end record is followed by a comment of at most this length. */
const COMMENT_BYTES = 0xffff
/** In any length or offset: "see the zip64 record". */
const ZIP64 = 0xffffffff
const STORED = 0
const DEFLATED = 8

async function read (file, position, length, what) {
  const buffer = Buffer.alloc(length)
  const { bytesRead } = await file.read(buffer, 0, length, position)
  if (bytesRead < length) throw new Error(`the wheel is cut short: wanted ${length} bytes of its ${what}, found ${bytesRead}`)
  return buffer
}

async function findEnd (file, size) {
  const length = Math.min(size, END.bytes + COMMENT_BYTES)
  const tail = await read(file, size - length, length, 'end')
  for (let at = length - END.bytes; at >= 0; at--) {
    if (tail.readUInt32LE(at) === END.signature) return { count: tail.readUInt16LE(at + 10), bytes: tail.readUInt32LE(at + 12), offset: tail.readUInt32LE(at + 16) }
  }
  throw new Error('the wheel has no zip directory at its end: it is cut short, or no wheel')
}

function * entries (directory, count) {
  let at = 0
  for (let index = 0; index < count; index++) {
    if (at + CENTRAL.bytes > directory.length || directory.readUInt32LE(at) !== CENTRAL.signature) throw new Error(`the wheel's directory is damaged at entry ${index}`)
    const [name, extra, comment] = [28, 30, 32].map((field) => directory.readUInt16LE(at + field))
    yield {
      name: directory.toString('utf8', at + CENTRAL.bytes, at + CENTRAL.bytes + name),
      method: directory.readUInt16LE(at + 10),
      packed: directory.readUInt32LE(at + 20),
      bytes: directory.readUInt32LE(at + 24),
      header: directory.readUInt32LE(at + 42),
    }
    at += CENTRAL.bytes + name + extra + comment
  }
}

/** The streams that yield the member called `member` in any folder of the wheel, to be piped one into the next. Throws when it is not there. */
export async function openMember (path, member) {
  const file = await open(path)
  try {
    const { size } = await file.stat()
    const end = await findEnd(file, size)
    const directory = await read(file, end.offset, end.bytes, 'directory')
    const entry = [...entries(directory, end.count)].find(({ name }) => name.split('/').pop() === member)
    if (!entry) throw new Error(`the wheel has no member ${member}`)
    if ([entry.packed, entry.bytes, entry.header].includes(ZIP64)) throw new Error(`${entry.name} is in zip64 form, which is not read here`)
    if (entry.method !== STORED && entry.method !== DEFLATED) throw new Error(`${entry.name} is packed with method ${entry.method}; only stored and deflated members are read here`)
    const local = await read(file, entry.header, LOCAL.bytes, 'member header')
    if (local.readUInt32LE(0) !== LOCAL.signature) throw new Error(`the wheel is damaged: no member begins where its directory says ${entry.name} does`)
    // the local header's lengths count: its extra field may differ from the directory's
    const start = entry.header + LOCAL.bytes + local.readUInt16LE(26) + local.readUInt16LE(28)
    if (start + entry.packed > size) throw new Error(`the wheel is cut short inside ${entry.name}`)
    // `end` is inclusive, so an empty member has no range
    if (entry.packed === 0) throw new Error(`${entry.name} is empty`)
    const raw = createReadStream(path, { start, end: start + entry.packed - 1, highWaterMark: 1 << 20 })
    return entry.method === DEFLATED ? [raw, createInflateRaw()] : [raw]
  } finally {
    await file.close()
  }
}
