/** The tree's nodes in the database: leaf hashes stand with their leaves, the roots of full tiles in a table of their own; the rest is computed. */
import type { DatabaseSync } from 'node:sqlite'
import type { ReadNode } from '../merkle.ts'
import { nodesFromTiles, TILE_WIDTH } from '../tile.ts'

/** A tile is eight levels high: only every eighth level is kept. */
export const KEPT_EVERY = 8

/** Hashes of a tile, as many as are there in a tree of `size` leaves. */
export type ReadTile = (level: number, index: number, size?: number) => Uint8Array[]

export function tilesOf (db: DatabaseSync): ReadTile {
  const leaves = db.prepare('SELECT hash FROM leaf WHERE idx >= ? AND idx < ? ORDER BY idx')
  const nodes = db.prepare('SELECT hash FROM node WHERE level = ? AND idx >= ? AND idx < ? ORDER BY idx')
  return (level, index, size = Number.MAX_SAFE_INTEGER) => {
    const first = index * TILE_WIDTH
    const last = Math.min(first + TILE_WIDTH, Math.floor(size / TILE_WIDTH ** level))
    const rows = level === 0 ? leaves.all(first, last) : nodes.all(level * KEPT_EVERY, first, last)
    return (rows as { hash: Uint8Array }[]).map((row) => row.hash)
  }
}

export const nodesOf = (db: DatabaseSync): ReadNode => nodesFromTiles(tilesOf(db))
