/** Abstracts of papers, as arXiv's metadata and OpenAlex's works hold them. Only those whose own licence allows it; the venue tells the side. */
import { readJsonl } from './jsonl.ts'
import type { Read } from './read.ts'

const FREE = /cc[-_ ]?(by|0)\b|creativecommons\.org\/(licenses\/by|(licenses\/)?publicdomain)|public[- ]domain|^cc-by$|pd$/i
/** Share-alike is left out too: what is made of it would have to be given on under the same terms. */
const RESERVED = /\b(nc|nd|sa)\b/i

type Json = Readonly<Record<string, unknown>>
const within = (value: unknown, ...names: readonly string[]): unknown => names.reduce<unknown>((at, name) => (at as Json | null | undefined)?.[name], value)
const textOf = (value: unknown): string => typeof value === 'string' ? value : ''

/** OpenAlex gives words with their places. */
function inverted (index: unknown): string {
  if (typeof index !== 'object' || index === null) return ''
  const placed: string[] = []
  for (const [word, places] of Object.entries(index)) if (Array.isArray(places)) for (const place of places) if (typeof place === 'number' && place >= 0 && place < 20_000) placed[place] = word
  return placed.filter((word) => word !== undefined).join(' ')
}

const allows = (licence: string): boolean => FREE.test(licence) && !RESERVED.test(licence.replace(/creativecommons|licenses/gi, ''))

export const readAbstracts: Read = async function * (file) {
  for await (const { row, record } of readJsonl(file)) {
    const text = (textOf(record['abstract']) || inverted(record['abstract_inverted_index'])).replace(/\s+/g, ' ').trim()
    const licence = textOf(record['license']) || textOf(within(record, 'primary_location', 'license')) || textOf(within(record, 'best_oa_location', 'license'))
    const venue = textOf(record['journal-ref']) || textOf(within(record, 'primary_location', 'source', 'display_name')) || textOf(record['venue'])
    const topic = textOf(within(record, 'primary_topic', 'display_name'))
    if (text === '') yield { row, record: {}, skip: 'no abstract' }
    else if (!allows(licence)) yield { row, record: {}, skip: 'its own licence does not allow it' }
    else yield { row, record: { text, venue, topic } }
  }
}
