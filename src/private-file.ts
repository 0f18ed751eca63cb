/** Files that only their owner may read (mode 0600), written whole or not at all. Knows nothing of what is in them. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

/** Windows has no such modes; there the user's own profile directory guards the files. */
const HAS_MODES = process.platform !== 'win32'

/** The permission bits of others and of the group that `path` grants, as `0644`; null when there are none. */
export function tooOpen (path: string): string | null {
  const mode = statSync(path).mode & 0o777
  return HAS_MODES && (mode & 0o077) !== 0 ? mode.toString(8).padStart(4, '0') : null
}

/** After a crash `path` holds its old content or the new one, never half. When it returns, the new one survives a power loss. */
export function writePrivate (path: string, data: string | Uint8Array): void {
  const draft = `${path}.new`
  rmSync(draft, { force: true })
  const file = openSync(draft, 'wx', 0o600)
  try {
    const bytes = Buffer.from(data)
    for (let sent = 0; sent < bytes.length;) sent += writeSync(file, bytes, sent)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameDurably(draft, path)
}

/** The rename itself survives a power loss once this returns. */
export function renameDurably (from: string, to: string): void {
  renameSync(from, to)
  if (!HAS_MODES) return
  const directory = openSync(dirname(to), 'r')
  try { fsyncSync(directory) } finally { closeSync(directory) }
}
