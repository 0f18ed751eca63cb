/** The gateway's export of what people said of answers, row by row. Ids and judgements only; the words are elsewhere. */
import { z } from 'zod'
import { DatasetError } from '../dataset-error.ts'
import type { Gateway } from '../gateway.ts'

const answer = z.object({ record: z.uuid(), choice: z.int(), perspective: z.string(), adapter_sha256: z.string().nullable() })
const beside = { id: z.string(), created: z.int(), key: z.string(), consent: z.boolean(), consent_version: z.string().nullable() }
const row = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('rating'), rating: z.enum(['good', 'bad']), about: answer, ...beside }),
  z.object({ kind: z.literal('choice'), preferred: answer, over: answer, ...beside }),
])
const manifest = z.object({ manifest: z.object({ rows: z.int() }) })

export type Answered = z.infer<typeof answer>
export type Given = z.infer<typeof row>

export const answersOf = (given: Given): readonly Answered[] => given.kind === 'rating' ? [given.about] : [given.preferred, given.over]

/** Asked for with consent, and yet each row's own consent is looked at by whoever reads these. Throws where the export was cut off. */
export async function * readGiven (admin: Gateway): AsyncGenerator<Given> {
  const path = '/admin/v1/feedback/export?consent=true'
  let rows = 0
  let whole = false
  for await (const line of admin.lines(path)) {
    const wrong = (cause?: unknown): DatasetError => new DatasetError(`${path}, row ${rows + 1}: wanted a row of feedback, came ${JSON.stringify(line.slice(0, 120))}.`, { cause })
    let json: unknown
    try { json = JSON.parse(line) } catch (cause) { throw wrong(cause) }
    const last = manifest.safeParse(json)
    if (last.success) {
      if (last.data.manifest.rows !== rows) throw new DatasetError(`${path} gave ${rows} rows and says that they are ${last.data.manifest.rows}. Run the command again.`)
      whole = true
      continue
    }
    const parsed = row.safeParse(json)
    if (!parsed.success || whole) throw wrong(parsed.error)
    rows++
    yield parsed.data
  }
  if (!whole) throw new DatasetError(`${path} was cut off after ${rows} rows: its last line, the manifest, is missing. Run the command again.`)
}
