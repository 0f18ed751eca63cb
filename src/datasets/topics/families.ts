/** The list of topic families: which topics are one, to which dimension of the objective each belongs, and which are always covered. */
import { z } from 'zod'
import { pathIn, readChecked, type Recipe } from '../recipe.ts'

const schema = z.strictObject({
  title: z.string(), licence: z.string(), address: z.string(), method: z.string(),
  /** What is always covered and reported one by one, each with its families. */
  fixtures: z.record(z.string(), z.array(z.string())),
  families: z.array(z.strictObject({ name: z.string(), dimension: z.string(), pattern: z.string() })),
})

export interface Family { readonly name: string, readonly dimension: string, readonly pattern: RegExp }
export interface Families { readonly all: readonly Family[], readonly fixtures: Readonly<Record<string, readonly string[]>>, readonly find: (folded: string) => Family | undefined, readonly named: (name: string) => Family | undefined }

export function readFamilies (recipe: Recipe): Families {
  const list = recipe.pair.families === null ? { fixtures: {}, families: [] } : readChecked(pathIn(recipe, recipe.pair.families), 'a list of topic families', schema)
  const all = list.families.map(({ name, dimension, pattern }) => ({ name, dimension, pattern: new RegExp(pattern, 'u') }))
  const byName = new Map(all.map((family) => [family.name, family]))
  return { all, fixtures: list.fixtures, find: (folded) => all.find(({ pattern }) => pattern.test(folded)), named: (name) => byName.get(name) }
}

/** Case folded, without the counter of "gun control (2)" and without a leading "social issues:". */
export const labelKey = (label: string): string => label.toLowerCase().replace(/\s*\(\d+\)$/, '').replace(/^[a-z ]+:\s*/, '').replace(/\s+/g, ' ').trim()
