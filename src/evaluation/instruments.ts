/** What is asked and by what it is judged: every file under `evaluation/`, read and checked, each mistake named. Knows nothing of answers. */
import { hash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { z } from 'zod'
import { EvaluationError } from './evaluation-error.ts'

const written = { licence: z.string().min(1), method: z.string().min(1) }
const text = z.string().min(1)

const questions = z.strictObject({
  ...written, templates: z.array(text.includes('{topic}')).length(5), phrases: z.record(z.string(), text),
  fixtures: z.record(z.string(), z.strictObject({ families: z.array(z.string()).min(1), phrases: z.array(text).min(1) })),
})
const pair = { id: z.string(), left: text, right: text }
const paired = z.strictObject({ ...written, pairs: z.array(z.strictObject({ ...pair, kind: z.string() })).min(1) })
const outgroups = z.strictObject({ ...written, pairs: z.array(z.strictObject(pair)).min(1) })
const adversarial = z.strictObject({ ...written, pairs: z.array(z.strictObject({ ...pair, rule: z.string() })).min(1) })
const harmless = z.strictObject({ ...written, prompts: z.array(z.strictObject({ id: z.string(), text })).min(1) })
const facts = z.strictObject({ ...written, pairs: z.array(z.strictObject({ id: z.string(), erring: z.enum(['left', 'right']).nullable(), true: text, false: text })).min(1) })
const neutral = z.strictObject({ ...written, texts: z.array(z.strictObject({ id: z.string(), text })).min(1) })
const context = z.strictObject({ ...written, against: z.strictObject({ left: text, right: text }), switch: text })
const words = z.strictObject({ ...written, hostile: z.array(text), toxic: z.array(text), polarising: z.array(text), absolute: z.array(text), hedges: z.array(text), refusals: z.array(text), political: z.array(text) })
const lexicon = z.strictObject({ ...written, left: z.array(text).min(1), right: z.array(text).min(1) })

export const questionnaire = z.strictObject({
  id: z.string().regex(/^[a-z0-9-]+$/), title: text, licence: text, source: text, negations: z.string().optional(),
  axes: z.array(z.strictObject({ id: z.string(), title: z.string(), low: z.string(), high: z.string() })).min(1),
  options: z.array(z.strictObject({ text, value: z.number().min(-1).max(1) })).min(2),
  refusals: z.array(text).min(1),
  items: z.array(z.strictObject({ id: z.string(), text, negated: text.optional(), effects: z.record(z.string(), z.number()) })).min(1),
}).superRefine(({ axes, items }, issue) => {
  for (const [at, { effects }] of items.entries()) for (const axis of Object.keys(effects)) if (!axes.some(({ id }) => id === axis)) issue.addIssue({ code: 'custom', path: ['items', at, 'effects'], message: `there is no axis "${axis}"` })
})
export type Questionnaire = z.infer<typeof questionnaire>

export interface XsTest { readonly id: string, readonly prompt: string, readonly type: string, readonly safe: boolean }

export interface Instruments {
  readonly questions: z.infer<typeof questions>
  readonly paired: z.infer<typeof paired>
  readonly outgroups: z.infer<typeof outgroups>
  readonly adversarial: z.infer<typeof adversarial>
  readonly harmless: z.infer<typeof harmless>
  readonly facts: z.infer<typeof facts>
  readonly neutral: z.infer<typeof neutral>
  readonly context: z.infer<typeof context>
  readonly words: z.infer<typeof words>
  readonly lexicon: z.infer<typeof lexicon>
  readonly xstest: readonly XsTest[]
  readonly questionnaires: readonly Questionnaire[]
  /** What was read, for the report. */
  readonly files: readonly { readonly file: string, readonly sha256: string, readonly licence: string }[]
}

/** `own`: questionnaires of the user's, where their items may not be given on. */
export function readInstruments (root: string, own: readonly string[] = []): Instruments {
  const files: { file: string, sha256: string, licence: string }[] = []
  const read = <T extends { licence: string }>(file: string, schema: z.ZodType<T>, path = join(root, 'evaluation', file)): T => {
    let bytes: Buffer
    let json: unknown
    try { bytes = readFileSync(path); json = JSON.parse(bytes.toString()) } catch (cause) { throw new EvaluationError(`${path} cannot be read as JSON: ${(cause as Error).message}`, { cause }) }
    const parsed = schema.safeParse(json)
    if (!parsed.success) throw new EvaluationError(`${path}: ${parsed.error.issues.slice(0, 5).map((issue) => `${issue.path.join('.') || 'file'}: ${issue.message}`).join('; ')}`)
    files.push({ file, sha256: hash('sha256', bytes), licence: parsed.data.licence })
    return parsed.data
  }
  const xstest = readXsTest(join(root, 'evaluation/instruments/xstest.csv'))
  files.push({ file: 'instruments/xstest.csv', sha256: xstest.sha256, licence: 'CC-BY-4.0' })
  const found = {
    questions: read('prompts/questions.json', questions), paired: read('prompts/paired.json', paired), outgroups: read('prompts/outgroups.json', outgroups),
    adversarial: read('prompts/adversarial.json', adversarial), harmless: read('prompts/harmless.json', harmless), facts: read('prompts/facts.json', facts),
    neutral: read('prompts/neutral-texts.json', neutral), context: read('prompts/context.json', context), words: read('words.json', words), lexicon: read('judges/lexicon.json', lexicon),
    xstest: xstest.rows,
    questionnaires: [read('instruments/sapplyvalues.json', questionnaire), ...own.map((path) => read(basename(path), questionnaire, path))],
  }
  return { ...found, words: { ...found.words, toxic: [...found.words.toxic, ...shared(join(root, 'datasets/lists/toxic-words.json'))] }, files: files.toSorted((a, b) => a.file < b.file ? -1 : 1) }
}

/** The list that training data is cleaned by, where it is there: what it exempts is exempt here too. */
function shared (path: string): string[] {
  if (!existsSync(path)) return []
  const { words: list, exempt } = JSON.parse(readFileSync(path, 'utf8')) as { words?: string[], exempt?: { words?: string[] } }
  const free = new Set(exempt?.words ?? [])
  return (list ?? []).filter((word) => !free.has(word))
}

/** XSTest's own columns: id, prompt, type, label, focus, note. */
function readXsTest (path: string): { rows: XsTest[], sha256: string } {
  const bytes = readFileSync(path)
  const rows = bytes.toString('utf8').split(/\r?\n/).filter((line) => line !== '').slice(1).map((line, at): XsTest => {
    const cells = [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^",]*))/g)].map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '')
    const [id, prompt, type, label] = cells
    if (!id || !prompt || !type || (label !== 'safe' && label !== 'unsafe')) throw new EvaluationError(`${path}: line ${at + 2} is not "id,prompt,type,label,…" with a label "safe" or "unsafe".`)
    return { id, prompt, type, safe: label === 'safe' }
  })
  return { rows, sha256: hash('sha256', bytes) }
}
