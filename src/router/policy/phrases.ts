/**
 * The little language in which the policy's data says what it looks for, and the search for it. No regular expressions: a phrase is a row
 * of words, so a search costs a bounded number of steps a word whatever the text is, and data cannot hold a pattern that hangs.
 *
 *   how (do|can) i (register ..3 to? vote|vote)   alternatives, of several words if need be; up to three words of any kind; an optional word
 *   persuad* @people #10                           a word's beginning (four letters at least); another list of phrases; a number of at least 10
 *   ^ tweet from                                   only where a sentence begins: "Tweet from …" is an ask without a verb
 *
 * Knows nothing of rules.
 */

type Item =
  | { readonly is: 'words', readonly words: ReadonlySet<string>, readonly beginnings: readonly string[], readonly optional: boolean }
  | { readonly is: 'number', readonly least: number, readonly optional: boolean }
  | { readonly is: 'gap', readonly most: number }
  | { readonly is: 'start' }
  | { readonly is: 'list', readonly phrases: readonly Phrase[], readonly beginningWith: (word: string) => readonly Phrase[], readonly optional: boolean }

type Phrase = readonly Item[]

export type Lists = Readonly<Record<string, readonly string[]>>

const MOST_GAP = 8
const MOST_ITEMS = 12
const MOST_GAPS = 2
const BEGINNING_LETTERS = 4
const WORD = /^(?:[a-z0-9\u0080-\uffff]+|[a-z\u0080-\uffff][a-z0-9\u0080-\uffff]*\*)$/

