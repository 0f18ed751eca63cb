/** The readable side of a streamed answer, fed by hand and bounded: its writers wait for a slow reader. Knows nothing of what it carries. */
import { Readable } from 'node:stream'

/** The reader has gone, or took nothing for too long. */
export class ReaderGone extends Error { override readonly name = 'ReaderGone' }

export class FrameStream extends Readable {
  #resume: ((gone?: ReaderGone) => void) | undefined
  /** What all writers wait for while the reader has as much as it may hold: side by side there are several. */
  #room: Promise<void> | undefined
  readonly #stallMs: number

  /** `bufferBytes` are held for the reader before `write` waits; `stallMs` is how long it may take nothing at all. */
  constructor (bufferBytes: number, stallMs: number) {
    super({ highWaterMark: bufferBytes })
    this.#stallMs = stallMs
  }

  /** Resolves when there is room for more; rejects with ReaderGone. */
  write (bytes: Uint8Array): Promise<void> | void {
    if (this.destroyed) throw new ReaderGone('The reader has left.')
    if (this.push(bytes)) return
    return this.#room ??= new Promise((resolve, reject) => {
      const timer = setTimeout(() => { this.#resume?.(new ReaderGone(`The reader took nothing for ${this.#stallMs} ms.`)) }, this.#stallMs)
      this.#resume = (gone) => {
        clearTimeout(timer)
        this.#resume = this.#room = undefined
        if (gone) reject(gone)
        else resolve()
      }
    })
  }

  end (): void { this.push(null) }

  override _read (): void { this.#resume?.() }

  override _destroy (error: Error | null, done: (error: Error | null) => void): void {
    this.#resume?.(new ReaderGone('The reader has left.'))
    done(error)
  }
}
