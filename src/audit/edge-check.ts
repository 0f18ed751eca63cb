/** The check at the start, on any store: is this still the log that was signed? Pure. */
import { join } from 'node:path'
import { rootOf, type ReadNode } from './merkle.ts'
import { openNote, parseCheckpoint, parseVerifier, type Checkpoint, type Signer } from './note.ts'
import { leafHash } from './record.ts'

export interface EdgeLeaf { readonly idx: number, readonly entry: Uint8Array, readonly hash: Uint8Array }

export interface EdgeFacts {
  readonly directory: string
  readonly signer: Pick<Signer, 'name' | 'verifier'>
  readonly size: number
  /** The last leaves, as many as a tile holds. */
  readonly edge: readonly EdgeLeaf[]
  /** The newest checkpoint that the store keeps, and the largest one that was kept outside of it. */
  readonly kept: string | null
  readonly outside: string | null
  readonly read: ReadNode
}

/** Throws, for people, where the store is behind the largest checkpoint, of another history, of another log, or altered at its right edge. */
export function checkEdge ({ directory, signer: { name, verifier }, size, edge, kept, outside, read }: EdgeFacts): void {
  const refuse = (what: string): never => {
    throw new Error(`The audit log in ${directory} is not the one that was signed: ${what} Nothing was changed. Bring back the newest backup of the whole directory, and look into how this came about before the gateway starts again.`)
  }
  for (const { idx, entry, hash } of edge) if (!leafHash(entry).equals(hash)) refuse(`leaf ${idx} does not have the hash that was kept with it.`)
  const file = `in the file ${join(directory, 'checkpoint')}`
  for (const [where, note] of [['in the database', kept], [file, outside]] as const) {
    if (note === null) {
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
