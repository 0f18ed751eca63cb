/** Statements that must not come again: finds one that is nearly repeated, by the Jaccard of its content words. In memory; for sets that are small by nature. */
import { contentWords, jaccard } from '../text.ts'

export class StatementIndex {
  readonly #likeness: number
  readonly #holding = new Map<string, number[]>()
  readonly #bags: ReadonlySet<string>[] = []

  constructor (likeness: number) { this.#likeness = likeness }

  get size (): number { return this.#bags.length }

  add (text: string): number {
    const bag = contentWords(text)
    const number = this.#bags.push(bag) - 1
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
    // who shares enough of all words shares one of the rarest: only those have to be looked up
    const rarest = [...bag].map((word) => this.#holding.get(word) ?? []).toSorted((a, b) => a.length - b.length)
    const seen = new Set<number>()
    for (const numbers of rarest.slice(0, bag.size - Math.ceil(this.#likeness * bag.size) + 1)) {
      for (const number of numbers) {
        if (seen.has(number)) continue
        seen.add(number)
        const other = this.#bags[number]!
        if (Math.min(other.size, bag.size) >= this.#likeness * Math.max(other.size, bag.size) && jaccard(bag, other) >= this.#likeness) return number
      }
    }
    return undefined
  }

  holds (text: string): boolean { return this.find(text) !== undefined }
}
