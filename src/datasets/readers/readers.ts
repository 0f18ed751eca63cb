/** The readers by name, and which of a record's columns say what where the declaration does not. */
import type { SourceDeclaration } from '../declaration.ts'
import { readCsv } from './csv.ts'
import { readJsonl } from './jsonl.ts'
import type { Read } from './read.ts'

type Fields = SourceDeclaration['fields']
export interface Reader { readonly read: Read, readonly fields: Fields }

export const READERS: Readonly<Partial<Record<SourceDeclaration['reader'], Reader>>> = {
  csv: { read: readCsv, fields: {} },
  jsonl: { read: readJsonl, fields: {} },
}
