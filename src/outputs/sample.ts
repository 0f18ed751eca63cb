/** A random sample of bounded size from a stream of unknown length: the same seed draws the same, in whatever order they come. Pure. */
import { hash } from 'node:crypto'

export class Sample {
  readonly #size: number
  readonly #seed: string
  /** By rank: the hash of seed and id. Record ids hold chance of their own, so nobody who writes one can steer it. */
  readonly #kept: { readonly rank: string, readonly id: string }[] = []
  /** How many were offered. */
  seen = 0

  constructor (size: number, seed: string) {
    this.#size = size
    this.#seed = seed
  }

  offer (id: string): void {
    this.seen++
    const rank = hash('sha256', `${this.#seed}\0${id}`)
    if (this.#kept.length >= this.#size && rank >= this.#kept.at(-1)!.rank) return
    let [low, high] = [0, this.#kept.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#kept[middle]!.rank < rank) low = middle + 1
      else high = middle
    }
    this.#kept.splice(low, 0, { rank, id })
    if (this.#kept.length > this.#size) this.#kept.pop()
  }

  ids (): string[] { return this.#kept.map(({ id }) => id) }
}
