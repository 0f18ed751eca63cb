/** A file as text, chunk by chunk: plain, gzip or Zstandard, and UTF-8 or an error that says where it is not. */
import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import { constants, createGunzip, createZstdDecompress } from 'node:zlib'
import { DatasetError, at } from '../dataset-error.ts'

function bytesOf (file: string): Readable {
  const raw = createReadStream(file)
  const through = /\.gz$/i.test(file) ? createGunzip()
    // dumps are packed with windows of 2 GB, which the format allows and decoders refuse unless told
    : /\.zst$/i.test(file) ? createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: 31 } }) : undefined
  if (through === undefined) return raw
  raw.on('error', (error) => { through.destroy(error) })
  return raw.pipe(through)
}

export async function * textOf (file: string): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let row = 1
  const decode = (bytes?: Buffer): string => {
    try { return bytes === undefined ? decoder.decode() : decoder.decode(bytes, { stream: true }) } catch (cause) {
      const whole = bytes?.[0] === 0xff || bytes?.[0] === 0xfe ? ' It looks like UTF-16.' : ''
      throw new DatasetError(`${at(file, row)} or soon after: wanted UTF-8, came other bytes.${whole} Convert the file (iconv -f … -t utf-8) and declare its new SHA-256.`, { cause })
    }
  }
  const stream = bytesOf(file)
  try {
    for await (const chunk of stream) {
      const text = decode(chunk as Buffer)
      yield text
      for (let i = text.indexOf('\n'); i !== -1; i = text.indexOf('\n', i + 1)) row++
    }
  } catch (cause) {
    if (cause instanceof DatasetError) throw cause
    throw new DatasetError(`${file} cannot be read or unpacked after row ${row}: ${(cause as Error).message}. Fetch it again.`, { cause })
  }
  yield decode()
}

/** Lines that are not empty, with their number. */
export async function * textLines (file: string): AsyncGenerator<{ readonly line: string, readonly row: number }> {
  let rest = ''
  let row = 0
  for await (const text of textOf(file)) {
    const all = (rest + text).split('\n')
    rest = all.pop()!
    for (const line of all) {
      row++
      if (line.trim() !== '') yield { line, row }
    }
  }
  if (rest.trim() !== '') yield { line: rest, row: row + 1 }
}