/** Throws an Error that says what in the phrase cannot be read. */
function parsePhrase (text: string, list: (name: string) => readonly Phrase[]): Phrase {
  const parts = text.match(/\([^()]*\)\??|\S+/g) ?? []
  if (parts.join(' ') !== text) throw new Error('wanted parts with one space between them, and no parentheses within parentheses')
  const items = parts.map((part): Item => {
    if (part === '^') return { is: 'start' }
    const gap = /^\.\.(\d)$/.exec(part)
    if (gap) {
      if (Number(gap[1]) < 1 || Number(gap[1]) > MOST_GAP) throw new Error(`"${part}": a gap is of 1 to ${MOST_GAP} words`)
      return { is: 'gap', most: Number(gap[1]) }
    }
    const optional = part.endsWith('?')
    const bare = optional ? part.slice(0, -1) : part
    if (bare.startsWith('@')) return listItem(list(bare.slice(1)), optional)
    if (/^#\d{1,6}$/.test(bare)) return { is: 'number', least: Number(bare.slice(1)), optional }
    const alternatives = (bare.startsWith('(') && bare.endsWith(')') ? bare.slice(1, -1) : bare).split('|')
    if (alternatives.length > 1 && /[ #@]/.test(bare)) return listItem(alternatives.map((one) => parsePhrase(one, list)), optional)
    for (const word of alternatives) {
      if (!WORD.test(word)) throw new Error(`"${part}": wanted lower-case words, (a|b), ..3, #10, @list, each with ? where it may be left out`)
      if (word.endsWith('*') && word.length <= BEGINNING_LETTERS) throw new Error(`"${word}": a beginning has at least ${BEGINNING_LETTERS} letters`)
    }
    return {
      is: 'words', optional,
      words: new Set(alternatives.filter((word) => !word.endsWith('*'))),
      beginnings: alternatives.filter((word) => word.endsWith('*')).map((word) => word.slice(0, -1)),
    }
  })
  const said = items[0]!.is === 'start' ? items.slice(1) : items
  if (said.some(({ is }) => is === 'start')) throw new Error('"^" stands only at the beginning of a phrase')
  if (said.length === 0 || said[0]!.is === 'gap' || said.at(-1)!.is === 'gap') throw new Error('a phrase neither begins nor ends with a gap')
  if (said.every((item) => (item.is === 'words' || item.is === 'number' || item.is === 'list') && item.optional)) throw new Error('every word of the phrase may be left out')
  if (items.length > MOST_ITEMS) throw new Error(`a phrase has at most ${MOST_ITEMS} parts`)
  if (items.filter(({ is }) => is === 'gap').length > MOST_GAPS) throw new Error(`a phrase has at most ${MOST_GAPS} gaps`)
  return items
}

const listItem = (phrases: readonly Phrase[], optional: boolean): Item => ({ is: 'list', phrases, beginningWith: beginningsOf(phrases), optional })

/** Where a phrase that begins at `at` ends, or -1. Gaps cross no sentence. */
function matchAt (words: readonly string[], at: number, items: Phrase, from = 0): number {
  const item = items[from]
  if (item === undefined) return at
  if (item.is === 'gap') {
    for (let skipped = 0; skipped <= item.most && at + skipped < words.length; skipped++) {
      const end = matchAt(words, at + skipped, items, from + 1)
      if (end >= 0) return end
      const word = words[at + skipped]!
      if (word === '.' || word === '\n') break
    }
    return -1
  }
  if (item.is === 'start') return at === 0 || words[at - 1] === '.' || words[at - 1] === '\n' ? matchAt(words, at, items, from + 1) : -1
  if (item.is === 'list') {
    for (const phrase of at < words.length ? item.beginningWith(words[at]!) : []) {
      const middle = matchAt(words, at, phrase)
      const end = middle < 0 ? -1 : matchAt(words, middle, items, from + 1)
      if (end >= 0) return end
    }
  } else if (at < words.length && fits(item, words[at]!)) {
    const end = matchAt(words, at + 1, items, from + 1)
    if (end >= 0) return end
  }
  return item.optional ? matchAt(words, at, items, from + 1) : -1
}

function fits (item: Exclude<Item, { is: 'gap' | 'start' | 'list' }>, word: string): boolean {
  if (item.is === 'number') return /^\d{1,7}$/.test(word) && Number(word) >= item.least
  return item.words.has(word) || item.beginnings.some((beginning) => word.startsWith(beginning))
}

/** Every way in which a phrase can begin. */
function beginnings (items: Phrase, add: (key: string, kind: 'word' | 'beginning' | 'number') => void): void {
  for (const item of items) {
    if (item.is === 'gap') return
    if (item.is === 'start') continue
    if (item.is === 'list') for (const phrase of item.phrases) beginnings(phrase, add)
    else if (item.is === 'number') add('', 'number')
    else {
      for (const word of item.words) add(word, 'word')
      for (const beginning of item.beginnings) add(beginning.slice(0, BEGINNING_LETTERS), 'beginning')
    }
    if (!item.optional) return
  }
}

/** A word -> those of `all` that may begin with it. */
function beginningsOf (all: readonly Phrase[]): (word: string) => readonly Phrase[] {
  const byKey = { word: new Map<string, Phrase[]>(), beginning: new Map<string, Phrase[]>(), number: new Map<string, Phrase[]>() }
  for (const one of all) {
    beginnings(one, (key, kind) => {
      const there = byKey[kind].get(key)
      if (!there) byKey[kind].set(key, [one])
      else if (there.at(-1) !== one) there.push(one)
    })
  }
  const none: readonly Phrase[] = []
  const numbers = byKey.number.get('') ?? none
  // most lists hold whole words only
  if (byKey.beginning.size === 0 && numbers.length === 0) return (word) => byKey.word.get(word) ?? none
  return (word) => {
    const whole = byKey.word.get(word) ?? none
    const first = word.charCodeAt(0)
    const some = first >= 48 && first <= 57 ? numbers : byKey.beginning.get(word.slice(0, BEGINNING_LETTERS)) ?? none
    return some.length === 0 ? whole : whole.length === 0 ? some : [...whole, ...some]
  }
}

/** Where the phrases of a list stand: begin and end of each occurrence, in order. Each list is searched for when it is first asked for. */
export type Occurrences = (list: number) => readonly (readonly [number, number])[]

export interface PhraseFinder {
  readonly names: readonly string[]
  find (words: readonly string[]): Occurrences
  /** Whether a phrase of the list begins among the first words: the same answer as `find` gives, without searching the rest of the text. */
  opens (words: readonly string[], list: number, firstWords: number): boolean
  /**
   * A cheap look before the search: bit n is set where the words hold at least what some phrase of the n-th of `lists` cannot do without.
   * A bit that is not set means that the list has no phrase there.
   */
  gate (lists: readonly number[]): (words: readonly string[]) => number
}

const MOST_OCCURRENCES = 64
export const MOST_GATED = 31

/** Words that any text has, and words that many have: what a phrase needs besides them is the better thing to look for first. */
const IN_ANY = new Set(('a an the of to in on at by for from with as and or but if so is are was were be been am do does did can could may might must should would will shall ' +
  'have has had need i we you he she it they me us them my our your his her its their this that these those what whats which who how when where why not no up out any some one all').split(' '))
const IN_MANY = new Set(('about into make get give go tell please want like than then there here now more most change help find write read ask mail send time day name party state law people ' +
  'say says said word words answer think come take put keep work first second last new good best free never only two three long universal care view consider support').split(' '))

/** What they are worth, in words that are rare; a number is in many texts, too. */
const costOfWord = (word: string): number => IN_ANY.has(word) ? 10_000 : IN_MANY.has(word) ? 1000 : 1
const COST_OF_NUMBER = 500

/** What of a phrase has to be there: its part with the fewest common words, then the fewest words. */
function needed (items: Phrase): Item[] {
  let best: Item[] = []
  let least = Infinity
  for (const item of items) {
    if (item.is === 'gap' || item.is === 'start' || item.optional) continue
    const all = item.is === 'list' ? item.phrases.flatMap(needed) : [item]
    const cost = all.reduce((sum, one) => sum + (one.is === 'words' ? [...one.words].reduce((words, word) => words + costOfWord(word), 0) : COST_OF_NUMBER), 0)
    if (cost < least) [best, least] = [all, cost]
  }
  return best
}

interface Index { readonly byWord: Map<string, number>, readonly byBeginning: Map<string, { beginning: string, bits: number }[]>, number: number }

function gateOf (phrases: readonly (readonly Phrase[])[]): (words: readonly string[]) => number {
  const index: Index = { byWord: new Map(), byBeginning: new Map(), number: 0 }
  for (const [bit, list] of phrases.entries()) {
    for (const item of list.flatMap(needed)) {
      if (item.is === 'number') index.number |= 1 << bit
      if (item.is !== 'words') continue
      for (const word of item.words) index.byWord.set(word, (index.byWord.get(word) ?? 0) | 1 << bit)
      for (const beginning of item.beginnings) {
        const key = beginning.slice(0, BEGINNING_LETTERS)
        index.byBeginning.set(key, [...index.byBeginning.get(key) ?? [], { beginning, bits: 1 << bit }])
      }
    }
  }
  return (words) => {
    let bits = 0
    for (const word of words) {
      const whole = index.byWord.get(word)
      if (whole !== undefined) bits |= whole
      if (word.length >= BEGINNING_LETTERS) {
        const some = index.byBeginning.get(word.slice(0, BEGINNING_LETTERS))
        if (some) for (const one of some) if (word.startsWith(one.beginning)) bits |= one.bits
      }
      const first = word.charCodeAt(0)
      if (first >= 48 && first <= 57) bits |= index.number
    }
    return bits
  }
}

/** Compiles the lists. Mistakes are handed to `problem` with the list's name, all of them; what is wrong is left out. */
export function phraseFinder (lists: Lists, problem: (where: string, what: string) => void): PhraseFinder {
  const parsed = new Map<string, readonly Phrase[]>()
  const open = new Set<string>()
  const read = (name: string): readonly Phrase[] => {
    const known = parsed.get(name)
    if (known) return known
    if (!Object.hasOwn(lists, name)) throw new Error(`"@${name}": there is no list of this name`)
    if (open.has(name)) throw new Error(`"@${name}": the list contains itself`)
    open.add(name)
    const phrases: Phrase[] = []
    for (const [at, text] of lists[name]!.entries()) {
      try { phrases.push(parsePhrase(text, read)) } catch (error) { problem(`phrases.${name}.${at}`, (error as Error).message) }
    }
    open.delete(name)
    parsed.set(name, phrases)
    return phrases
  }
  const names = Object.keys(lists)
  const beginningWith = names.map((name) => beginningsOf(read(name)))
  const none: readonly (readonly [number, number])[] = []

  function opens (words: readonly string[], list: number, firstWords: number): boolean {
    return words.slice(0, firstWords).some((word, at) => beginningWith[list]!(word).some((items) => matchAt(words, at, items) >= 0))
  }

  function search (words: readonly string[], list: number): readonly (readonly [number, number])[] {
    const beginsWith = beginningWith[list]!
    let found: (readonly [number, number])[] | undefined
    for (let at = 0; at < words.length; at++) {
      for (const items of beginsWith(words[at]!)) {
        const end = matchAt(words, at, items)
        if (end < 0) continue
        if (found) found.push([at, end])
        else found = [[at, end]]
        // one occurrence a place, and a bounded number: more of the same says nothing more
        if (found.length >= MOST_OCCURRENCES) return found
        break
      }
    }
    return found ?? none
  }

  function find (words: readonly string[]): Occurrences {
    const known: (readonly (readonly [number, number])[])[] = []
    return (list) => known[list] ??= search(words, list)
  }

  return { names, find, opens, gate: (chosen) => gateOf(chosen.map((list) => parsed.get(names[list] ?? '') ?? [])) }
}
