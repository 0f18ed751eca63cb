/** The tree of the PostgreSQL log as outsiders read it, and the check at the start. */
import { checkEdge, type EdgeLeaf, type LogIdentity } from '../edge-check.ts'
import { readLatestCheckpoint } from '../latest-checkpoint.ts'
import type { LogTree } from '../log.ts'
import { consistencyProof, inclusionProof } from '../merkle.ts'
import { openNote, parseCheckpoint, parseVerifier, type Checkpoint, type Signer } from '../note.ts'
import { entryBundle, TILE_WIDTH, tileWidth, tlogProof, type Tile } from '../tile.ts'
import type { Database } from '../../database/database.ts'
import { nodesFor, readTiles } from './nodes.ts'

export function postgresTree (db: Database, { name, verifier }: Pick<Signer, 'name' | 'verifier'>, newest: () => string, refresh: () => Promise<void>): LogTree {
  const check = parseVerifier(verifier)
  const covered = (note: string): Checkpoint => parseCheckpoint(openNote(note, check))
  return {
    origin: name,
    verifier,
    checkpoint: newest,
    async tile ({ level, index, width }: Tile) {
      const { size } = covered(newest())
      if (tileWidth(level, index, size) < width) return null
      if (level === 'entries') {
        const first = index * TILE_WIDTH
        const { rows } = await db.query<{ entry: Buffer }>('SELECT entry FROM parallax.leaf WHERE idx >= $1 AND idx < $2 ORDER BY idx', [first, first + width])
        return entryBundle(rows.map((row) => row.entry))
      }
      return Buffer.concat([...(await readTiles(db, [{ level, index }], size)).values()][0]!.slice(0, width))
    },
    async proof (index) {
      // another replica may have placed it a moment ago, and its receipt is held already
      if (index >= covered(newest()).size) await refresh()
      // the checkpoint moves on while the nodes are read
      const note = newest()
      const { size } = covered(note)
      return index < size ? tlogProof(index, inclusionProof(index, size, await nodesFor(db, size, [index])), note) : null
    },
    async consistency (old, wanted) {
      const size = wanted ?? covered(newest()).size
      return old <= size ? consistencyProof(old, size, await nodesFor(db, size, old > 0 ? [old - 1, old] : [])) : null
    },
  }
}

/** Rejects where the database is not the one that was signed. */
export async function checkTree (db: Database, directory: string, identity: LogIdentity): Promise<void> {
  const { size, checkpoint } = (await db.query<{ size: number, checkpoint: string | null }>('SELECT size, checkpoint FROM parallax.head')).rows[0]!
  const { last } = (await db.query<{ last: number | null }>('SELECT max(idx) AS last FROM parallax.leaf')).rows[0]!
  const outside = readLatestCheckpoint(directory)
  const held = last === null ? 0 : Number(last) + 1
  const sizes = [checkpoint, outside].flatMap((note) => {
    const claimed = Number(note?.split('\n')[1])
    return Number.isSafeInteger(claimed) && claimed > 0 && claimed <= held ? [claimed - 1, claimed] : []
  })
  const losses = (await db.query<{ idx: number, entry: Buffer }>('SELECT idx, entry FROM parallax.leaf WHERE type = \'log.restored\'')).rows
  checkEdge({
    directory, identity, outside,
    losses,
    // the head and the leaves have to agree: a leaf cut off is as bad as an older backup
    size: Math.min(size, held),
    edge: (await db.query<EdgeLeaf>('SELECT idx, entry, hash FROM parallax.leaf ORDER BY idx DESC LIMIT $1', [TILE_WIDTH])).rows,
    kept: checkpoint,
    read: await nodesFor(db, held, [...sizes, ...losses.map(({ idx }) => idx)]),
  })
}
