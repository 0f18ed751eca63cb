/** Word lists, and how often they are met in a text. Pure; knows nothing of what a list is for. */

export type Matcher = (text: string) => number

const fold = (text: string): string => ` ${text.toLowerCase().replace(/’/g, '\'').replace(/[^\p{L}\p{N}'-]+/gu, ' ')} `

/** Phrases of whole words; `*` at the end of one matches any ending. Counts every place once. */
export function matcher (phrases: readonly string[]): Matcher {
  const sources = phrases.map((phrase) => phrase.toLowerCase().replace(/’/g, '\'').replace(/[^\p{L}\p{N}' *-]/gu, '').trim()).filter((phrase) => /[\p{L}\p{N}]/u.test(phrase)).toSorted((a, b) => b.length - a.length)
    .map((phrase) => phrase.endsWith('*') ? `${phrase.slice(0, -1)}[\\p{L}\\p{N}'-]*` : phrase)
  const pattern = new RegExp(`(?<= )(?:${sources.join('|') || '(?!)'})(?= )`, 'gu')
  return (text) => fold(text).match(pattern)?.length ?? 0
}
