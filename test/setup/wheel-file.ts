/** Makes small wheels (zip files) for the tests, whole or damaged. */
import { writeFileSync } from 'node:fs'
import { crc32, deflateRawSync } from 'node:zlib'

const LOCAL = 0x04034b50
const CENTRAL = 0x02014b50
const END = 0x06054b50
const STORED = 0
const DEFLATED = 8

/** Members in order; `stored` leaves them unpacked. The local extra field is longer than the directory's, as some writers do. */
export function wheelBytes (members: Record<string, Buffer>, { stored = false } = {}): Buffer {
  const parts: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const [name, content] of Object.entries(members)) {
    const packed = stored ? content : deflateRawSync(content)
    const extra = Buffer.alloc(4)
    const shared = Buffer.alloc(22)
    shared.writeUInt16LE(20, 0)
    shared.writeUInt16LE(stored ? STORED : DEFLATED, 4)
    shared.writeUInt32LE(crc32(content), 10)
    shared.writeUInt32LE(packed.length, 14)
    shared.writeUInt32LE(content.length, 18)
    const local = Buffer.alloc(30)
    local.writeUInt32LE(LOCAL, 0)
    shared.copy(local, 4)
    local.writeUInt16LE(Buffer.byteLength(name), 26)
    local.writeUInt16LE(extra.length, 28)
    const central = Buffer.alloc(46)
    central.writeUInt32LE(CENTRAL, 0)
    shared.copy(central, 6)
    central.writeUInt16LE(Buffer.byteLength(name), 28)
    central.writeUInt32LE(offset, 42)
    const entry = [local, Buffer.from(name), extra, packed]
    parts.push(...entry)
    directory.push(central, Buffer.from(name))
    offset += entry.reduce((sum, part) => sum + part.length, 0)
  }
  const listed = Buffer.concat(directory)
  const end = Buffer.alloc(22)
  end.writeUInt32LE(END, 0)
  end.writeUInt16LE(Object.keys(members).length, 8)
  end.writeUInt16LE(Object.keys(members).length, 10)
  end.writeUInt32LE(listed.length, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...parts, listed, end])
}

export function writeWheel (path: string, members: Record<string, Buffer>, options = {}): void {
  writeFileSync(path, wheelBytes(members, options))
}
