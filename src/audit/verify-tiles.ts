/**
 * A stranger's check of the tiles that a log serves to everyone: that they are the tree which was signed. With an export that adds up to
 * the same root, the public tree and what the auditor was given are one. Built from the pure files only; whoever calls it fetches.
 */
import { RightEdge } from './merkle.ts'
import type { Checkpoint } from './note.ts'
import { splitHashes, TILE_WIDTH, tilePath, tileWidth, type Tile } from './tile.ts'

const TILE_HEIGHT = 8

/** `fetchTile` rejects, with a reason, for what is not there. The first thing that is wrong, or null, and how many tiles were looked at. */
export async function verifyTiles ({ size, root }: Checkpoint, fetchTile: (path: string) => Promise<Uint8Array>): Promise<{ wrong: string | null, tiles: number }> {
  const edge = new RightEdge()
  /** Hashes that the tiles below have made, by the level of the tile that has to hold them; a full tile's worth at most. */
  const made = new Map<number, Uint8Array[]>()
  const done = new Map<number, number>()
  let tiles = 0

  async function hashesOf (tile: Tile): Promise<Uint8Array[]> {
    tiles++
    const hashes = splitHashes(await fetchTile(tilePath(tile)))
    if (hashes.length !== tile.width) throw new Error(`it has ${hashes.length} hashes and should have ${tile.width}`)
    return hashes
  }

  /** Holds what was made for a higher tile against it. */
  async function compare (level: number): Promise<string | null> {
    const own = made.get(level)!
    const tile = { level, index: done.get(level) ?? 0, width: own.length }
    made.set(level, [])
    done.set(level, tile.index + 1)
    const hashes = await hashesOf(tile).catch((error: Error) => error)
    if (hashes instanceof Error) return `${tilePath(tile)}: ${hashes.message}`
    return hashes.every((hash, at) => Buffer.compare(hash, own[at]!) === 0) ? null : `${tilePath(tile)} is not made of the tiles below it`
  }

  for (let index = 0; index * TILE_WIDTH < size; index++) {
    const tile: Tile = { level: 0, index, width: tileWidth(0, index, size) }
    const hashes = await hashesOf(tile).catch((error: Error) => error)
    if (hashes instanceof Error) return { wrong: `${tilePath(tile)}: ${hashes.message}`, tiles }
    for (const hash of hashes) {
      edge.append(hash, (level, _at, node) => {
        if (level % TILE_HEIGHT === 0) made.set(level / TILE_HEIGHT, [...made.get(level / TILE_HEIGHT) ?? [], node])
      })
    }
    for (const [level, own] of made) {
      const wrong = own.length === TILE_WIDTH ? await compare(level) : null
      if (wrong) return { wrong, tiles }
    }
  }
  for (const [level, own] of made) {
    const wrong = own.length > 0 ? await compare(level) : null
    if (wrong) return { wrong, tiles }
  }
  return { wrong: Buffer.compare(edge.root(), root) === 0 ? null : 'the tiles do not add up to the root that was signed', tiles }
}
