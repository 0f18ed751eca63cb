/** The tree of the SQLite log as outsiders read it, and the check at the start that it is still the tree that was signed. */
import type { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import { readLatestCheckpoint } from '../latest-checkpoint.ts'
import type { LogTree } from '../log.ts'
import { consistencyProof, inclusionProof, rootOf } from '../merkle.ts'
import { nodesOf, tilesOf } from './nodes.ts'
import { openNote, parseCheckpoint, parseVerifier, type Checkpoint, type Signer } from '../note.ts'
import { leafHash } from '../record.ts'
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
    async consistency (old) {
      const { size } = covered()
      return old <= size ? consistencyProof(old, size, readNode) : null
    },
  }
}

/**
 * Throws, for people, where the database is not the one that was signed: behind the largest checkpoint, of another history, of another
 * log, or with an altered leaf at its right edge.
 */
export function checkTree (db: DatabaseSync, directory: string, { name, verifier }: Pick<Signer, 'name' | 'verifier'>): void {
  const refuse = (what: string): never => {
    throw new Error(`The audit log in ${directory} is not the one that was signed: ${what} Nothing was changed. Bring back the newest backup of the whole directory, and look into how this came about before the gateway starts again.`)
  }
  const { size } = db.prepare('SELECT coalesce(max(idx) + 1, 0) AS size FROM leaf').get() as { size: number }
  const edge = db.prepare('SELECT idx, entry, hash FROM leaf ORDER BY idx DESC LIMIT ?').all(TILE_WIDTH) as { idx: number, entry: Uint8Array, hash: Uint8Array }[]
  for (const { idx, entry, hash } of edge) if (!leafHash(entry).equals(hash)) refuse(`leaf ${idx} does not have the hash that was kept with it.`)
  const kept = db.prepare('SELECT value FROM meta WHERE name = \'checkpoint\'').get() as { value: string } | undefined
  const read = nodesOf(db)
  for (const [where, note] of [['in the database', kept?.value], [`in the file ${join(directory, 'checkpoint')}`, readLatestCheckpoint(directory)]] as const) {
    if (note === undefined || note === null) {
      if (size > 0 && where === 'in the database') refuse('it has leaves and no checkpoint.')
      continue
    }
    // its first line, not yet trusted: a log under another name is no forgery
    const claimed = note.slice(0, note.indexOf('\n'))
    if (claimed !== name) refuse(`the checkpoint ${where} is of the log "${claimed}", configured is "${name}".`)
    const checkpoint = open(note, where)
    if (checkpoint.size > size) refuse(`the checkpoint ${where} has ${checkpoint.size} leaves, the database ${size}: it was set back to an older state.`)
    if (!checkpoint.root.equals(rootOf(checkpoint.size, read))) refuse(`the first ${checkpoint.size} leaves do not have the root that the checkpoint ${where} was signed over.`)
  }

  function open (note: string, where: string): Checkpoint {
    try { return parseCheckpoint(openNote(note, parseVerifier(verifier))) } catch (cause) {
      return refuse(`the checkpoint ${where} cannot be opened with this log's key (${(cause as Error).message}).`)
    }
  }
}

