/** Presenting a completion or its chunks as ours. Pure; knows nothing of experts or records. */
import type { Disclosure } from '../disclosure/disclose.ts'
import { choicesOf, type Choice } from '../completion/completion.ts'
import type { Wire } from '../experts/expert.ts'

export { choicesOf, Gathered, toChunks, type Choice } from '../completion/completion.ts'

/** The text of each choice; empty where it has none. */
export const textsOf = (completion: Wire): string[] => choicesOf(completion).map(({ message }) => typeof message?.['content'] === 'string' ? message['content'] : '')

export const textOf = (completion: Wire): string => textsOf(completion)[0] ?? ''

/** [prompt, completion] tokens as the upstream counted them, or null where it said nothing usable. */
export function tokensOf (usage: unknown): [number, number] | null {
  const { prompt_tokens: prompt, completion_tokens: completion } = (usage ?? {}) as Record<string, unknown>
  return Number.isSafeInteger(prompt) && Number.isSafeInteger(completion) ? [prompt as number, completion as number] : null
}

/** A choice less what means something here and is not the expert's to say. */
export const theirs = (choice: Choice): Choice =>
  'perspective' in choice || 'audit' in choice || 'error' in choice ? { ...choice, perspective: undefined, audit: undefined, error: undefined } : choice

/** The same for all choices of a completion or a chunk. */
export function allTheirs (wire: Wire): Wire {
  const choices = choicesOf(wire)
  return choices.every((choice) => theirs(choice) === choice) ? wire : { ...wire, choices: choices.map(theirs) }
}

/** What every object of one answer has in common. */
export interface Frame { readonly id: string, readonly created: number, readonly disclosure: Disclosure }

export const answerId = (record: string): string => `chatcmpl-${record.replaceAll('-', '')}`

/** An expert's completion as Parallax answers it; the receipt is added to the text afterwards, for the log commits to the rest. */
export function presentCompletion (completion: Wire, { id, created, disclosure }: Frame): Wire {
  return { ...allTheirs(completion), id, object: 'chat.completion', created, model: disclosure.model, audit: undefined, error: undefined, perspective: disclosure.member }
}

/** The same for a chunk; `opening` adds the disclosure, which only the first one carries. `usage: null` is OpenAI's way where usage was asked for. */
export function presentChunk (chunk: Wire, { id, created, disclosure }: Frame, opening: boolean, usage: unknown): Wire {
  return { ...chunk, id, object: 'chat.completion.chunk', created, model: disclosure.model, usage, audit: undefined, perspective: opening ? disclosure.member : undefined }
}

/** Adds a member to an object's JSON text without parsing it again. */
export const withMember = (json: string, name: string, value: unknown): string => `${json.slice(0, -1)},${JSON.stringify(name)}:${JSON.stringify(value)}}`

/** A fixed text as a completion: what the policy answers with. Nobody's tokens were spent on it; `content_filter` says that an answer was withheld. */
export const textCompletion = (text: string, finish: 'stop' | 'content_filter'): Wire => ({
  choices: [{ index: 0, message: { role: 'assistant', content: text, refusal: null }, logprobs: null, finish_reason: finish }],
  usage: { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 },
})
