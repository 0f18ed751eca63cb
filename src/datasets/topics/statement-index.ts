/** Statements that must not come again: finds one that is nearly repeated, by the Jaccard of its content words. In memory; for sets that are small by nature. */
import { contentWords } from '../text.ts'

export class StatementIndex {
  readonly #likeness: number
  readonly #holding = new Map<string, number[]>()
  readonly #sizes: number[] = []

  constructor (likeness: number) { this.#likeness = likeness }

  get size (): number { return this.#sizes.length }

  add (text: string): number {
    const bag = contentWords(text)
    const number = this.#sizes.push(bag.size) - 1
    for (const word of bag) {
      const numbers = this.#holding.get(word)
      if (numbers === undefined) this.#holding.set(word, [number])
      else numbers.push(number)
    }
    return number
  }

  /** The number of one that is as alike as asked, or undefined. */
  find (text: string): number | undefined {
    const bag = contentWords(text)
    // only the rarest words have to be looked at: who shares enough of all shares one of these
    const rarest = [...bag].map((word) => this.#holding.get(word) ?? []).toSorted((a, b) => a.length - b.length)
    const shared = new Map<number, number>()
    const needed = Math.ceil(this.#likeness * bag.size)
    for (const [place, numbers] of rarest.entries()) {
      const late = place > bag.size - needed
      for (const number of numbers) {
        const now = shared.get(number)
        if (now !== undefined) shared.set(number, now + 1)
        else if (!late) shared.set(number, 1)
      }
    }
    for (const [number, count] of shared) if (count / (bag.size + this.#sizes[number]! - count) >= this.#likeness) return number
    return undefined
  }

  holds (text: string): boolean { return this.find(text) !== undefined }
}
