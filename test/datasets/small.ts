/** A small data set of our own for tests: topics with as many statements as asked, and a recipe around it. */
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { readRecipe, type Recipe } from '../../src/datasets/recipe.ts'
import { runStage } from '../../src/datasets/stage.ts'
import { STAGES } from '../../src/datasets/stages.ts'
import { temporary } from '../helper.ts'

export const LISTS = fileURLToPath(new URL('../../datasets/lists/', import.meta.url))
const ANSWERS = fileURLToPath(new URL('../../datasets/neutral/answers.jsonl', import.meta.url))

export interface Given { readonly topic: string, readonly left: string, readonly right: string }

const TOPICS = ['taxation', 'healthcare', 'gun control', 'abortion', 'housing', 'net neutrality', 'trade', 'childcare', 'gambling', 'space exploration']
const THINGS = ['hospitals', 'schools', 'farmers', 'workers', 'cities', 'families', 'students', 'builders', 'nurses', 'drivers', 'painters', 'sailors']
const GOODS = ['safety', 'fairness', 'dignity', 'shelter', 'comfort', 'knowledge', 'patience', 'harmony', 'trust', 'balance', 'clarity', 'warmth']

/** Statements of about the same length for both ends; every topic has its own words, so that splits have something to hold apart. */
export const pairs = (each = 8, topics = TOPICS): Given[] => topics.flatMap((topic, t) => Array.from({ length: each }, (_, i) => {
  const [thing, good, second] = [THINGS[(i + t) % THINGS.length]!, GOODS[(i * 5 + t) % GOODS.length]!, GOODS[(i * 7 + t + 3) % GOODS.length]!]
  return i % 2 === 0
    ? { topic, left: `Public ${topic} programs should give ${thing} more ${good} and ${second} number ${i}.`, right: `Private ${topic} markets should give ${thing} more ${second} and choice number ${i}.` }
    : { topic, left: `The community is better served when ${topic} rules bring ${good} to ${thing} in place ${i}.`, right: `The individual is better served when ${topic} freedom brings ${second} to ${thing} in place ${i}.` }
}))

export const csv = (rows: readonly Given[]): string => ['topic,l,r', ...rows.map((row) => [row.topic, row.left, row.right].map((text) => `"${text.replaceAll('"', '""')}"`).join(','))].join('\n') + '\n'

export const sha256 = (bytes: string | Buffer): string => createHash('sha256').update(bytes).digest('hex')

export interface Small { readonly folder: string, readonly file: string, readonly work: string, recipe (): Recipe }

export const declaration = (file: string, bytes: string | Buffer, over: object = {}): object => ({
  name: 'small', title: 'A small set made for a test', licence: 'Apache-2.0', licence_question: { may_train: true, may_publish_what_was_trained: true, answer: 'It was written for this very test.' },
  address: 'this test', date: '2026-11-25', population: 'nobody', files: [{ path: file, sha256: sha256(bytes) }], reader: 'csv', fields: { topic: 'topic', left: 'l', right: 'r' }, ...over,
})

/** Members of `recipe` go over the small one's, those of `source` over its only source's. */
export function small (t: Test, bytes: string | Buffer, { recipe = {}, source = {}, name = 'small.csv' }: { recipe?: object, source?: object, name?: string } = {}): Small {
  const folder = temporary(t)
  mkdirSync(join(folder, 'sources'), { recursive: true })
  writeFileSync(join(folder, 'sources', name), bytes)
  writeFileSync(join(folder, 'sources/small.json'), JSON.stringify(declaration(name, bytes, source)))
  const list = (one: string): string => join(LISTS, one)
  writeFileSync(join(folder, 'recipe.json'), JSON.stringify({
    name: 'small', version: '1', title: 'A small set', seed: 7, sides: { left: 'progressive', right: 'conservative' }, part_rows: 20, sources: ['sources/small.json'],
    clean: { toxic_words: list('toxic-words.json'), extreme_phrases: list('extreme-phrases.json'), false_claims: list('false-claims.json'), function_words: list('function-words.json') },
    pair: { families: list('topics.json') }, split: { validation: ['gambling'], test: ['space exploration'], always_train: ['taxation', 'healthcare'] },
    compose: { forms: list('forms.json'), neutral: { answers: ANSWERS }, counterfactual: 0.3 }, decontaminate: { sets: list('evaluation-sets.json') }, ...recipe,
  }))
  return { folder, file: join(folder, 'recipe.json'), work: join(folder, 'work'), recipe: () => readRecipe(join(folder, 'recipe.json')) }
}

export async function build (set: Small, until = 'export'): Promise<void> {
  for (const stage of STAGES) {
    await runStage(stage, set.recipe(), set.work, () => {})
    if (stage.name === until) return
  }
}

/** Every file below a folder, with its digest. */
export function digests (folder: string, below = ''): Record<string, string> {
  const found: Record<string, string> = {}
  for (const name of readdirSync(join(folder, below)).toSorted()) {
    const path = join(below, name)
    if (statSync(join(folder, path)).isDirectory()) Object.assign(found, digests(folder, path))
    else found[path] = sha256(readFileSync(join(folder, path)))
  }
  return found
}

export const rowsOf = <T = any>(file: string): T[] => readFileSync(file, 'utf8').trim().split('\n').filter(Boolean).map((line) => JSON.parse(line) as T)
