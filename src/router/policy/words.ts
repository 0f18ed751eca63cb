/**
 * Any text -> the words that the policy's phrases are compared with: one spelling whatever Unicode was used to write it, sentence ends
 * kept, quoted parts known. Bounded, and one pass over what it looks at. Knows nothing of rules.
 */

export interface Words {
  /** Lower-case words; "." is a sentence's end, "\n" a line's. */
  readonly words: readonly string[]
  /** 1 where the word stands in quotation marks or in a code fence; null where nothing is quoted. */
  readonly quoted: Uint8Array | null
  /** How many words stand before the first colon that introduces something, or -1. */
  readonly colon: number
}

/** An ask may stand at either end of a long paste; the middle of more than this is not looked at. */
export const HEAD_CHARACTERS = 8000
export const TAIL_CHARACTERS = 8000

/** Letters of other scripts that are drawn as Latin ones: "vоte" with a Cyrillic o is "vote". */
const LOOKALIKES: Readonly<Record<string, string>> = Object.fromEntries([
  ...Array.from('аеорсухіјѕԁһӏкмтвнԛԝ', (letter, at) => [letter, 'aeopcyxijsdhlkmtbhqw'[at]!]),
  ...Array.from('αβεικνορτυχγμ', (letter, at) => [letter, 'abeikvoptuxym'[at]!]),
  ['ß', 'ss'], ['æ', 'ae'], ['œ', 'oe'], ['ø', 'o'], ['ł', 'l'], ['đ', 'd'], ['ı', 'i'], ['ɡ', 'g'], ['ɑ', 'a'],
])
/** Digits that are read as letters inside a word: "v0te". */
const DIGIT_LETTERS: Readonly<Record<string, string>> = { 0: 'o', 1: 'i', 3: 'e', 4: 'a', 5: 's', 7: 't' }
/** A full stop after these ends no sentence. */
const ABBREVIATIONS = new Set(['sen', 'gov', 'rep', 'dr', 'mr', 'mrs', 'ms', 'st', 'prop', 'no', 'vs', 'pres', 'lt', 'col', 'gen', 'hon', 'jr'])

// eslint-disable-next-line no-control-regex -- the point is which texts are ASCII
const ASCII = /^[\x00-\x7f]*$/
const INVISIBLE = /[\p{Cf}\p{Mn}\u034f\u115f\u1160\u3164]/gu
const FOREIGN = /[^\x00-\x7f]/gu // eslint-disable-line no-control-regex -- as above

const bounded = (text: string): string => text.length <= HEAD_CHARACTERS + TAIL_CHARACTERS ? text : `${text.slice(0, HEAD_CHARACTERS)}\n${text.slice(-TAIL_CHARACTERS)}`

/** NFKC first (full-width and styled letters), then accents and invisible characters away, then lookalikes. */
function plain (text: string): string {
  if (ASCII.test(text)) return text.toLowerCase()
  // one letter may unfold into eighteen, so what comes of it is bounded again
  return bounded(text.normalize('NFKC')).normalize('NFD').replace(INVISIBLE, '').toLowerCase().replace(FOREIGN, (letter) => LOOKALIKES[letter] ?? letter)
}

/** What is neither letter nor digit beyond ASCII and occurs in prose; everything else there counts as a letter. */
const PUNCTUATION = new Set(Array.from('«»“”„‟’‘–—…¿¡·•\u00a0\u2028\u2029\u3000、。「」¶§°′″‹›☛✓', (one) => one.charCodeAt(0)))
const isDigit = (code: number): boolean => code >= 48 && code <= 57
const isLetter = (code: number): boolean => (code >= 97 && code <= 122) || isDigit(code) || (code > 127 && !PUNCTUATION.has(code))
const isApostrophe = (code: number): boolean => code === 39 || code === 0x2019

/** An apostrophe inside a word, or a comma inside a number. */
function joins (text: string, at: number): boolean {
  const code = text.charCodeAt(at)
  const next = text.charCodeAt(at + 1)
  return isApostrophe(code) ? isLetter(next) && next !== 0x2019 : code === 44 && isDigit(next) && isDigit(text.charCodeAt(at - 1))
}

const JOINED = /['’,]/
const LETTERS_AND_DIGITS = /^[a-z]+[013457]/

/** "senator's" is the senator, "don't" is one word, "5,000" one number, "v0te" has an o. */
function spelled (word: string): string {
  const bare = JOINED.test(word) ? word.replace(/['’]s$/, '').replace(/['’,]/g, '') : word
  return LETTERS_AND_DIGITS.test(bare) ? bare.replace(/[013457]/g, (digit) => DIGIT_LETTERS[digit]!) : bare
}

const OPENING = new Set(['«', '„', '「'].map((one) => one.charCodeAt(0)))
const CLOSING = new Set(['”', '»', '」'].map((one) => one.charCodeAt(0)))
const ENDS = new Set(['.', '!', '?', ';', '。', '…'].map((one) => one.charCodeAt(0)))

export function wordsOf (raw: string): Words {
  const text = plain(bounded(raw))
  const words: string[] = []
  /** Begin and end of each quotation. */
  const quotations: number[] = []
  /** Where the open quotation began, or -1. */
  let opened = -1
  let fenced = false
  let colon = -1
  let singles = 0
  const end = (mark: '.' | '\n'): void => {
    const last = words[words.length - 1]
    if (last !== undefined && last !== '.' && last !== '\n') words.push(mark)
    singles = 0
  }
  const quote = (opens: boolean): void => {
    if (!opens && opened >= 0) quotations.push(opened, words.length)
    opened = opens ? words.length : -1
  }
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (isLetter(code)) {
      const from = at++
      while (at < text.length && (isLetter(text.charCodeAt(at)) || joins(text, at))) at++
      const word = spelled(text.slice(from, at--))
      // "I" and "a" may be words of their own before one
      singles = word.length > 1 || (singles === 0 && (word === 'i' || word === 'a')) ? 0 : singles + 1
      // letters set apart, "v o t e", are a word again
      if (singles > 3) words[words.length - 1] += word
      else if (singles === 3) words.splice(-2, 2, words[words.length - 2]! + words[words.length - 1]! + word)
      else words.push(word)
    } else if (code === 32) continue
    else if (code === 10) end('\n')
    else if (ENDS.has(code)) {
      const last = words[words.length - 1] ?? ''
      const inside = code === 46 && at + 1 < text.length && isLetter(text.charCodeAt(at + 1))
      if (!inside && !(code === 46 && ((last.length === 1 && last !== 'i') || ABBREVIATIONS.has(last)))) end('.')
    } else if (code === 58) {
      const next = text.charCodeAt(at + 1)
      if (colon < 0 && !isLetter(next) && next !== 47) colon = words.length
    } else if (code === 34) quote(opened < 0)
    else if (code === 0x201c) quote(opened < 0) // closes in German
    else if (OPENING.has(code)) quote(true)
    else if (CLOSING.has(code)) quote(false)
    else if (code === 96 && text.startsWith('```', at)) {
      quote(fenced = !fenced)
      at += 2
    }
  }
  if (quotations.length === 0) return { words, quoted: null, colon }
  const quoted = new Uint8Array(words.length)
  for (let pair = 0; pair < quotations.length; pair += 2) quoted.fill(1, quotations[pair], quotations[pair + 1])
  return { words, quoted, colon }
}
