/** Sources to rows: each declared, checked against its digest, read by its reader. Knows nothing of what the texts say. */
import { at, DatasetError } from './dataset-error.ts'
import { checkedFiles, readDeclaration, type SourceDeclaration } from './declaration.ts'
import { READERS } from './readers/readers.ts'
import type { Row } from './readers/read.ts'
import { pathIn } from './recipe.ts'
import { ENDS, type Collected } from './rows.ts'
import type { Stage } from './stage.ts'

type Column = string | readonly string[] | undefined

function valueOf (record: Row['record'], column: Column): string | undefined {
  for (const name of typeof column === 'string' ? [column] : column ?? []) {
    const value = record[name]
    if (typeof value === 'string' && value.trim() !== '') return value
    if (typeof value === 'number') return String(value)
  }
  return undefined
}

/** A record to a row, or to the reason why it is none. */
function collected (source: SourceDeclaration, fields: SourceDeclaration['fields'], id: string, record: Row['record']): Collected | string {
  const topic = valueOf(record, fields.topic) ?? ''
  if (fields.text === undefined) {
    const [left, right] = [valueOf(record, fields.left), valueOf(record, fields.right)]
    if (left === undefined && right === undefined) return 'both sides empty'
    if (left === undefined) return 'left side empty'
    if (right === undefined) return 'right side empty'
    return { id, source: source.name, topic, left, right }
  }
  const text = valueOf(record, fields.text)
  if (text === undefined) return 'no text'
  const name = valueOf(record, fields.side)?.toLowerCase()
  const end = source.end ?? ENDS.find((one) => source.sides?.[one].some((listed) => listed.toLowerCase() === name))
  if (end === undefined) return 'of neither declared side'
  return { id, source: source.name, topic, [end]: text }
}

function fieldsOf (source: SourceDeclaration): SourceDeclaration['fields'] {
  const fields = { ...READERS[source.reader].fields, ...source.fields }
  const pair = fields.left !== undefined && fields.right !== undefined
  const text = fields.text !== undefined && (source.end !== undefined || (fields.side !== undefined && source.sides !== undefined))
  if (pair === text) throw new DatasetError(`${source.declared}: wanted columns for a pair (left, right) or for a text (text, and either side with "sides" or "end"), came ${JSON.stringify(source.fields)}.`)
  return fields
}

/** A header that came as one column holds what its columns are really parted by. */
function otherDelimiter (record: Row['record']): string {
  const [head, ...more] = Object.keys(record)
  const mark = more.length > 0 ? undefined : [[';', 'semicolons'], ['\t', 'tabs'], ['|', 'bars']].find(([one]) => head?.includes(one!))
  return mark === undefined ? '' : ` Its columns seem to be parted by ${mark[1]}, and this reader wants commas: convert the file, and declare its new SHA-256.`
}

export const collect: Stage = {
  name: 'collect',
  summary: 'read the declared sources',
  after: [],
  settings: (recipe) => ({ code: 1, part_rows: recipe.part_rows, sources: recipe.sources.map((file) => { const { declared: _, ...source } = readDeclaration(pathIn(recipe, file)); return source }) }),
  async run (job) {
    const { part_rows: size, sources } = job.recipe
    const used = new Map<string, number>()
    let [part, rows, total] = [0, [] as (Collected | string)[], 0]
    let firstEmpty = ''
    const flush = (): void => {
      if (rows.length === 0) return
      const batch = rows
      job.part(part++, (out, count) => {
        for (const row of batch) {
          if (typeof row === 'string') { count(`left out: ${row}`); continue }
          out.row(row)
          count(`rows: ${row.source}`)
          for (const end of ENDS) if (row[end] !== undefined) count(`${end} texts`)
        }
      })
      rows = []
    }
    for (const listed of sources) {
      const source = readDeclaration(pathIn(job.recipe, listed))
      if (used.has(source.name)) throw new DatasetError(`Two sources are named ${source.name}; ids of rows would not tell them apart. Rename one.`)
      used.set(source.name, 0)
      const fields = fieldsOf(source)
      for (const file of await checkedFiles(source)) {
        let seen = false
        for await (const { row, record, skip } of READERS[source.reader].read(file, source)) {
          if (skip === undefined && !seen) for (const column of [fields.left, fields.right, fields.text].filter((name) => typeof name === 'string')) if (!(column in record)) throw new DatasetError(`${at(file, row)}: ${source.declared} names a column ${JSON.stringify(column)}, and the file has ${Object.keys(record).join(', ')}.${otherDelimiter(record)}`)
          seen ||= skip === undefined
          const number = used.get(source.name)! + 1
          used.set(source.name, number)
          const made = skip ?? collected(source, fields, `${source.name}:${number}`, record)
          if (firstEmpty === '' && typeof made === 'string' && made.endsWith('empty')) firstEmpty = ` The first is ${at(file, row)}: ${made}.`
          rows.push(made)
          if (rows.length === size) flush()
          if (++total % 4096 === 0) job.report('rows', total, 0)
        }
      }
    }
    flush()
    const counts = job.counts()
    if (total === 0) throw new DatasetError(`No row was read from ${sources.join(', ')}: the declared files hold none. Fetch the data again, or take the source out of the recipe.`)
    const told = Object.entries(counts).map(([name, count]) => `${name}: ${count}`).join('; ')
    for (const end of ENDS) if (!counts[`${end} texts`]) throw new DatasetError(`The ${end} side is empty: ${total} rows were read from ${sources.join(', ')} and none holds a text of it.${firstEmpty} Counted: ${told}.`)
    job.report('rows', total, total)
  },
}
