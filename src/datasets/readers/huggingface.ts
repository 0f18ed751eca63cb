/** Files of a Hugging Face data set as they lie on disk: Parquet, JSON lines, CSV; and its card, whose licence must be the declared one. */
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { DatasetError } from '../dataset-error.ts'
import type { SourceDeclaration } from '../declaration.ts'
import { readCsv, readTsv } from './csv.ts'
import { readJsonl } from './jsonl.ts'
import { readParquet } from './parquet.ts'
import type { Read, ReadFormat } from './read.ts'

const BY_NAME: readonly (readonly [RegExp, ReadFormat])[] = [
  [/\.parquet$/i, readParquet], [/\.(jsonl|ndjson|json)(\.gz|\.zst)?$/i, readJsonl], [/\.csv(\.gz|\.zst)?$/i, readCsv], [/\.tsv(\.gz|\.zst)?$/i, readTsv],
]

const plain = (licence: string): string => licence.toLowerCase().replace(/[^a-z0-9.]+/g, '-').replace(/\.0+$/, '')

/** The card's front matter, as far as a licence goes: one line, or a list of which the first counts. */
function checkCard (file: string, source: SourceDeclaration): void {
  const front = /^---\r?\n([\s\S]*?)\r?\n---/.exec(readFileSync(file, 'utf8'))?.[1] ?? ''
  const said = /^licen[cs]e:\s*(?:\r?\n\s*-\s*)?["']?([^\s"'[\],]+)/m.exec(front)?.[1]
  if (said === undefined) throw new DatasetError(`${file} names no licence, and ${source.declared} declares ${source.licence}. Ask whoever published ${source.title} before training on it.`)
  if (plain(said) !== plain(source.licence)) throw new DatasetError(`${file} says that the licence is ${said}, ${source.declared} says ${source.licence}. Correct the declaration after reading the licence.`)
}

export const formatOf = (file: string): ReadFormat => {
  const found = BY_NAME.find(([pattern]) => pattern.test(file))?.[1]
  if (found === undefined) throw new DatasetError(`${file}: wanted Parquet, JSON lines, CSV or TSV, by its name. ${/\.arrow$/i.test(file) ? 'Arrow files of save_to_disk are read after to_parquet.' : 'Rename or convert it.'}`)
  return found
}

export const readHuggingFace: Read = async function * (file, source) {
  if (basename(file).toLowerCase() === 'readme.md') checkCard(file, source)
  else yield * formatOf(file)(file)
}
