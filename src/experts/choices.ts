/** Several choices from a server that answers one a request: asked one by one, joined into one answer. Knows shapes, not wires. */
import type { ExpertRequest, Wire } from './expert.ts'

/** One request a choice, each with a seed of its own. */
export function fanOut (request: ExpertRequest): ExpertRequest[] {
  const n = typeof request['n'] === 'number' ? request['n'] : 1
  if (n === 1) return [request]
  const seed = request['seed']
  return Array.from({ length: n }, (_, index) => typeof seed === 'number' ? { ...request, seed: seed + index } : request)
}

/** The answers of `fanOut`'s requests as one. */
export function joined (parts: readonly Wire[]): Wire {
  const first = parts[0]!
  if (parts.length === 1) return first
  const choices = parts.map((part, index) => ({ ...(part['choices'] as Wire[])[0], index }))
  return { ...first, choices, usage: addUsage(parts.map((part) => part['usage'])) }
}

/** The streams of `fanOut`'s requests as one; resolves when all were accepted. */
export async function interleave (requests: readonly ExpertRequest[], signal: AbortSignal, open: (request: ExpertRequest, signal: AbortSignal) => Promise<AsyncIterable<Wire[]>>): Promise<AsyncIterable<Wire[]>> {
  if (requests.length === 1) return open(requests[0]!, signal)
  // one failing choice ends them all: the siblings must not go on generating for nobody
  const group = new AbortController()
  const until = AbortSignal.any([signal, group.signal])
  try {
    return together(await Promise.all(requests.map((one) => open(one, until))), group)
  } catch (error) {
    group.abort()
    throw error
  }
}

function addUsage (usages: readonly unknown[]): Wire {
  // the prompt is the same for all choices and counted once, as OpenAI does
  const [first] = usages as Record<string, number>[]
  const prompt = first?.['prompt_tokens'] ?? 0
  const completion = (usages as (Record<string, number> | undefined)[]).reduce((sum, usage) => sum + (usage?.['completion_tokens'] ?? 0), 0)
  return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion }
}

async function * together (streams: readonly AsyncIterable<Wire[]>[], group: AbortController): AsyncGenerator<Wire[], void> {
  const usages: unknown[] = []
  const readers = streams.map((stream) => stream[Symbol.asyncIterator]())
  const pending = new Map(readers.map((reader, index) => [index, reader.next().then((result) => ({ index, result }))]))
  try {
    while (pending.size > 0) {
      const { index, result } = await Promise.race(pending.values())
      if (result.done) { pending.delete(index); continue }
      pending.set(index, readers[index]!.next().then((next) => ({ index, result: next })))
      const batch: Wire[] = []
      for (const chunk of result.value) {
        if (chunk['usage']) usages.push(chunk['usage'])
        const choices = chunk['choices']
        if (Array.isArray(choices) && choices.length > 0) batch.push({ ...chunk, usage: undefined, choices: choices.map((choice: Wire) => ({ ...choice, index })) })
      }
      if (batch.length > 0) yield batch
    }
    if (usages.length > 0) yield [{ object: 'chat.completion.chunk', choices: [], usage: addUsage(usages) }]
  } finally {
    group.abort()
    for (const rest of pending.values()) rest.catch(() => {})
    await Promise.allSettled(readers.map(async (reader) => reader.return?.()))
  }
}
