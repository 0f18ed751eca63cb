/** A fine-tuning file as OpenAI's API would take or refuse it, line by line, with every mistake's row. Knows nothing of where it came from. */
import { statSync } from 'node:fs'
import { z } from 'zod'
import { at } from '../dataset-error.ts'
import { lines } from '../parts.ts'

const content = z.string().min(1, 'content is empty')
const message = z.discriminatedUnion('role', [
  z.strictObject({ role: z.literal('system'), content, name: z.string().optional() }),
  z.strictObject({ role: z.literal('user'), content, name: z.string().optional() }),
  z.strictObject({ role: z.literal('assistant'), content, name: z.string().optional(), weight: z.union([z.literal(0), z.literal(1)]).optional() }),
])
const answer = z.array(z.strictObject({ role: z.literal('assistant'), content })).length(1, 'wanted exactly one assistant message')

const ROWS = {
  sft: z.strictObject({ messages: z.array(message).min(2) })
    .refine(({ messages }) => messages.at(-1)?.role === 'assistant', 'the last message must be the assistant\'s')
    .refine(({ messages }) => messages.some((one) => one.role === 'user'), 'no user message')
    .refine(({ messages }) => messages.some((one) => one.role === 'assistant' && one.weight !== 0), 'no assistant message has weight')
    .refine(({ messages }) => messages.every((one, i) => one.role !== 'system' || i === 0), 'a system message stands first or nowhere'),
  dpo: z.strictObject({ input: z.strictObject({ messages: z.array(message).min(1), tools: z.array(z.unknown()).optional(), parallel_tool_calls: z.boolean().optional() }), preferred_output: answer, non_preferred_output: answer })
    .refine(({ input }) => input.messages.at(-1)?.role === 'user', 'the input must end with the user\'s message')
    .refine((row) => row.preferred_output[0]!.content !== row.non_preferred_output[0]!.content, 'preferred and non-preferred output are the same'),
}

/** What the API refuses files for, beside their rows. */
const LEAST_ROWS = 10
const MOST_BYTES = 512 * 1024 * 1024
/** Characters a token, at the least: a bound, for the tokenizer is the API's. */
const MOST_CHARACTERS = 65_536 * 2
const MOST_MISTAKES = 20

export interface Checked { readonly rows: number, readonly mistakes: readonly string[] }

/** `least`: a training file needs ten rows, a validation file any. */
export function checkOpenAi (file: string, kind: 'sft' | 'dpo', least = LEAST_ROWS): Checked {
  const mistakes: string[] = []
  let rows = 0
  let more = 0
  const blame = (what: string): void => { if (mistakes.length < MOST_MISTAKES) mistakes.push(`${at(file, rows)}: ${what}`); else more++ }
  const other = kind === 'sft' ? 'dpo' : 'sft'
  if (statSync(file).size > MOST_BYTES) mistakes.push(`${file} has more than 512 MB`)
  for (const line of lines(file)) {
    rows++
    let row: unknown
    try { row = JSON.parse(line) } catch (error) { blame(`no JSON (${(error as Error).message})`); continue }
    const parsed = ROWS[kind].safeParse(row)
    if (!parsed.success) blame(ROWS[other].safeParse(row).success ? `this is a row for ${other}, and was checked as one for ${kind}` : parsed.error.issues.map((issue) => `${issue.path.join('.') || 'row'}: ${issue.message}`).join('; '))
    else if (line.length > MOST_CHARACTERS) blame(`${line.length} characters are more than any model's context`)
  }
  if (more > 0) mistakes.push(`and ${more.toLocaleString('en')} more ${more === 1 ? 'row' : 'rows'} that would be refused`)
  if (rows < least) mistakes.push(`${file}: ${rows} rows; wanted at least ${least}`)
  return { rows, mistakes }
}
