/** Shapes of chat.completion and its chunks, and how one is made from the other. Pure; knows nothing of who presents, relays or keeps them. */
import type { Wire } from '../experts/expert.ts'

export interface Choice extends Wire { index?: number, finish_reason?: string | null, delta?: Wire, message?: Wire }

export const choicesOf = (wire: Wire): Choice[] => Array.isArray(wire['choices']) ? wire['choices'] as Choice[] : []

/** Whether each of its choices came to its end: what is not whole is no answer to keep. */
export function isWhole (completion: Wire): boolean {
  const choices = choicesOf(completion)
  return choices.length > 0 && choices.every((choice) => Boolean(choice.finish_reason))
}

/** A completion, or one so far, as the chunks of a stream: for each choice its whole message, then the finish and the usage where there are any. */
export function toChunks (completion: Wire): Wire[] {
  const choices = choicesOf(completion)
  const opening = choices.map(({ index, message, logprobs }) => {
    const { tool_calls: calls, ...rest } = message ?? {}
    const delta = Array.isArray(calls) ? { ...rest, tool_calls: calls.map((call: Wire, at) => ({ ...call, index: at })) } : rest
    return { choices: [{ index, delta, logprobs: logprobs ?? null, finish_reason: null }] }
  })
  const finish = choices.filter((choice) => choice.finish_reason).map(({ index, finish_reason: reason }) => ({ choices: [{ index, delta: {}, logprobs: null, finish_reason: reason }] }))
  return [...opening, ...finish, ...(completion['usage'] === undefined ? [] : [{ choices: [], usage: completion['usage'] }])]
}

/** Gathers the chunks of a stream into the completion that the same request would have had as JSON. */
export class Gathered {
  readonly #choices = new Map<number, { message: Wire, logprobs: { content: unknown[], refusal: unknown[] } | null, finish_reason: string | null }>()
  #usage: unknown

  add (chunk: Wire): void {
    if (chunk['usage']) this.#usage = chunk['usage']
    for (const { index = 0, delta = {}, finish_reason: reason, logprobs } of choicesOf(chunk)) {
      let choice = this.#choices.get(index)
      if (!choice) this.#choices.set(index, choice = { message: { role: 'assistant', content: null, refusal: null }, logprobs: null, finish_reason: null })
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
