/** Files that others may read, written whole or not at all, and there after a power loss. Knows nothing of what is in them. */
import { randomUUID } from 'node:crypto'
import { closeSync, fsyncSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { renameDurably } from '../private-file.ts'

export function writeDurably (path: string, data: string | Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true })
  // a name of its own: two processes may finish the same release
  const draft = `${path}.${randomUUID()}`
  try {
    const file = openSync(draft, 'wx', 0o644)
    try {
      const bytes = Buffer.from(data)
      for (let sent = 0; sent < bytes.length;) sent += writeSync(file, bytes, sent)
      fsyncSync(file)
    } finally { closeSync(file) }
    renameDurably(draft, path)
  } finally { rmSync(draft, { force: true }) }
}
