/** News and opinion articles, in the columns that collections use: cut into passages of whole sentences, page furniture away. Outlets tell the side. */
import { formatOf } from './huggingface.ts'
import { fromHtml, passages } from './plain-text.ts'
import type { Read } from './read.ts'

const PASSAGE_WORDS = 120
const FURNITURE = /\b(subscribe|sign up|newsletter|advertisement|all rights reserved|click here|read more|cookie|follow us|copyright|photo by|getty images)\b/i

const first = (record: Readonly<Record<string, unknown>>, names: readonly string[]): string => {
  for (const name of names) { const value = record[name]; if (typeof value === 'string' && value.trim() !== '') return value }
  return ''
}

export const readArticles: Read = async function * (file) {
  for await (const { row, record } of formatOf(file)(file)) {
    const text = first(record, ['maintext', 'body', 'text', 'content', 'article'])
    const outlet = first(record, ['outlet', 'publication', 'source', 'source_domain', 'domain', 'publisher'])
    if (text === '') { yield { row, record: {}, skip: 'no text' }; continue }
    const paragraphs = text.split(/\n\s*\n|<\/p>/i).map(fromHtml).filter((one) => one !== '' && !(FURNITURE.test(one) && one.length < 200))
    for (const passage of paragraphs.flatMap((one) => passages(one, PASSAGE_WORDS))) yield { row, record: { text: passage, outlet } }
  }
}
