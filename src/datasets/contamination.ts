/** Texts that must not train, and how one is recognised: eight words in a row, or much the same content words. Knows no stage. */
import { hash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import { DatasetError } from './dataset-error.ts'
import { lines } from './parts.ts'
import { readCsv } from './readers/csv.ts'
import { readJsonl } from './readers/jsonl.ts'
import { pathIn, readChecked, type Recipe } from './recipe.ts'
import { contentWords, sentences, tidy, words } from './text.ts'
import { StatementIndex } from './topics/statement-index.ts'

const set = z.strictObject({
  name: z.string(), file: z.string(), reader: z.enum(['csv', 'jsonl', 'json', 'lines', 'templates', 'questions-js', 'evaluation-questions']), texts: z.array(z.string()),
  licence: z.string({ error: 'a set without a licence is refused' }), address: z.string(), citation: z.string().optional(),
})
const schema = z.strictObject({ title: z.string(), licence: z.string(), address: z.string(), method: z.string(), sets: z.array(set).min(1) })

const questions = z.looseObject({ template: z.string(), held_out: z.record(z.string(), z.string()), fixtures: z.array(z.string()), harmless: z.array(z.string()) })

const templated = z.looseObject({ templates: z.array(z.string()).min(1) })

/** Of fewer content words than this a share says nothing. */
const FEW_WORDS = 4

/** `a.b` of a record; of a list, of each that is in it. */
function textsAt (record: unknown, path: string): string[] {
  let values = [record]
  for (const name of path.split('.')) values = values.flatMap((value) => (value as Record<string, unknown> | null | undefined)?.[name] ?? [])
  return values.filter((text) => typeof text === 'string')
}

/** Of a file of templates and phrases, every phrase in every template, as they will be asked. */
function asked (json: unknown): string[] {
  const { templates } = templated.parse(json)
  const phrases: string[] = []
  const walk = (value: unknown, under: boolean): void => {
    if (typeof value === 'string') { if (under) phrases.push(value) } else if (typeof value === 'object' && value !== null) for (const [name, one] of Object.entries(value)) walk(one, under || name === 'phrases')
  }
  walk(json, false)
  return phrases.flatMap((phrase) => templates.map((template) => template.replace('{topic}', () => phrase)))
}

async function textsOf ({ reader, texts }: z.infer<typeof set>, path: string): Promise<string[]> {
  if (reader === 'questions-js') {
    // a script that assigns a JSON array: read, never run
    const source = readFileSync(path, 'utf8')
    return [...source.matchAll(/"question":\s*("(?:[^"\\]|\\.)*")/g)].map((match) => JSON.parse(match[1]!) as string)
  }
  if (reader === 'evaluation-questions') {
    const { template, held_out: held, fixtures, harmless } = readChecked(path, 'a file of evaluation questions', questions)
    return [...[...Object.values(held), ...fixtures].map((topic) => template.replace('{topic}', () => topic)), ...harmless]
  }
  if (reader === 'lines') return [...lines(path)].filter((line) => line.trim() !== '')
  if (reader === 'templates') return asked(JSON.parse(readFileSync(path, 'utf8')))
  if (reader === 'json') {
    const json = JSON.parse(readFileSync(path, 'utf8')) as unknown
    return texts.flatMap((name) => textsAt(json, name))
  }
  const found: string[] = []
  for await (const { record } of (reader === 'csv' ? readCsv : readJsonl)(path)) found.push(...texts.flatMap((name) => textsAt(record, name)))
  return found
}

export interface Hit { readonly set: string, readonly text: string, readonly by: string }

export class Contamination {
  readonly #grams = new Map<string, number>()
  readonly #short = new Map<string, number>()
  readonly #index: StatementIndex
  readonly #indexed: number[] = []
  readonly #items: { readonly set: string, readonly text: string }[] = []
  readonly #gram: number
  readonly sizes: Record<string, number> = {}

  constructor (gram: number, likeness: number) {
    this.#gram = gram
    this.#index = new StatementIndex(likeness)
  }

  /** Quotes and odd spaces made plain first, here and in `find`: rows are so already, evaluation sets and feedback are not. */
  add (name: string, given: string): void {
    const text = tidy(given)
    const item = this.#items.push({ set: name, text: given }) - 1
    this.sizes[name] = (this.sizes[name] ?? 0) + 1
    const all = words(text)
    for (let i = 0; i + this.#gram <= all.length; i++) this.#grams.set(all.slice(i, i + this.#gram).join(' '), item)
    this.#short.set(all.join(' '), item)
    if (contentWords(text).size >= FEW_WORDS) this.#indexed[this.#index.add(text)] = item
  }

  find (given: string): Hit | undefined {
    const text = tidy(given)
    const all = words(text)
    const said = (item: number, by: string): Hit => ({ ...this.#items[item]!, by })
    const same = this.#short.get(all.join(' '))
    if (same !== undefined) return said(same, 'word for word')
    for (let i = 0; i + this.#gram <= all.length; i++) {
      const item = this.#grams.get(all.slice(i, i + this.#gram).join(' '))
      if (item !== undefined) return said(item, `${this.#gram} words in a row`)
    }
    const near = contentWords(text).size >= FEW_WORDS ? this.#index.find(text) : undefined
    return near === undefined ? undefined : said(this.#indexed[near]!, 'content words alike')
  }

  /** In an answer of several sentences: whole, for an item may run over the end of a sentence, and sentence by sentence. */
  findInAnswer (answer: string): Hit | undefined {
    for (const text of [answer, ...sentences(answer)]) {
      const hit = this.find(text)
      if (hit !== undefined) return hit
    }
    return undefined
  }
}

const listOf = (recipe: Recipe): { readonly file: string, readonly list: z.infer<typeof schema> } => {
  const file = pathIn(recipe, recipe.decontaminate.sets)
  return { file, list: readChecked(file, 'a list of evaluation sets', schema) }
}

/** Digests of what the list names, for whoever has to notice a change; null where there is nothing. */
export function evaluationDigests (recipe: Recipe): Record<string, string | null> {
  const { file, list } = listOf(recipe)
  const digest = (path: string): string | null => existsSync(path) ? hash('sha256', readFileSync(path)) : null
  return Object.fromEntries(list.sets.map((one) => [one.name, digest(resolve(dirname(file), one.file))]))
}

export async function readContamination (recipe: Recipe): Promise<Contamination> {
  const { file, list } = listOf(recipe)
  const found = new Contamination(recipe.decontaminate.n_gram, recipe.decontaminate.likeness)
  for (const one of list.sets) {
    const path = resolve(dirname(file), one.file)
    let texts: string[]
    try { texts = (await textsOf(one, path)).filter((text) => words(text).length > 0) } catch (cause) {
      if (cause instanceof DatasetError) throw cause
      throw new DatasetError(`The evaluation set ${one.name} (${one.file}) cannot be read: ${(cause as Error).message}. Nothing trains until it can be held against it.`, { cause })
    }
    // whatever the reader: a set that is read as empty would keep nothing out, and nobody would notice
    if (texts.length === 0) throw new DatasetError(`The evaluation set ${one.name} (${one.file}) gave no text${one.texts.length > 0 ? ` under ${one.texts.join(', ')}` : ''}, read as ${one.reader}: nothing would be kept out of training. Correct the list of evaluation sets.`)
    for (const text of texts) found.add(one.name, text)
  }
  return found
}
