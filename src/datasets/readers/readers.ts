/** The readers by name, and which of a record's columns say what where the declaration does not. */
import type { SourceDeclaration } from '../declaration.ts'
import { readAbstracts } from './abstracts.ts'
import { readArticles } from './articles.ts'
import { readCsv } from './csv.ts'
import { readHuggingFace } from './huggingface.ts'
import { readJsonl } from './jsonl.ts'
import { readParquet } from './parquet.ts'
import type { Read } from './read.ts'
import { readReddit } from './reddit.ts'
import { readTruthSocial } from './truth-social.ts'

export const READERS: Readonly<Record<SourceDeclaration['reader'], { readonly read: Read, readonly fields: SourceDeclaration['fields'] }>> = {
  csv: { read: readCsv, fields: {} },
  jsonl: { read: readJsonl, fields: {} },
  parquet: { read: readParquet, fields: {} },
  huggingface: { read: readHuggingFace, fields: {} },
  reddit: { read: readReddit, fields: { text: 'text', side: 'community' } },
  'truth-social': { read: readTruthSocial, fields: { text: 'text', side: 'account' } },
  articles: { read: readArticles, fields: { text: 'text', side: 'outlet' } },
  abstracts: { read: readAbstracts, fields: { text: 'text', side: 'venue', topic: 'topic' } },
}
