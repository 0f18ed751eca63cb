/**
 * Which version is in force: both sides or neither, also after a crash. One file decides; the declarations and cards are copies that follow it.
 * Knows nothing of gates or engines.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import type { Perspective } from '../perspectives/perspective.ts'
import { readJson } from './read-json.ts'
import { ReleaseError } from './release-error.ts'
import { readVersion, versionsOf, type Version } from './version.ts'
import { writeDurably } from './write.ts'

const pendingPath = (root: string): string => join(versionsOf(root), 'pending.json')
const pending = z.strictObject({ version: z.string() })

/** From here on the version is the one in force, whatever happens next: what is not finished now is finished before anybody reads. */
export function decide (root: string, version: string): void {
  writeDurably(pendingPath(root), `${JSON.stringify({ version })}\n`)
}

/** Brings the copies after what was decided. Nothing to do is the usual case. Throws where it cannot be done; then nobody may read the copies. */
export function finishPending (root: string): void {
  const path = pendingPath(root)
  if (!existsSync(path)) return
  const { version } = readJson(path, 'decision on a release', pending).value
  const { files } = readVersion(root, version, { weights: false })
  for (const [name, text] of files) {
    const target = join(root, name)
    if (!existsSync(target) || readFileSync(target, 'utf8') !== text) writeDurably(target, text)
  }
  rmSync(path, { force: true })
}

/** What is released together: the sides and whoever lies beside them. One folder, for there is nothing that could decide over two. */
export function together (all: readonly Perspective[]): { readonly root: string, readonly perspectives: readonly Perspective[] } {
  const roots = [...new Set(all.filter(({ lean }) => lean !== null).map(({ folder }) => dirname(folder)))]
  if (roots.length !== 1) throw new ReleaseError(`Sides that are released together have to lie in one folder; these lie in ${roots.join(' and ') || 'none'}.`)
  const [root] = roots as [string]
  return { root, perspectives: all.filter(({ folder }) => dirname(folder) === root) }
}

/** The perspectives as a version declares them. */
export const declaredBy = (root: string, { declarations }: Version): Perspective[] =>
  [...declarations].map(([id, one]) => ({ ...one, folder: join(root, id) }))
