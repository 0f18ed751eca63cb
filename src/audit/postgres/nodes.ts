/** The tree's nodes in PostgreSQL. The tree's arithmetic is synchronous, so what it will ask for is fetched first. */
import type { ReadNode } from '../merkle.ts'
import { nodesFromTiles, TILE_WIDTH } from '../tile.ts'
import type { Connection, Database } from '../../database/database.ts'

/** A tile is eight levels high: only every eighth level is kept. */
export const KEPT_EVERY = 8

/** Hashes of some tiles, as wide as a tree of `size` leaves has them. Key: `level/index`. */
export async function readTiles (db: Database | Connection, wanted: readonly { level: number, index: number }[], size: number): Promise<Map<string, Uint8Array[]>> {
  const tiles = new Map<string, Uint8Array[]>()
  for (const { level, index } of wanted) {
    const first = index * TILE_WIDTH
    const last = Math.min(first + TILE_WIDTH, Math.floor(size / TILE_WIDTH ** level))
    const { rows } = level === 0
      ? await db.query<{ hash: Buffer }>('SELECT hash FROM parallax.leaf WHERE idx >= $1 AND idx < $2 ORDER BY idx', [first, last])
      : await db.query<{ hash: Buffer }>('SELECT hash FROM parallax.node WHERE level = $1 AND idx >= $2 AND idx < $3 ORDER BY idx', [level * KEPT_EVERY, first, last])
    tiles.set(`${level}/${index}`, rows.map((row) => row.hash))
  }
  return tiles
}

/** Reads every node that the root of `size` leaves, and proofs about the leaves `indices` in it, are made of. */
export async function nodesFor (db: Database | Connection, size: number, indices: readonly number[] = []): Promise<ReadNode> {
  const wanted: { level: number, index: number }[] = []
  for (let level = 0; TILE_WIDTH ** level <= size; level++) {
    // the last complete node of each level, and those on the paths
    const nodes = Math.floor(size / TILE_WIDTH ** level)
    const places = new Set([nodes - 1, ...indices.map((index) => Math.min(Math.floor(index / TILE_WIDTH ** level), nodes - 1))].map((node) => Math.floor(node / TILE_WIDTH)))
    for (const index of places) wanted.push({ level, index })
  }
  const tiles = await readTiles(db, wanted, size)
  return nodesFromTiles((level, index) => tiles.get(`${level}/${index}`) ?? [])
}
