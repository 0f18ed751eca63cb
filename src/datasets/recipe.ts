/** The recipe: every number and every list that decides what comes out, in one file. Knows what may be written there, not what it does. */
import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import { DatasetError } from './dataset-error.ts'

const share = z.number().min(0).max(1)
const range = z.tuple([z.int().min(1), z.int().min(1)])

const schema = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,59}$/, 'wanted lower-case letters, digits and hyphens'),
  version: z.string().min(1).max(40),
  title: z.string().min(1),
  seed: z.int().min(0),
  /** Which perspective learns from which end of the data. */
  sides: z.strictObject({ left: z.string(), right: z.string() }),
  /** The folder of declarations that the sides' objectives are read from; null: not checked. */
  perspectives: z.string().nullable().default(null),
  /** Rows in a part file: what is lost when a stage is cut off, and all that it holds at once. */
  part_rows: z.int().min(10).max(100_000).default(5_000),
  /** Source declarations, beside the recipe. */
  sources: z.array(z.string()).min(1),
  clean: z.strictObject({
    language: z.string().length(2).default('en'),
    pair_words: range.default([3, 80]),
    document_words: range.default([5, 400]),
    near_duplicate: share.default(0.8),
    toxic_words: z.string(), extreme_phrases: z.string(), false_claims: z.string(), function_words: z.string(),
  }),
  pair: z.strictObject({
    families: z.string().nullable().default(null),
    /** Token Jaccard of two labels from which they are one topic. */
    label_likeness: share.default(0.6),
    /** Part of the smaller label's statements that must stand under the other too. */
    shared_statements: share.default(0.2),
    /** No cluster that joining would make holds more of the rows than this. */
    largest_cluster: share.default(0.1),
  }),
  annotate: z.strictObject({
    folds: z.int().min(2).max(10).default(5), epochs: z.int().min(1).max(10).default(3),
    /** What people said of pairs (`datasets agreement --write`): pairs that are not as labelled do not train. */
    verdicts: z.string().nullable().default(null),
  }).prefault({}),
  split: z.strictObject({
    /** By name, so that versions can be compared on the same topics; null: drawn by seed. */
    validation: z.array(z.string()).nullable().default(null),
    test: z.array(z.string()).nullable().default(null),
    validation_share: share.default(0.06),
    test_share: share.default(0.12),
    /** Never drawn, always reported. */
    always_train: z.array(z.string()).default([]),
    /** Training pairs leave where they mention a held-out family, or nearly repeat a statement of one. */
    near_repeat: share.default(0.6),
  }),
  compose: z.strictObject({
    forms: z.string(),
    /** Rows for a label: `per_form` × √pairs, for each of the forms. */
    per_form: z.number().positive().default(1),
    least_confidence: share.default(0.5),
    sentences: range.default([2, 6]),
    most_words: z.int().default(110),
    /** Part of the composed rows that get a derived row of each kind. */
    counterfactual: share.default(0.1),
    neutral: z.strictObject({ answers: z.string(), share: share.default(0.2), most_repeats: z.int().min(1).default(4) }).nullable().default(null),
  }),
  decontaminate: z.strictObject({ sets: z.string(), n_gram: z.int().min(3).default(8), likeness: share.default(0.6) }),
  balance: z.strictObject({ most_difference: z.number().positive().default(0.1) }).prefault({}),
  export: z.strictObject({ formats: z.array(z.enum(['openai', 'trl', 'llama-factory', 'axolotl'])).default(['openai', 'trl', 'llama-factory', 'axolotl']) }).prefault({}),
})

export interface Recipe extends z.infer<typeof schema> { readonly folder: string }

const explain = (error: z.ZodError): string => error.issues.map((issue) => `${issue.path.join('.') || 'file'}: ${issue.message}`).join('; ')

/** A JSON file of this repository or its user, checked; the error names the file and every mistake. */
export function readChecked<T> (file: string, what: string, wanted: z.ZodType<T>): T {
  let json: unknown
  try { json = JSON.parse(readFileSync(file, 'utf8')) } catch (cause) { throw new DatasetError(`${file} cannot be read as ${what}: ${(cause as Error).message}`, { cause }) }
  const parsed = wanted.safeParse(json)
  if (!parsed.success) throw new DatasetError(`${file} is not ${what}: ${explain(parsed.error)}`)
  return parsed.data
}

export function readRecipe (file: string): Recipe {
  const recipe = { ...readChecked(file, 'a recipe', schema), folder: dirname(resolve(file)) }
  if (recipe.sides.left === recipe.sides.right) throw new DatasetError(`${file}: both ends would teach ${JSON.stringify(recipe.sides.left)}; name two perspectives under "sides".`)
  const twice = recipe.split.test?.filter((name) => recipe.split.validation?.includes(name) || recipe.split.always_train.includes(name)) ?? []
  if (twice.length > 0) throw new DatasetError(`${file}: ${twice.join(', ')} would stand in two splits; name each topic once under "split".`)
  return recipe
}

export const pathIn = (recipe: Recipe, file: string): string => resolve(recipe.folder, file)

/** So that a stage runs again when a list that it reads has changed. */
export const digestOf = (recipe: Recipe, file: string): string => {
  try { return hash('sha256', readFileSync(pathIn(recipe, file))) } catch (cause) { throw new DatasetError(`The recipe names ${file}, and ${pathIn(recipe, file)} cannot be read: ${(cause as Error).message}`, { cause }) }
}
