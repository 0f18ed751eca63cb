/** The policy's rules on words that were found: which rule a text falls under, alone or together with what was said before. Knows nothing of files. */
import type { PolicyDocument, PolicyRule } from './document.ts'
import { MOST_GATED, phraseFinder, type Occurrences } from './phrases.ts'
import { wordsOf, type Words } from './words.ts'

/** A combination's phrases stand within so many words of its first one. */
const NEAR = 60
/** Where an ask is put together from several turns, they may be further apart. */
const NEAR_OVER_TURNS = 240
/** "You must not: …" reaches so far, or to the sentence's end. */
const FORBIDDEN_WORDS = 60

/** System prompts that are remembered: about 10 MB at most. */
const STANDING_KEPT = 64
const STANDING_CHARACTERS = 16_000

type Part = keyof PolicyDocument['reading']

/** A text as it is compared. Most texts are never searched: `gate` already says that nothing can be found. */
export interface Reading {
  readonly words: readonly string[]
  readonly gate: number
  readonly found: () => Occurrences
}

export interface Finding { readonly rule: PolicyRule, readonly language: string }

export interface RuleBook {
  /** Quoted words are left out where the text asks to translate or to sum up. */
  read (text: string): Reading
  /** A system prompt likewise; what it forbids is left out. */
  readSystem (text: string): Reading
  /** The first rule that the words fall under. `joint`: some of them have to stand before that place, some from it on. */
  judge (reading: Reading, only: (rule: PolicyRule) => boolean, joint?: number): Finding | null
  /** Whether they could fall under a rule together. Cheap, and sure where it says no. */
  mayJoin (all: readonly Reading[]): boolean
  join (all: readonly Reading[]): Reading
  /** Whether a phrase of the list begins among the first words. */
  has (reading: Reading, part: Part, firstWords?: number): boolean
}

const gateOf = (all: readonly Reading[]): number => all.reduce((bits, one) => bits | one.gate, 0)

/** Compiles a document. Names that lead nowhere and phrases that cannot be read are handed to `problem`, all of them. */
export function ruleBook (document: PolicyDocument, problem: (where: string, what: string) => void): RuleBook {
  const finder = phraseFinder(document.phrases, problem)
  const places = new Map(finder.names.map((name, at) => [name, at]))
  const place = (name: string, where: string): number => {
    const at = places.get(name)
    if (at === undefined) problem(where, `there is no list of phrases "${name}"`)
    return at ?? -1
  }
  const combined = document.rules.flatMap((rule, nth) => rule.when.map((one, at) => ({
    rule,
    language: one.language,
    all: one.all.map((name) => place(name, `rules.${nth}.when.${at}.all`)),
    unless: [...one.unless, ...rule.unless].map((name) => place(name, `rules.${nth}.when.${at}.unless`)),
  })))
  const gated = [...new Set(combined.flatMap(({ all }) => all))]
  if (gated.length > MOST_GATED) problem('rules', `combinations of ${gated.length} lists in all; at most ${MOST_GATED} can be told apart`)
  const rules = combined.map((one) => ({ ...one, gate: one.all.reduce((bits, list) => bits | 1 << gated.indexOf(list), 0) }))
  const parts = Object.fromEntries(Object.entries(document.reading).map(([part, name]) => [part, place(name, `reading.${part}`)])) as Record<Part, number>
  const gate = finder.gate(gated)

  function reading (words: readonly string[]): Reading {
    let found: Occurrences | undefined
    return { words, gate: gate(words), found: () => found ??= finder.find(words) }
  }

  function read (text: string): Reading {
    const said = wordsOf(text)
    const whole = reading(said.words)
    return whole.gate === 0 || (said.colon < 0 && !said.quoted) ? whole : withoutQuoted(whole, said)
  }

  function withoutQuoted (whole: Reading, { words, quoted, colon }: Words): Reading {
    // the verb itself has to stand outside of what it is about
    const verb = whole.found()(parts.transforms).find(([at]) => !quoted?.[at])
    if (!verb) return whole
    const end = colon > verb[0] ? colon : words.length
    return quoted || end < words.length ? reading(words.filter((_, at) => !quoted?.[at] && at < end)) : whole
  }

  /** No phrase reaches over a line's end, so what was found in the parts is what would be found in the whole: a system prompt is searched once for many requests. */
  function joined (all: readonly Reading[]): Reading {
    const words: string[] = []
    const parts = all.map((one) => {
      const from = words.length
      words.push(...one.words, '\n')
      return { one, from }
    })
    const known: (readonly (readonly [number, number])[])[] = []
    const found: Occurrences = (list) => known[list] ??= parts.flatMap(({ one, from }) => one.found()(list).map(([at, end]) => [at + from, end + from] as const))
    return { words, gate: gateOf(all), found: () => found }
  }

  /** An application sends the same system prompt with every request: the last ones that were read are remembered. */
  const standing = new Map<string, Reading>()

  function readSystem (text: string): Reading {
    let known = standing.get(text)
    if (!known) {
      known = standingOrder(text)
      if (standing.size >= STANDING_KEPT) standing.delete(standing.keys().next().value!)
      if (text.length <= STANDING_CHARACTERS) standing.set(text, known)
    }
    return known
  }

  function standingOrder (text: string): Reading {
    const whole = reading(wordsOf(text).words)
    if (whole.gate === 0) return whole
    const { words } = whole
    const forbids = whole.found()(parts.forbids)
    if (forbids.length === 0) return whole
    const forbidden = new Uint8Array(words.length)
    for (const [from] of forbids) {
      const end = words.indexOf('.', from)
      forbidden.fill(1, from, Math.min(end < 0 ? words.length : end, from + FORBIDDEN_WORDS))
    }
    return reading(words.filter((_, at) => forbidden[at] === 0))
  }

  function judge (text: Reading, only: (rule: PolicyRule) => boolean, joint?: number): Finding | null {
    const near = joint === undefined ? NEAR : NEAR_OVER_TURNS
    for (const { rule, language, gate: bits, all, unless } of rules) {
      if ((text.gate & bits) !== bits || !only(rule)) continue
      const found = text.found()
      // in order, and no further than the first that is not there: combinations begin, as a rule, with what few texts have
      if (all.some((list) => found(list).length === 0)) continue
      const holds = found(all[0]!).some(([at]) => {
        const isNear = ([other]: readonly [number, number]): boolean => Math.abs(other - at) <= near
        // what was said before excuses nothing that is asked now
        const excuses = (one: readonly [number, number]): boolean => isNear(one) && one[0] >= (joint ?? 0)
        return all.every((list) => found(list).some(isNear)) && !unless.some((list) => found(list).some(excuses))
      })
      if (!holds) continue
      // something that only the earlier turns say, and something that only the last one says
      if (joint === undefined || (all.some((list) => found(list).every(([at]) => at < joint)) && all.some((list) => found(list).every(([at]) => at >= joint)))) return { rule, language }
    }
    return null
  }

  return {
    read,
    readSystem,
    judge,
    mayJoin: (all) => { const union = gateOf(all); return rules.some(({ gate: bits }) => (union & bits) === bits) },
    join: (all) => all.length === 1 ? all[0]! : joined(all),
    has: (text, part, firstWords) => firstWords === undefined ? text.found()(parts[part]).length > 0 : finder.opens(text.words, parts[part], firstWords),
  }
}
