/**
 * Statements that must not come again: finds one that is nearly repeated, by the Jaccard of its content words. In memory; for sets that are
 * small by nature. Exact: prefix, length and position filters of Xiao, Wang, Lin and Yu, "Efficient Similarity Joins for Near Duplicate
 * Detection" (WWW 2008), leave out only what cannot be as alike as asked.
 */
import { contentWords } from '../text.ts'

/** Against a likeness that is a hair too large in floating point: rather look at one statement more. */
const ROUNDING = 1e-9

/** How many of `size` words, rarest first, have to be looked at: who is as alike as asked shares one of them. */
const prefixOf = (size: number, likeness: number): number => Math.min(size, size - Math.ceil(likeness * size - ROUNDING) + 1)

/** Words that both of these have to share at least: Jaccard's definition, solved for what is shared. */
const leastShared = (one: number, two: number, likeness: number): number => Math.ceil(likeness / (1 + likeness) * (one + two) - ROUNDING)

/** Statements by the numbers of their words, rarest first, and where each word stands in the prefix of which. */
interface Built { readonly rank: ReadonlyMap<string, number>, readonly bags: readonly Uint32Array[], readonly postings: readonly (readonly number[])[] }

export class StatementIndex {
  readonly #likeness: number
  readonly #bags: ReadonlySet<string>[] = []
  /** Made when it is asked first after something was added: what is rare is known then. */
  #built: Built | undefined

  constructor (likeness: number) { this.#likeness = likeness }

  get size (): number { return this.#bags.length }

  add (text: string): number {
    this.#built = undefined
    return this.#bags.push(contentWords(text)) - 1
  }

  /** The first one added that is as alike as asked, by its number; or undefined. */
  find (text: string): number | undefined {
    const { rank, bags, postings } = this.#built ??= this.#build()
    const bag = contentWords(text)
    const { size } = bag
    // a word that no statement has is the rarest of all
    const known = Uint32Array.from([...bag].flatMap((word) => rank.get(word) ?? [])).sort()
    const unknown = size - known.length
    const looked = new Set<number>()
    let found: number | undefined
    for (let at = unknown; at < prefixOf(size, this.#likeness); at++) {
      const list = postings[known[at - unknown]!]!
      for (let i = 0; i < list.length; i += 2) {
        const number = list[i]!
        if ((found !== undefined && number >= found) || looked.has(number)) continue
        looked.add(number)
        const other = bags[number]!
        const least = leastShared(size, other.length, this.#likeness)
        // both are in one order: what stands before this word is not shared, and no more can be than what stands behind it
        if (Math.min(size - at, other.length - list[i + 1]!) < least) continue
        if (shares(known, other, least)) found = number
      }
    }
    return found
  }

  holds (text: string): boolean { return this.find(text) !== undefined }

  #build (): Built {
    const seen = new Map<string, number>()
    for (const bag of this.#bags) for (const word of bag) seen.set(word, (seen.get(word) ?? 0) + 1)
    const rank = new Map([...seen].toSorted(([a, one], [b, two]) => one - two || (a < b ? -1 : 1)).map(([word], at) => [word, at]))
    const postings = Array.from({ length: rank.size }, (): number[] => [])
    const bags = this.#bags.map((bag, number) => {
      const numbers = Uint32Array.from([...bag].map((word) => rank.get(word)!)).sort()
      for (let at = 0; at < prefixOf(numbers.length, this.#likeness); at++) postings[numbers[at]!]!.push(number, at)
      return numbers
    })
    return { rank, bags, postings }
  }
}

/** Whether two ordered lists have so many numbers in common. */
function shares (one: Uint32Array, two: Uint32Array, least: number): boolean {
  let shared = 0
  for (let i = 0, j = 0; i < one.length && j < two.length;) {
    if (shared + Math.min(one.length - i, two.length - j) < least) return false
    const [a, b] = [one[i]!, two[j]!]
    if (a === b) { shared++; i++; j++ } else if (a < b) i++
    else j++
  }
  return shared >= least
}
