/** Words, sentences and likeness of texts. Pure. */

export const words = (text: string): string[] => text.toLowerCase().match(/[\p{L}\p{N}]+(?:['’][\p{L}]+)?/gu) ?? []

const FUNCTION = new Set('a an the of to in on for and or is are be been by it its that this these those with as at from not no should must can will would could may might do does did have has had we you they he she i my your our their them his her there here which who what how why when where if than then so more most all any some such only also about into over under between'.split(' '))

export const contentWords = (text: string): Set<string> => new Set(words(text).filter((word) => !FUNCTION.has(word)))

export function jaccard (one: ReadonlySet<string>, other: ReadonlySet<string>): number {
  if (one.size === 0 || other.size === 0) return 0
  const shared = [...one].reduce((count, word) => count + Number(other.has(word)), 0)
  return shared / (one.size + other.size - shared)
}

/** Sentences that end, and what may stand after the last of them. "e.g." and "1." end none. */
export function sentences (text: string): string[] {
  return text.replace(/\s+/g, ' ').split(/(?<=[.!?]["”’)]?)(?<!\b(?:e\.g|i\.e|Mr|Mrs|Dr|St|vs|etc|U\.S|No)\.)(?<!\b\d+\.)(?<!\b[A-Z]\.) /).map((one) => one.trim()).filter((one) => /\p{L}/u.test(one))
}

/** Whole ones: an answer that was cut in its second sentence has one. */
export const wholeSentences = (text: string): number => sentences(text).filter((one) => /[.!?]["”’)]?$/.test(one)).length

/** Share of word triples that came before: loops are near 1, prose near 0. */
export function repetition (text: string): number {
  const all = words(text)
  const triples = all.slice(2).map((word, at) => `${all[at]} ${all[at + 1]} ${word}`)
  return triples.length === 0 ? 0 : 1 - new Set(triples).size / triples.length
}
