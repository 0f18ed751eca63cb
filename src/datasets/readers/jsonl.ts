/** One JSON object a line. */
import { DatasetError, at } from '../dataset-error.ts'
import type { ReadFormat } from './read.ts'
import { textLines } from './text.ts'

export const readJsonl: ReadFormat = async function * (file) {
  for await (const { line, row } of textLines(file)) {
    let record: unknown
    try { record = JSON.parse(line) } catch (cause) { throw new DatasetError(`${at(file, row)}: wanted a JSON object, came ${JSON.stringify(line.slice(0, 80))} (${(cause as Error).message}). Correct the line.`, { cause }) }
    if (typeof record !== 'object' || record === null || Array.isArray(record)) throw new DatasetError(`${at(file, row)}: wanted a JSON object, came ${JSON.stringify(record).slice(0, 80)}. Correct the line.`)
    yield { row, record: record as Record<string, unknown> }
  }
}
