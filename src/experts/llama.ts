/** An expert behind llama.cpp's wire: one server, several adapters, chosen by the scales that every request carries. */
import type { Availability, ExpertRequest, Wire } from './expert.ts'
import { OpenAIExpert, type EndpointOptions } from './openai.ts'

export interface LlamaOptions extends EndpointOptions {
  /** The server's whole adapter list. A request that names only some would inherit the others' scales from the request before. */
  readonly lora: readonly { readonly id: number, readonly scale: number }[]
  /** What the engine's supervisor knows; absent for a server of someone else's. */
  readonly availability?: () => Availability
}

export class LlamaExpert extends OpenAIExpert {
  readonly #lora: LlamaOptions['lora']
  readonly #availability: (() => Availability) | undefined

  constructor (options: LlamaOptions) {
    super(options)
    this.#lora = options.lora
    this.#availability = options.availability
  }

  override availability (): Availability { return this.#availability?.() ?? { ok: true } }

  protected override wireRequest (request: ExpertRequest, stream: boolean): Record<string, unknown> {
    const { n: _n, ...rest } = super.wireRequest(request, stream)
    // cache_prompt: a server that keeps the prompt's KV would answer B from A's state (llama.cpp 26207, 30129)
    return { ...rest, lora: this.#lora, cache_prompt: false }
  }

  /** llama.cpp answers one choice a request: `n` is asked for one by one, each choice with a seed of its own. */
  override async complete (request: ExpertRequest, signal: AbortSignal): Promise<Wire> {
    const parts = await Promise.all(fanOut(request).map((one) => super.complete(one, signal)))
    const first = parts[0]!
    if (parts.length === 1) return first
    const choices = parts.map((part, index) => ({ ...(part['choices'] as Wire[])[0], index }))
    return { ...first, choices, usage: addUsage(parts.map((part) => part['usage'])) }
  }

  override async stream (request: ExpertRequest, signal: AbortSignal): Promise<AsyncIterable<Wire[]>> {
    const all = fanOut(request)
    if (all.length === 1) return super.stream(all[0]!, signal)
    // one failing choice ends them all: the siblings must not go on generating for nobody
    const group = new AbortController()
    const joined = AbortSignal.any([signal, group.signal])
    try {
      return interleave(await Promise.all(all.map((one) => super.stream(one, joined))), group)
    } catch (error) {
      group.abort()
      throw error
    }
  }
}

function fanOut (request: ExpertRequest): ExpertRequest[] {
  const n = typeof request['n'] === 'number' ? request['n'] : 1
  if (n === 1) return [request]
  const seed = request['seed']
  return Array.from({ length: n }, (_, index) => typeof seed === 'number' ? { ...request, seed: seed + index } : request)
}

function addUsage (usages: readonly unknown[]): Wire {
  // the prompt is the same for all choices and counted once, as OpenAI does
  const [first] = usages as Record<string, number>[]
  const prompt = first?.['prompt_tokens'] ?? 0
  const completion = (usages as (Record<string, number> | undefined)[]).reduce((sum, usage) => sum + (usage?.['completion_tokens'] ?? 0), 0)
  return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion }
}

async function * interleave (streams: readonly AsyncIterable<Wire[]>[], group: AbortController): AsyncGenerator<Wire[], void> {
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
