/** Two attempts at one thing: the second begins when the first is slow, the first that succeeds wins, the other is aborted at once. Knows nothing of experts. */

type Attempt<T> = (signal: AbortSignal) => Promise<T>

export interface Race<T> {
  readonly signal: AbortSignal
  readonly afterMs: number
  readonly first: Attempt<T>
  /** Asked when the time has come; undefined: there is no second. */
  readonly second: () => Attempt<T> | undefined
  /** Given the result of one that succeeded too late. */
  readonly discard: (value: T) => void
}

/** Why the slower of two was aborted. */
export class Outrun extends Error { override readonly name = 'Outrun' }

/** Rejects when nothing can succeed any more, with the first error; a first that fails before its time is not waited for. */
export function race<T> ({ signal, afterMs, first, second, discard }: Race<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const running = new Set<AbortController>()
    let failure: { readonly error: Error } | undefined
    let won = false

    function run (attempt: Attempt<T>): void {
      const own = new AbortController()
      running.add(own)
      attempt(AbortSignal.any([signal, own.signal])).then((value) => {
        running.delete(own)
        if (won) { discard(value); return }
        won = true
        clearTimeout(timer)
        for (const other of running) other.abort(new Outrun('another was quicker'))
        resolve(value)
      }, (error: unknown) => {
        running.delete(own)
        if (won) return
        failure ??= { error: error as Error }
        if (running.size > 0) return
        clearTimeout(timer)
        reject(failure.error)
      })
    }

    const timer = setTimeout(() => {
      const other = second()
      if (other) run(other)
    }, afterMs)
    run(first)
  })
}
