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

/** A phrase as a pattern over spaced words; `*` is up to four words. */
const phrase = (text: string): RegExp => new RegExp(` ${text.split('*').map((part) => words(part).join(' ')).filter(Boolean).join(' (?:[^ ]+ ){0,4}')} `, 'u')

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
  const phrases = Object.entries(readChecked(pathIn(recipe, extremeFile), 'a list of extreme phrases', extreme).kinds).flatMap(([kind, all]) => all.map((text) => ({ kind, pattern: phrase(text) })))
  const denied = readChecked(pathIn(recipe, claimsFile), 'a list of false claims', claims).claims.map(({ id, pattern }) => ({ id, pattern: new RegExp(pattern, 'u') }))
  const known = Object.entries(readChecked(pathIn(recipe, wordsFile), 'a list of function words', languages).languages).map(([name, all]) => ({ name, all: new Set(all) }))
  return {
    findings (text) {
      const plain = spaced(text)
      const all = plain.trim().split(' ')
      const found: string[] = []
      if (all.some((word) => single.has(word)) || several.some((word) => plain.includes(word))) found.push('toxic')
      for (const { kind, pattern } of phrases) if (pattern.test(plain)) { found.push(`extreme: ${kind}`); break }
      const folded = text.toLowerCase()
      for (const { id, pattern } of denied) if (pattern.test(folded)) found.push(`false claim: ${id}`)
      return found
    },
    language (text) {
      const letters = text.match(/\p{L}/gu)?.length ?? 0
      const latin = text.match(/\p{Script=Latin}/gu)?.length ?? 0
      if (letters === 0 || latin / letters < 0.8) return 'not Latin'
      const all = words(text)
      if (all.length < 5) return recipe.clean.language
      const scores = known.map(({ name, all: common }) => ({ name, hits: all.filter((word) => common.has(word)).length }))
      const best = scores.reduce((a, b) => b.hits > a.hits || (b.hits === a.hits && b.name === recipe.clean.language) ? b : a)
      return best.hits === 0 ? recipe.clean.language : best.name
    },
  }
}
