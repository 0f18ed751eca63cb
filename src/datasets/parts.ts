/** Rows in files: read line by line, written whole or not at all. Memory is one buffer and one row. Knows nothing of stages. */
import { createHash, hash } from 'node:crypto'
import { closeSync, existsSync, openSync, readFileSync, readSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { DatasetError, at } from './dataset-error.ts'

const CHUNK = 1 << 18
const NEWLINE = 0x0a

/** Lines without their ends; the last one needs none. */
export function * lines (file: string): Generator<string> {
  const handle = openSync(file, 'r')
  try {
    const buffer = Buffer.allocUnsafe(CHUNK)
    let rest: Buffer[] = []
    for (let read = readSync(handle, buffer); read > 0; read = readSync(handle, buffer)) {
      let from = 0
      for (let end = buffer.indexOf(NEWLINE, from); end !== -1 && end < read; end = buffer.indexOf(NEWLINE, from)) {
        const piece = buffer.subarray(from, end)
        yield rest.length > 0 ? Buffer.concat([...rest, piece]).toString('utf8') : piece.toString('utf8')
        rest = []
        from = end + 1
      }
      if (from < read) rest.push(Buffer.from(buffer.subarray(from, read)))
    }
    if (rest.length > 0) yield Buffer.concat(rest).toString('utf8')
  } finally { closeSync(handle) }
}

/** The rows of a part that a stage wrote. A line that is no JSON names itself. */
export function * readRows<T> (file: string): Generator<T> {
  let row = 0
  for (const line of lines(file)) {
    row++
    let value: T
    try { value = JSON.parse(line) as T } catch (cause) { throw new DatasetError(`${at(file, row)}: wanted a JSON object, came ${JSON.stringify(line.slice(0, 60))}. The file was changed after its stage wrote it: run that stage again with --fresh.`, { cause }) }
    yield value
  }
}

export interface Written { readonly rows: number, readonly bytes: number, readonly sha256: string }

/** A file that appears under its name only when `close` was called. */
export class FileInTheMaking {
  readonly #file: string
  readonly #handle: number
  readonly #digest = createHash('sha256')
  #pending: string[] = []
  #size = 0
  #rows = 0
  #bytes = 0

  constructor (file: string) {
    this.#file = file
    this.#handle = openSync(`${file}.tmp`, 'w')
  }

  row (value: unknown): void { this.line(JSON.stringify(value)) }

  line (text: string): void {
    this.#rows++
    this.#pending.push(text, '\n')
    this.#size += text.length + 1
    if (this.#size > CHUNK) this.#flush()
  }

  #flush (): void {
    const bytes = Buffer.from(this.#pending.join(''))
    this.#digest.update(bytes)
    let at = 0
    while (at < bytes.length) at += writeSync(this.#handle, bytes, at)
    this.#bytes += bytes.length
    this.#pending = []
    this.#size = 0
  }

  close (): Written {
    this.#flush()
    closeSync(this.#handle)
    renameSync(`${this.#file}.tmp`, this.#file)
    return { rows: this.#rows, bytes: this.#bytes, sha256: this.#digest.digest('hex') }
  }

  abandon (): void {
    closeSync(this.#handle)
    rmSync(`${this.#file}.tmp`, { force: true })
  }
}

/** Writes what comes; where that throws, nothing is left under the name. */
export function writeWhole (file: string, fill: (out: FileInTheMaking) => void): Written {
  const out = new FileInTheMaking(file)
  try { fill(out) } catch (error) { out.abandon(); throw error }
  return out.close()
}

export function writeText (file: string, text: string): Written {
  writeFileSync(`${file}.tmp`, text)
  renameSync(`${file}.tmp`, file)
  return { rows: 1, bytes: Buffer.byteLength(text), sha256: hash('sha256', text) }
}

export const writeJson = (file: string, value: unknown): Written => writeText(file, `${JSON.stringify(value, null, 2)}\n`)

/** `undefined` where there is none, or one that was cut. */
export function readJson<T> (file: string): T | undefined {
  if (!existsSync(file)) return undefined
  try { return JSON.parse(readFileSync(file, 'utf8')) as T } catch { return undefined }
}
