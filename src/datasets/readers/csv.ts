/** CSV as RFC 4180 has it, or the same with tabs, a record at a time. Strict: a quote that never closes or a row of another length is an error that names the row. */
import { DatasetError, at } from '../dataset-error.ts'
import type { ReadFormat } from './read.ts'
import { textOf } from './text.ts'

/** A field longer than this is a quote that was never closed. */
const LONGEST_FIELD = 1_000_000

async function * records (file: string, comma: string): AsyncGenerator<{ readonly fields: string[], readonly row: number }> {
  let [row, begun] = [1, 1]
  let fields: string[] = []
  let field = ''
  let state: 'start' | 'plain' | 'quoted' | 'closing' = 'start'
  const broken = (why: string): DatasetError => new DatasetError(`${at(file, begun)}: broken CSV, ${why}. Correct the row, or declare the source as another format.`)
  const endField = (): void => { fields.push(field); field = ''; state = 'start' }
  for await (const text of textOf(file)) {
    for (const char of text) {
      if (char === '\n') row++
      if (state === 'quoted') {
        if (char === '"') state = 'closing'
        else field += char
        if (field.length > LONGEST_FIELD) throw broken('a quote opens there and does not close')
      } else if (state === 'closing' && char === '"') {
        field += '"'
        state = 'quoted'
      } else if (char === comma) endField()
      else if (char === '\n') {
        const empty = fields.length === 0 && field === '' && state === 'start'
        endField()
        if (!empty) yield { fields, row: begun }
        fields = []
        begun = row
      } else if (char === '\r' && state !== 'plain') continue
      else if (state === 'closing') throw broken(`wanted a separator or the end of the line after a closing quote, came ${JSON.stringify(char)}`)
      else if (char === '"' && state === 'start') state = 'quoted'
      else if (char === '"') throw broken('a quote stands inside a field that is not quoted')
      else { field += char; state = 'plain' }
    }
  }
  if (state === 'quoted') throw broken('a quote opens there and does not close before the file ends')
  if (fields.length > 0 || field !== '' || state !== 'start') { endField(); yield { fields, row: begun } }
}

const table = (comma: string): ReadFormat => async function * (file) {
  let head: string[] | undefined
  for await (const { fields, row } of records(file, comma)) {
    const values = fields.map((field) => field.endsWith('\r') ? field.slice(0, -1) : field)
    if (head === undefined) {
      head = values.map((name) => name.replace(/^\ufeff/, '').trim())
      continue
    }
    if (values.length !== head.length) throw new DatasetError(`${at(file, row)}: broken CSV, wanted ${head.length} fields (${head.join(', ')}), came ${values.length}. Correct the row.`)
    yield { row, record: Object.fromEntries(head.map((name, i) => [name, values[i]])) }
  }
}

export const readCsv = table(',')
export const readTsv = table('\t')
