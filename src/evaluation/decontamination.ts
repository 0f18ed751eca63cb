/** Whether anything that is asked or scored stands in the training data, by the rule that the datasets are cleaned by. Reads exports line by line. */
import { createReadStream, existsSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { createInterface } from 'node:readline'
import { z } from 'zod'
import { Contamination } from '../datasets/contamination.ts'
import { EvaluationError } from './evaluation-error.ts'
import { sentences } from './text.ts'

export const decontamination = z.strictObject({
  /** Texts of the evaluation that were looked for. */
  items: z.int(),
  /** `formulas`: texts that share eight words in a row with a held-out statement and are not like it otherwise. TwinViews is formulaic ("should be left to the free market and individuals …"), so these are told and do not stop the evaluation. */
  files: z.array(z.strictObject({ file: z.string(), sha256: z.string(), texts: z.int(), formulas: z.int() })),
})
export type Decontamination = z.infer<typeof decontamination>

const GRAM = 8
const LIKENESS = 0.6
const SHOWN = 10

/** The set whose texts are of the same make as what trains. */
export const HELD_OUT = 'held-out pairs'
/** So long a row of words is the whole text. */
const NEVER = 1000

/** Every text in a JSON value, whatever the export's format calls it. */
function textsIn (value: unknown): string[] {
  if (typeof value === 'string') return value.includes(' ') ? [value] : []
  if (Array.isArray(value)) return value.flatMap(textsIn)
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : []
}

/** `texts`: by what they are called. JSON Lines, or plain lines of text. Throws EvaluationError that names what was found, and where. */
export async function decontaminate (texts: readonly { readonly set: string, readonly text: string }[], files: readonly { readonly name: string, readonly path: string }[]): Promise<Decontamination> {
  const items = new Contamination(GRAM, LIKENESS)
  const [statements, formulas] = [new Contamination(NEVER, LIKENESS), new Contamination(GRAM, 1)]
  for (const { set, text } of texts) for (const each of set === HELD_OUT ? [statements, formulas] : [items]) each.add(set, text)
  const found: string[] = []
  let more = 0
  const read: Decontamination['files'] = []
  for (const { name, path } of files) {
    if (!existsSync(path)) throw new EvaluationError(`The training data ${path} is not there: that nothing of the evaluation stands in it cannot be shown. Name what trained with --training, once for each file.`)
    const digest = createHash('sha256')
    const stream = createReadStream(path).on('data', (part) => { digest.update(part) })
    let [count, alike, at] = [0, 0, 0]
    for await (const line of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) {
      at++
      if (line.trim() === '') continue
      let value: unknown = line
      if (/\.jsonl?$/.test(path)) try { value = JSON.parse(line) } catch { throw new EvaluationError(`${path}: line ${at} is not JSON. Training data is read as JSON Lines, or as plain text.`) }
      for (const text of textsIn(value)) {
        count++
        const hit = [text, ...sentences(text)].map((part) => items.find(part) ?? statements.find(part)).find((one) => one !== undefined)
        if (!hit) { if (formulas.find(text)) alike++; continue }
        if (found.length < SHOWN) found.push(`${name}, line ${at}: ${JSON.stringify(text.slice(0, 80))} is an item of ${hit.set} (${hit.by})`)
        else more++
      }
    }
    read.push({ file: name, sha256: digest.digest('hex'), texts: count, formulas: alike })
  }
  if (found.length > 0) throw new EvaluationError(`What is evaluated stands in the training data, so that nothing would be shown:\n  ${found.join('\n  ')}${more > 0 ? `\n  and ${more} more` : ''}\nTake it out of the one or of the other, train again, and evaluate then. Nothing was written.`)
  return { items: texts.length, files: read }
}
