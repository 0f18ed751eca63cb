/** What a text is like apart from what it says: what a model could learn in the place of a stance. Pure. */
import { sentences, words } from '../text.ts'

const HEDGES = new Set('may might could perhaps possibly probably likely sometimes often generally usually seem seems appear appears suggest suggests tend tends somewhat relatively arguably partly'.split(' '))
const OBLIGATION = new Set('should must need needs ought shall'.split(' '))
const NEGATIONS = new Set("not no never without nor cannot don't doesn't shouldn't isn't aren't won't".split(' '))
const IMPERATIVE = /^(?:We should )?(abolish|allow|ban|build|create|cut|defend|eliminate|end|enforce|ensure|expand|fund|implement|increase|invest|keep|limit|lower|maintain|make|prioritize|promote|protect|provide|raise|reduce|regulate|remove|repeal|strengthen|support)\b/

function syllables (word: string): number {
  const groups = word.replace(/e$|es$|ed$/, '').match(/[aeiouy]+/g)?.length ?? 0
  return Math.max(1, groups)
}

export const FEATURES = ['words', 'tokens', 'characters a word', 'sentences', 'words a sentence', 'readability (Flesch)', 'hedges', 'obligation', 'imperatives', 'negations', 'named entities', 'numbers', 'exclamations'] as const
export type Feature = typeof FEATURES[number]

export function featuresOf (text: string): Record<Feature, number> {
  const all = words(text)
  const parts = sentences(text)
  const count = Math.max(1, all.length)
  const among = (set: ReadonlySet<string>): number => all.reduce((sum, word) => sum + (set.has(word) ? 1 : 0), 0)
  // capitals that no sentence asks for
  const names = parts.reduce((sum, part) => sum + (part.slice(1).match(/(?<=[\s"'(])[A-Z][\p{L}+-]+/gu)?.filter((name) => name !== 'I').length ?? 0), 0)
  const spoken = all.reduce((sum, word) => sum + syllables(word), 0)
  return {
    words: all.length,
    // about what a byte-pair vocabulary makes of it: words, the long ones in two, and marks
    tokens: all.reduce((sum, word) => sum + Math.ceil(word.length / 9), 0) + (text.match(/[.,;:!?"()-]/g)?.length ?? 0),
    'characters a word': all.reduce((sum, word) => sum + word.length, 0) / count,
    sentences: parts.length,
    'words a sentence': count / parts.length,
    'readability (Flesch)': 206.835 - 1.015 * count / parts.length - 84.6 * spoken / count,
    hedges: among(HEDGES),
    obligation: among(OBLIGATION),
    imperatives: parts.filter((part) => IMPERATIVE.test(part)).length,
    negations: among(NEGATIONS),
    'named entities': names,
    numbers: text.match(/\d+/g)?.length ?? 0,
    exclamations: text.match(/!/g)?.length ?? 0,
  }
}
