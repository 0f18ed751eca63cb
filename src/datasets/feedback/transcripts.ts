/** The words of an exchange, read through the auditor's scope, so that the reading itself is on record. */
import { z } from 'zod'
import type { Gateway } from '../gateway.ts'

const payload = z.object({ state: z.string(), text: z.string().nullable().optional() })
const one = z.object({ leaf: z.string(), payload })
const found = one.extend({ ends: z.array(one) })
const turn = z.object({ role: z.enum(['system', 'user', 'assistant']), content: z.string() })
const request = z.object({ messages: z.array(turn).min(1) })

export interface Transcript { readonly messages: readonly z.infer<typeof turn>[], readonly answer: (choice: number) => string | undefined }

interface Choice { readonly index?: number, readonly message?: { readonly content?: unknown }, readonly delta?: { readonly content?: unknown } }

const jsonOf = (text: string): unknown => { try { return JSON.parse(text) } catch { return undefined } }

/** Answers by number, from a body, one side's choice, or the frames of a stream. */
function answersIn (text: string): Map<number, string> {
  const answers = new Map<number, string>()
  const add = (choice: Choice): void => {
    const part = choice.message?.content ?? choice.delta?.content
    if (typeof part === 'string') answers.set(choice.index ?? 0, (answers.get(choice.index ?? 0) ?? '') + part)
  }
  if (text.startsWith('{')) {
    const body = jsonOf(text) as (Choice & { readonly choices?: readonly Choice[] }) | undefined
    for (const choice of body?.choices ?? (body ? [body] : [])) add(choice)
    return answers
  }
  for (const frame of text.split('\n\n')) {
    const chunk = frame.startsWith('data: ') ? jsonOf(frame.slice('data: '.length)) as { readonly choices?: readonly Choice[] } | undefined : undefined
    for (const choice of chunk?.choices ?? []) add(choice)
  }
  return answers
}

/** The reason, in words, where there is nothing to read. */
export async function readTranscript (auditor: Gateway, record: string): Promise<Transcript | string> {
  const parsed = found.safeParse(await auditor.get(`/audit/v1/records/${record}`))
  if (!parsed.success) return 'the record is of another shape'
  const { payload: asked, ends } = parsed.data
  if (asked.state !== 'present' || typeof asked.text !== 'string') return `its transcript is ${asked.state}`
  const messages = request.safeParse(jsonOf(asked.text))
  if (!messages.success) return 'its question is not text alone'
  const answers = new Map<number, string>()
  for (const end of ends) if (end.payload.state === 'present' && typeof end.payload.text === 'string') for (const [choice, text] of answersIn(end.payload.text)) answers.set(choice, text)
  return { messages: messages.data.messages, answer: (choice) => answers.get(choice) }
}
