/** Shapes of chat.completion and its chunks: making one from the other, and presenting either as ours. Pure; knows nothing of experts or records. */
import type { Disclosure } from '../disclosure/disclose.ts'
import type { Wire } from '../experts/expert.ts'

export interface Choice extends Wire { index?: number, finish_reason?: string | null, delta?: Wire, message?: Wire }

export const choicesOf = (wire: Wire): Choice[] => Array.isArray(wire['choices']) ? wire['choices'] as Choice[] : []

/** [prompt, completion] tokens as the upstream counted them, or null where it said nothing usable. */
export function tokensOf (usage: unknown): [number, number] | null {
  const { prompt_tokens: prompt, completion_tokens: completion } = (usage ?? {}) as Record<string, unknown>
  return Number.isSafeInteger(prompt) && Number.isSafeInteger(completion) ? [prompt as number, completion as number] : null
}

/** What every object of one answer has in common. */
export interface Frame { readonly id: string, readonly created: number, readonly disclosure: Disclosure }

export const answerId = (record: string): string => `chatcmpl-${record.replaceAll('-', '')}`

/** An expert's completion as Parallax answers it; the receipt is added to the text afterwards, for the log commits to the rest. */
export function presentCompletion (completion: Wire, { id, created, disclosure }: Frame): Wire {
  return { ...completion, id, object: 'chat.completion', created, model: disclosure.model, audit: undefined, error: undefined, perspective: disclosure.member }
}

/** The same for a chunk; `opening` adds the disclosure, which only the first one carries. `usage: null` is OpenAI's way where usage was asked for. */
export function presentChunk (chunk: Wire, { id, created, disclosure }: Frame, opening: boolean, usage: unknown): Wire {
  return { ...chunk, id, object: 'chat.completion.chunk', created, model: disclosure.model, usage, audit: undefined, perspective: opening ? disclosure.member : undefined }
}

/** Adds a member to an object's JSON text without parsing it again. */
export const withMember = (json: string, name: string, value: unknown): string => `${json.slice(0, -1)},${JSON.stringify(name)}:${JSON.stringify(value)}}`

/** A fixed text as a completion: what the policy answers with. Nobody's tokens were spent on it. */
export const textCompletion = (text: string): Wire => ({
  choices: [{ index: 0, message: { role: 'assistant', content: text, refusal: null }, logprobs: null, finish_reason: 'stop' }],
  usage: { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 },
})

/** A completion as the chunks of a stream: for each choice its whole message, then the finish, then the usage. */
export function toChunks (completion: Wire): Wire[] {
  const choices = choicesOf(completion)
  const opening = choices.map(({ index, message, logprobs }) => {
    const { tool_calls: calls, ...rest } = message ?? {}
    const delta = Array.isArray(calls) ? { ...rest, tool_calls: calls.map((call: Wire, at) => ({ ...call, index: at })) } : rest
    return { choices: [{ index, delta, logprobs: logprobs ?? null, finish_reason: null }] }
  })
  const finish = choices.map(({ index, finish_reason: reason }) => ({ choices: [{ index, delta: {}, logprobs: null, finish_reason: reason }] }))
  return [...opening, ...finish, { choices: [], usage: completion['usage'] }]
}

/** Gathers the chunks of a stream into the completion that the same request would have had as JSON. */
export class Gathered {
  readonly #choices = new Map<number, { message: Wire, logprobs: { content: unknown[], refusal: unknown[] } | null, finish_reason: string | null }>()
  #usage: unknown

  add (chunk: Wire): void {
    if (chunk['usage']) this.#usage = chunk['usage']
    for (const { index = 0, delta = {}, finish_reason: reason, logprobs } of choicesOf(chunk)) {
      let choice = this.#choices.get(index)
      if (!choice) this.#choices.set(index, choice = { message: { role: 'assistant', content: null }, logprobs: null, finish_reason: null })
      mergeDelta(choice.message, delta)
      if (reason) choice.finish_reason = reason
      if (typeof logprobs === 'object' && logprobs !== null) {
        choice.logprobs ??= { content: [], refusal: [] }
        const { content, refusal } = logprobs as { content?: unknown[], refusal?: unknown[] }
        choice.logprobs.content.push(...(content ?? []))
        choice.logprobs.refusal.push(...(refusal ?? []))
      }
    }
  }

  completion (): Wire {
    const choices = [...this.#choices].sort(([a], [b]) => a - b).map(([index, choice]) => ({ index, ...choice }))
    return { choices, ...(this.#usage !== undefined && { usage: this.#usage }) }
  }
}

function mergeDelta (message: Wire, delta: Wire): void {
  for (const [name, value] of Object.entries(delta)) {
    // an upstream's "__proto__" would change the object instead of a member
    if (value === null || value === undefined || name === '__proto__') continue
    if (name === 'tool_calls' && Array.isArray(value)) {
      const calls = (message['tool_calls'] ??= []) as Wire[]
      for (const { index = 0, ...part } of value as (Wire & { index?: number })[]) mergeDelta((calls[index] ??= {}), part)
    } else if (typeof value === 'object' && !Array.isArray(value)) mergeDelta((message[name] ??= {}) as Wire, value as Wire)
    // text grows by deltas; role, id and type are said once
    else if (typeof value === 'string' && typeof message[name] === 'string' && !['role', 'id', 'type'].includes(name)) message[name] += value
    else message[name] = value
  }
}
