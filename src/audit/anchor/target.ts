/** What a place outside the gateway, to which checkpoints are published, promises. */
import type { LogTree } from '../log.ts'
import { openNote, parseCheckpoint, parseVerifier } from '../note.ts'

export interface Signed {
  /** The whole signed note, and what is signed of it. */
  readonly note: string
  readonly text: string
  /** Leaves that it covers. */
  readonly size: number
}

/** With a witness's line to be put behind the note: it was verified. */
export interface Published extends Signed { readonly cosignature?: string }

export interface Target {
  readonly to: 'file' | 'url' | 'witness'
  /** A witness's name, which its signature lines tell everyone. */
  readonly name?: string
  /**
   * Publishes the tree's newest checkpoint and resolves with it. Rejects with a sentence for the operator's log, which holds no address
   * and no path; ends early when `signal` says so, but for a file. `now` is in milliseconds since the epoch.
   */
  publish (tree: LogTree, now: number, signal: AbortSignal): Promise<Published>
}

/** A witness holds something against this log's history: no time will heal that. */
export class Disputed extends Error {
  override readonly name = 'Disputed'
}

/** The newest checkpoint of a tree. Throws where it does not bear the tree's own signature. */
export function newest (tree: LogTree): Signed {
  const note = tree.checkpoint()
  const text = openNote(note, parseVerifier(tree.verifier))
  return { note, text, size: parseCheckpoint(text).size }
}
