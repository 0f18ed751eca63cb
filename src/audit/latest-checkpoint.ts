/**
 * The largest checkpoint ever signed, kept outside of the database: a database that was set back to an older state is then found out.
 * One block of one file, written in place, so that a death in between leaves the old or the new.
 */
import { closeSync, existsSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const FILE = 'checkpoint'
const BLOCK_BYTES = 1024

export class LatestCheckpoint {
  readonly #file: number

  constructor (directory: string) { this.#file = openSync(join(directory, FILE), existsSync(join(directory, FILE)) ? 'r+' : 'w', 0o600) }

  write (note: string): void {
    const block = Buffer.alloc(BLOCK_BYTES)
    if (block.write(note) !== Buffer.byteLength(note)) throw new Error(`A checkpoint of ${Buffer.byteLength(note)} bytes is longer than its block of ${BLOCK_BYTES}.`)
    writeSync(this.#file, block, 0, BLOCK_BYTES, 0)
  }

  close (): void { closeSync(this.#file) }
}

/** Null where none was ever signed. */
export function readLatestCheckpoint (directory: string): string | null {
  const path = join(directory, FILE)
  if (!existsSync(path)) return null
  const text = readFileSync(path, 'utf8')
  const end = text.indexOf('\0')
  return end === 0 || text === '' ? null : text.slice(0, end < 0 ? undefined : end)
}
