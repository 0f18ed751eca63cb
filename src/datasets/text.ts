/** Text as the stages compare it: one spelling, words, likeness. Pure; knows nothing of sides, topics or files. */

/** NFC, typographic quotes and odd spaces made plain, control and invisible characters away. */
export function tidy (text: string): string {
  return text.normalize('NFC')
    .replace(/[\u2018\u2019\u02bc]/g, "'").replace(/[\u201c\u201d]/g, '"')
    // eslint-disable-next-line no-control-regex -- these are what is to be removed
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\u00ad\u200b-\u200f\u202a-\u202e\u2060\ufeff]/g, '')
    .replace(/\s+/g, ' ').trim()
}

export const words = (text: string): string[] => text.toLowerCase().match(/[\p{L}\p{N}]+(?:'[\p{L}]+)?/gu) ?? []

/** Words that say little of what a text is about, those of questions among them. */
const STOP = new Set(`a an the of to in on for and or is are be been being by it its that this these those with as not no should must can could will would from their they them at
which have has had more all we our us i my me you your he she his her what who how why when where do does did so than then there if but about into over under between
also any some such only own other both each most very just may might one`.split(/\s+/))

/** A crude stem, enough to bring "taxes" and "tax", "policies" and "policy" together. */
const stem = (word: string): string => word.replace(/'s$/, '').replace(/ies$/, 'y').replace(/(?<=[sxz]|ch|sh)es$/, '').replace(/(?<=[^su])s$/, '')

export const contentWords = (text: string): Set<string> => new Set(words(text).filter((word) => !STOP.has(word)).map(stem))

export function jaccard (one: ReadonlySet<string>, two: ReadonlySet<string>): number {
  if (one.size === 0 || two.size === 0) return 0
  const [small, large] = one.size < two.size ? [one, two] : [two, one]
  let shared = 0
  for (const word of small) if (large.has(word)) shared++
  return shared / (one.size + two.size - shared)
}

export const wordCount = (text: string): number => text.split(' ').length

/** Sentences, well enough for counting: an end mark before a space and a capital, digit or quote. */
export const sentences = (text: string): string[] => text.split(/(?<=[.!?]["')]?) +(?=["'(]?[A-Z0-9])/)
