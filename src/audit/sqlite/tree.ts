/** The tree of the SQLite log as outsiders read it, and the check at the start that it is still the tree that was signed. */
import type { DatabaseSync } from 'node:sqlite'
import { readLatestCheckpoint } from '../latest-checkpoint.ts'
import type { LogTree } from '../log.ts'
import { checkEdge, type EdgeLeaf, type LogIdentity } from '../edge-check.ts'
import { consistencyProof, inclusionProof } from '../merkle.ts'
import { nodesOf, tilesOf } from './nodes.ts'
import { openNote, parseCheckpoint, parseVerifier, type Checkpoint, type Signer } from '../note.ts'
import { entryBundle, TILE_WIDTH, tileWidth, tlogProof, type Tile } from '../tile.ts'

export function sqliteTree (db: DatabaseSync, { name, verifier }: Pick<Signer, 'name' | 'verifier'>, newest: () => string): LogTree {
  const readTile = tilesOf(db)
  const readNode = nodesOf(db)
  const entries = db.prepare('SELECT entry FROM leaf WHERE idx >= ? AND idx < ? ORDER BY idx')
  const check = parseVerifier(verifier)
  const covered = (): Checkpoint => parseCheckpoint(openNote(newest(), check))
  return {
    origin: name,
    verifier,
    checkpoint: newest,
    async tile ({ level, index, width }: Tile) {
      const { size } = covered()
      if (tileWidth(level, index, size) < width) return null
      const first = index * TILE_WIDTH
      if (level === 'entries') return entryBundle((entries.all(first, first + width) as { entry: Uint8Array }[]).map((row) => row.entry))
      return Buffer.concat(readTile(level, index, size).slice(0, width))
    },
    async proof (index) {
      const { size } = covered()
      return index < size ? tlogProof(index, inclusionProof(index, size, readNode), newest()) : null
    },
    async consistency (old, wanted) {
      const size = wanted ?? covered().size
      return old <= size ? consistencyProof(old, size, readNode) : null
    },
  }
}

/** Throws where the database is not the one that was signed. */
export function checkTree (db: DatabaseSync, directory: string, identity: LogIdentity): void {
  const { size } = db.prepare('SELECT coalesce(max(idx) + 1, 0) AS size FROM leaf').get() as { size: number }
  const kept = db.prepare('SELECT value FROM meta WHERE name = \'checkpoint\'').get() as { value: string } | undefined
  checkEdge({
    directory, identity, size,
    edge: db.prepare('SELECT idx, entry, hash FROM leaf ORDER BY idx DESC LIMIT ?').all(TILE_WIDTH) as unknown as EdgeLeaf[],
    kept: kept?.value ?? null,
    outside: readLatestCheckpoint(directory),
    read: nodesOf(db),
  })
}
