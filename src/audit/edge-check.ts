/** The check at the start, on any store: is this still the log that was signed? Pure. */
import { inclusionProof, rootOf, verifyInclusion, type ReadNode } from './merkle.ts'
import { openNote, parseCheckpoint, parseVerifier, type Checkpoint } from './note.ts'
import { leafHash } from './record.ts'

export interface EdgeLeaf { readonly idx: number, readonly entry: Uint8Array, readonly hash: Uint8Array }

/** The log's name and the keys that its checkpoints may bear: the present one, and those before it. */
export interface LogIdentity { readonly name: string, readonly verifier: string, readonly previous: readonly string[] }

export interface EdgeFacts {
  readonly directory: string
  readonly identity: LogIdentity
  readonly size: number
  /** The last leaves, as many as a tile holds. */
  readonly edge: readonly EdgeLeaf[]
  /** The newest checkpoint that the store keeps, and the largest one that was kept outside of it. */
  readonly kept: string | null
  readonly outside: string | null
  readonly read: ReadNode
  /** The log's `log.restored` leaves, as the store has them: a loss that is on record already is no news to another replica. */
  readonly losses?: readonly Pick<EdgeLeaf, 'idx' | 'entry'>[]
}

/** A store that stands behind what was signed: the operator may accept that, on record. Its message is for people. */
export class SetBackError extends Error {
  override readonly name = 'SetBackError'
  readonly lost: Checkpoint
  constructor (message: string, lost: Checkpoint) {
    super(message)
    this.lost = lost
  }
}

/**
 * Throws, for people, where the store is altered at its right edge, or of another log; SetBackError where it is behind the largest
 * checkpoint, or of another history than it.
 */
export function checkEdge ({ directory, identity: { name, verifier, previous }, size, edge, kept, outside, read, losses = [] }: EdgeFacts): void {
  const isNot = `The audit log in ${directory} is not the one that was signed:`
  const refuse = (what: string): never => {
    throw new Error(`${isNot} ${what} Nothing was changed. Bring back the newest backup of the whole log, and look into how this came about before the gateway starts again.`)
  }
  const setBack = (what: string, lost: Checkpoint): never => {
    throw new SetBackError(`${isNot} ${what} Nothing was changed. Bring back the newest backup of the whole log. If this is the newest there is, go on from it with the loss on record: parallax audit accept-restore --reason "…"`, lost)
  }
  for (const { idx, entry, hash } of edge) if (!leafHash(entry).equals(hash)) refuse(`leaf ${idx} does not have the hash that was kept with it.`)
  if (size > 0 && kept === null) refuse('it has leaves and no checkpoint.')
  const signed = kept === null ? null : check(kept, 'in the database', refuse)
  if (outside !== null) check(outside, `in the file checkpoint of ${directory}`, setBack, acceptedIn(signed))

  /** Only what is signed counts: anybody who can write to the database could put a leaf there. */
  function acceptedIn (tree: Checkpoint | null): number {
    const accepted = losses.filter(({ idx, entry }) => tree !== null && idx < tree.size && verifyInclusion(idx, tree.size, leafHash(entry), inclusionProof(idx, tree.size, read), tree.root))
    return Math.max(0, ...accepted.map(({ entry }) => (JSON.parse(Buffer.from(entry).toString('utf8')) as { lost_size: number }).lost_size))
  }

  function check (note: string, where: string, blame: (what: string, checkpoint: Checkpoint) => never, accepted = 0): Checkpoint {
    // its first line, not yet trusted: a log under another name is no forgery
    const claimed = note.slice(0, note.indexOf('\n'))
    if (claimed !== name) refuse(`the checkpoint ${where} is of the log "${claimed}", configured is "${name}". If DATABASE_URL, PARALLAX_LOG_ORIGIN or DATA_DIR was just set or unset, undo that: each log has a data directory of its own.`)
    const checkpoint = open(note, where)
    if (checkpoint.size <= accepted) return checkpoint
    if (checkpoint.size > size) blame(`the checkpoint ${where} has ${checkpoint.size} leaves, the database ${size}: it was set back to an older state.`, checkpoint)
    if (!checkpoint.root.equals(rootOf(checkpoint.size, read))) blame(`the first ${checkpoint.size} leaves do not have the root that the checkpoint ${where} was signed over.`, checkpoint)
    return checkpoint
  }

  function open (note: string, where: string): Checkpoint {
    const failures: string[] = []
    for (const key of [verifier, ...previous]) {
      try { return parseCheckpoint(openNote(note, parseVerifier(key))) } catch (error) { failures.push((error as Error).message) }
    }
    return refuse(`the checkpoint ${where} cannot be opened with this log's key (${failures[0]}).`)
  }
}
