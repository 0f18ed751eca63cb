/** What a source says of itself before a row of it is read: licence, address, date, digest, reader. Refused without a licence. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import { DatasetError } from './dataset-error.ts'
import { readChecked } from './recipe.ts'

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'wanted a SHA-256 in hexadecimal')

/** A column, or several of which the first that is there counts. */
const column = z.union([z.string(), z.array(z.string()).min(1)])

const schema = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9][\w.-]{0,59}$/),
  title: z.string().min(1),
  licence: z.string({ error: 'a source without a licence is refused; name it (an SPDX identifier where there is one)' }).min(2, 'a source without a licence is refused'),
  /** The question that every source has to answer before anybody trains on it. */
  licence_question: z.strictObject({
    may_train: z.boolean(),
    may_publish_what_was_trained: z.boolean(),
    answer: z.string().min(20, 'wanted a sentence that says why'),
  }),
  address: z.string().min(1),
  date: z.iso.date(),
  citation: z.string().optional(),
  /** Whom the texts are by and about: the data, never a population at large. */
  population: z.string().min(1),
  files: z.array(z.strictObject({ path: z.string(), sha256 })).min(1),
  reader: z.enum(['csv', 'jsonl', 'parquet', 'huggingface', 'reddit', 'truth-social', 'articles', 'abstracts']),
  /** Which columns hold what. Of a pair: topic, left, right. Of a text: text, and side where `sides` tells ends by a column. */
  fields: z.strictObject({ topic: column.optional(), left: column.optional(), right: column.optional(), text: column.optional(), side: column.optional() }).default({}),
  /** Where everything in it is of one end. */
  end: z.enum(['left', 'right']).optional(),
  /** The values of the side's column (communities, accounts, outlets) that count as one end; rows of others are left out. */
  sides: z.strictObject({ left: z.array(z.string()), right: z.array(z.string()) }).optional(),
})

export type SourceDeclaration = z.infer<typeof schema> & { readonly declared: string }

const NO_LICENCE = /^(unknown|none|n\/?a|unlicen[cs]ed|proprietary|all rights reserved|other|tbd|\?+)$/i

export function readDeclaration (file: string): SourceDeclaration {
  const source = readChecked(file, 'a source declaration', schema)
  if (NO_LICENCE.test(source.licence.trim())) throw new DatasetError(`${file}: the licence is ${JSON.stringify(source.licence)}, which allows nothing. Ask whoever publishes ${source.title}, or leave the source out.`)
  if (!source.licence_question.may_train) throw new DatasetError(`${file}: by its own declaration ${source.title} may not be trained on (${source.licence_question.answer}). Take it out of the recipe.`)
  return { ...source, declared: file }
}

/** The source's files, each the very one that was declared. */
export async function checkedFiles (source: SourceDeclaration): Promise<string[]> {
  const files: string[] = []
  for (const { path, sha256: wanted } of source.files) {
    const file = resolve(dirname(source.declared), path)
    const digest = createHash('sha256')
    try { for await (const chunk of createReadStream(file)) digest.update(chunk as Buffer) } catch (cause) { throw new DatasetError(`${source.declared} declares ${path}, and ${file} cannot be read: ${(cause as Error).message}. It is to be had at ${source.address}.`, { cause }) }
    const found = digest.digest('hex')
    if (found !== wanted) throw new DatasetError(`${file}: SHA-256 is ${found}, ${source.declared} declares ${wanted}. Fetch the declared file again, or declare the new one after looking at what changed.`)
    files.push(file)
  }
  return files
}
