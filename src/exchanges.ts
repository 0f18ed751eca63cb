/**
 * What every exchange of what answers has in common, whatever server it is at: one at a time, and what had begun ends on the old one, within bounds.
 * Knows nothing of engines or adapters.
 */
import { ParallaxError } from './errors.ts'

export interface Draining { readonly perspective: string, readonly adapter: string, readonly running: number }

export interface Leaving {
  /** What still runs on it, for whoever asks. */
  readonly state: () => readonly Draining[]
  /** Waits until nothing does, within bounds, and ends it. Rejects early where the signal is aborted. */
  readonly end: (signal: AbortSignal) => Promise<void>
}

export interface Exchanges {
  /** Throws `adapter_conflict` while another goes on. */
  alone<T> (work: () => Promise<T>): Promise<T>
  letGo (old: Leaving): void
  draining (): readonly Draining[]
  close (): Promise<void>
}

/** `failed` is told what could not be ended. */
export function makeExchanges (failed: (error: unknown) => void): Exchanges {
  const closed = new AbortController()
  const leaving = new Map<Leaving, Promise<void>>()
  let busy = false
  return {
    async alone (work) {
      if (busy) throw new ParallaxError('adapter_conflict', 'Another adapter is being exchanged. Try again when that is done.')
      busy = true
      try { return await work() } finally { busy = false }
    },
    letGo (old) {
      leaving.set(old, old.end(closed.signal).catch((error: unknown) => { if (!closed.signal.aborted) failed(error) }).finally(() => { leaving.delete(old) }))
    },
    draining: () => [...leaving.keys()].flatMap(({ state }) => state()),
    async close () {
      closed.abort()
      await Promise.all(leaving.values())
    },
  }
}
