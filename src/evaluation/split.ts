/** Which topics are held out: there is one split, and the datasets' recipe decides it. Knows nothing of training. */
import { hash } from 'node:crypto'
import { readRecipe } from '../datasets/recipe.ts'
import { labelKey, readFamilies } from '../datasets/topics/families.ts'
import { EvaluationError } from './evaluation-error.ts'

export interface Pair { readonly topic: string, readonly family: string, readonly left: string, readonly right: string }

export interface Split {
  readonly sha256: string
  /** Measured on: held out for test. What is held out for validation may have chosen a version, and is not measured on. */
  readonly heldOut: readonly string[]
  readonly test: readonly Pair[]
  /** What the judge may learn from: no family that is held out for anything, nothing that mentions one. */
  readonly train: readonly Pair[]
}

/** Every different pair of `twinviews-13k.csv`: all its fields are quoted. */
export function readTwinViewsPairs (csv: string): { topic: string, left: string, right: string }[] {
  const tidy = (text: string): string => text.replaceAll('""', '"').replace(/\s+/g, ' ').trim()
  const seen = new Map<string, { topic: string, left: string, right: string }>()
  for (const [, l, r, topic] of [...csv.matchAll(/^"((?:[^"]|"")*)","((?:[^"]|"")*)","((?:[^"]|"")*)"\r?$/gm)].slice(1)) {
    const [left, right] = [tidy(l!), tidy(r!)]
    const key = `${left}\0${right}`.toLowerCase()
    if (left !== '' && right !== '' && left !== right && !seen.has(key)) seen.set(key, { topic: labelKey(topic!), left, right })
  }
  return [...seen.values()]
}

/** Throws EvaluationError where the recipe names no test topics, or one that no pair is on. */
export function readSplit (recipeFile: string, csv: string): Split {
  const recipe = readRecipe(recipeFile)
  const { test: heldOut, validation } = recipe.split
  if (heldOut === null || heldOut.length === 0) throw new EvaluationError(`${recipeFile} names no topics under "split.test": what is drawn by seed cannot be measured on by name. Name them.`)
  const families = readFamilies(recipe)
  const held = new Set([...heldOut, ...validation ?? []])
  const patterns = families.all.filter(({ name }) => held.has(name)).map(({ pattern }) => pattern)
  const pairs = readTwinViewsPairs(csv).map((pair): Pair => ({ ...pair, family: families.find(pair.topic)?.name ?? `other: ${pair.topic}` }))
  const test = pairs.filter(({ family }) => heldOut.includes(family))
  const empty = heldOut.filter((name) => !test.some(({ family }) => family === name))
  if (empty.length > 0) throw new EvaluationError(`No pair is on the held-out topics ${empty.join(', ')}: nothing could be measured there. Correct "split.test" in ${recipeFile}, or its list of families.`)
  const mentions = ({ topic, left, right }: Pair): boolean => { const text = `${topic}\n${left}\n${right}`.toLowerCase(); return patterns.some((pattern) => pattern.test(text)) }
  return {
    sha256: hash('sha256', JSON.stringify([heldOut, validation, families.all.map(({ name, pattern }) => [name, pattern.source])])),
    heldOut, test, train: pairs.filter((pair) => !held.has(pair.family) && !mentions(pair)),
  }
}
