/** The committed lists that a text is held against, each with its source and licence in its file. One threshold for both sides. */
import { z } from 'zod'
import { pathIn, readChecked, type Recipe } from '../recipe.ts'
import { words } from '../text.ts'

const origin = { title: z.string(), licence: z.string({ error: 'a list without a licence is refused' }).min(2), address: z.string(), method: z.string().optional() }
const toxic = z.strictObject({ ...origin, package: z.string(), sha256: z.string(), exempt: z.strictObject({ words: z.array(z.string()), reason: z.string() }), words: z.array(z.string()) })
const extreme = z.strictObject({ ...origin, kinds: z.record(z.string(), z.array(z.string().min(3))) })
const claims = z.strictObject({ ...origin, claims: z.array(z.strictObject({ id: z.string(), pattern: z.string(), source: z.string({ error: 'a claim without a source is refused' }).min(10) })) })
const languages = z.strictObject({ ...origin, languages: z.record(z.string().length(2), z.array(z.string())) })

const spaced = (text: string): string => ` ${words(text).join(' ')} `

/** Phrases as one pattern over spaced words; `*` is up to four words. */
const phrases = (all: readonly string[]): RegExp => new RegExp(` (?:${all.map((text) => text.split('*').map((part) => words(part).join(' ')).filter(Boolean).join(' (?:[^ ]+ ){0,4}')).join('|')}) `)

export interface Lists {
  /** What is wrong with a text, in words; several may be. */
  findings (text: string): string[]
  language (text: string): string
}

export function readLists (recipe: Recipe): Lists {
  const { toxic_words: toxicFile, extreme_phrases: extremeFile, false_claims: claimsFile, function_words: wordsFile } = recipe.clean
  const bad = readChecked(pathIn(recipe, toxicFile), 'a list of toxic words', toxic)
  const exempt = new Set(bad.exempt.words)
  const listed = bad.words.filter((word) => !exempt.has(word)).map((word) => words(word).join(' ')).filter((word) => word !== '')
  const single = new Set(listed.filter((word) => !word.includes(' ')))
  const several = listed.filter((word) => word.includes(' ')).map((word) => ` ${word} `)
  const extremes = Object.entries(readChecked(pathIn(recipe, extremeFile), 'a list of extreme phrases', extreme).kinds).map(([kind, all]) => ({ kind, pattern: phrases(all) }))
  const denied = readChecked(pathIn(recipe, claimsFile), 'a list of false claims', claims).claims.map(({ id, pattern }) => ({ id, pattern: new RegExp(pattern, 'u') }))
  const names: string[] = []
  // a word -> the languages that have it, as bits
  const common = new Map<string, number>()
  for (const [name, all] of Object.entries(readChecked(pathIn(recipe, wordsFile), 'a list of function words', languages).languages)) {
    for (const word of all) common.set(word, (common.get(word) ?? 0) | 1 << names.length)
    names.push(name)
  }
  return {
    findings (text) {
      const plain = spaced(text)
      const all = plain.trim().split(' ')
      const found: string[] = []
      if (all.some((word) => single.has(word)) || several.some((word) => plain.includes(word))) found.push('toxic')
      for (const { kind, pattern } of extremes) if (pattern.test(plain)) { found.push(`extreme: ${kind}`); break }
      const folded = text.toLowerCase()
      for (const { id, pattern } of denied) if (pattern.test(folded)) found.push(`false claim: ${id}`)
      return found
    },
    language (text) {
      const letters = text.match(/\p{L}/gu)?.length ?? 0
      const latin = text.match(/[A-Za-z\u00c0-\u024f]/g)?.length ?? 0
      if (letters === 0 || latin / letters < 0.8) return 'not Latin'
      const all = words(text)
      if (all.length < 5) return recipe.clean.language
      const hits = names.map(() => 0)
      for (const word of all) for (let bits = common.get(word) ?? 0, i = 0; bits !== 0; bits >>= 1, i++) hits[i]! += bits & 1
      const most = Math.max(...hits)
      const wanted = names.indexOf(recipe.clean.language)
      return most === 0 || hits[wanted] === most ? recipe.clean.language : names[hits.indexOf(most)]!
    },
  }
}
