/** Looks at a GGUF file before the library does, which reads a broken one for ever. Knows the header and the digest, nothing of the model. */
import { createHash } from 'node:crypto'
import { createReadStream, existsSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { basename } from 'node:path'

/** "GGUF", uint32 version, uint64 tensors, uint64 metadata members: ggml's specification of the format. */
const HEADER_BYTES = 24
const MAGIC = 'GGUF'
const VERSIONS = [2, 3]
/** Beyond what any model has; a broken count would be read to the end of memory. */
const COUNT_LIMIT = 1_000_000n
const TENSOR_BYTES = 24n

/** Throws, for people, where the file is missing or its header cannot be that of a GGUF file. */
export async function checkHeader (path: string, what: string): Promise<void> {
  if (!existsSync(path)) throw new Error(`${what} ${basename(path)} does not exist.`)
  const file = await open(path)
  try {
    const header = Buffer.alloc(HEADER_BYTES)
    const { bytesRead } = await file.read(header, 0, HEADER_BYTES, 0)
    const { size } = await file.stat()
    const sound = bytesRead === HEADER_BYTES && header.toString('latin1', 0, 4) === MAGIC && VERSIONS.includes(header.readUInt32LE(4)) &&
      header.readBigUInt64LE(8) < COUNT_LIMIT && header.readBigUInt64LE(16) < COUNT_LIMIT && BigInt(size) >= header.readBigUInt64LE(8) * TENSOR_BYTES
    if (!sound) throw new Error(`${what} ${basename(path)} cannot be loaded: it is not a GGUF file of version ${VERSIONS.join(' or ')}, or it is damaged.`)
  } finally { await file.close() }
}

export async function sha256 (path: string): Promise<string> {
  const digest = createHash('sha256')
  for await (const part of createReadStream(path)) digest.update(part as Buffer)
  return digest.digest('hex')
}
