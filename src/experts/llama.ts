/** An expert behind llama.cpp's wire: one server, several adapters, chosen by the scales that every request carries. */
import { ParallaxError } from '../errors.ts'
import type { Availability, Expert, ExpertFacts, ExpertRequest, Mixing, Scoring, Wire } from './expert.ts'
import { fanOut, interleave, joined } from './choices.ts'
import { OpenAIExpert, type OpenAIOptions } from './openai.ts'

/** The server's whole adapter list. A request that names only some would inherit the others' scales from the request before. */
export type Scales = readonly { readonly id: number, readonly scale: number }[]

export interface LlamaOptions extends OpenAIOptions {
  readonly lora: Scales
  /** What is known of the server besides: by the engine's supervisor, or by the check of a server of someone else's. */
  readonly availability?: (() => Availability) | undefined
  /** Told when the server could not be reached: another may answer there next. */
  readonly lost?: (() => void) | undefined
  /** The embedded engine scores texts; llama.cpp's own server tells no log-probabilities of a prompt. */
  readonly scores?: boolean
}

export class LlamaExpert extends OpenAIExpert {
  readonly lora: Scales
  readonly mixing: Mixing
  readonly scoring?: Scoring
  readonly #availability: LlamaOptions['availability']
  readonly #lost: LlamaOptions['lost']

  constructor (options: LlamaOptions) {
    super(options)
    this.lora = options.lora
    this.#availability = options.availability
    this.#lost = options.lost
    if (options.scores) this.scoring = { score: (items, signal) => this.#score(items, signal) }
    this.mixing = { server: `llama ${this.transport.server}`, mix: (facts, parts) => this.#mix(facts, parts) }
  }

  override availability (): Availability { return this.#availability?.() ?? { ok: true } }

  #mix (facts: ExpertFacts, parts: readonly { readonly expert: Expert, readonly weight: number }[]): Expert {
    return new LlamaExpert({ facts, at: this.transport, lora: weighted(parts.map(({ expert, weight }) => ({ lora: (expert as LlamaExpert).lora, weight }))), availability: this.#availability, lost: this.#lost })
  }

  protected override wireRequest (request: ExpertRequest, stream: boolean): Record<string, unknown> {
    const { n: _n, ...rest } = super.wireRequest(request, stream)
    // cache_prompt: a server that keeps the prompt's KV would answer B from A's state (llama.cpp 26207, 30129)
    return { ...rest, lora: this.lora, cache_prompt: false }
  }

  /** llama.cpp answers one choice a request: `n` is asked for one by one, each choice with a seed of its own. */
  override async complete (request: ExpertRequest, signal: AbortSignal): Promise<Wire> {
    return joined(await Promise.all(fanOut(request).map((one) => this.#watched(super.complete(one, signal)))))
  }

  override async stream (request: ExpertRequest, signal: AbortSignal): Promise<AsyncIterable<Wire[]>> {
    return interleave(fanOut(request), signal, (one, until) => this.#watched(super.stream(one, until)))
  }

  async #score (items: readonly Wire[], signal: AbortSignal): Promise<readonly Wire[]> {
    const scored = await this.#watched(this.transport.json('/score', { items, lora: this.lora }, signal)) as Wire | null
    const found = scored?.['items']
    if (!Array.isArray(found) || found.length !== items.length) throw new ParallaxError('expert_failed', 'The expert\'s scores are not one for each item.')
    return found as Wire[]
  }

  async #watched<T> (call: Promise<T>): Promise<T> {
    try { return await call } catch (error) {
      if (error instanceof ParallaxError && error.code === 'expert_unavailable') this.#lost?.()
      throw error
    }
  }
}

/** Each adapter's scale, summed by weight; the base alone contributes zeros. Adapters are linear in their scale, so this is the mixture itself. */
function weighted (parts: readonly { readonly lora: Scales, readonly weight: number }[]): Scales {
  const sums = new Map<number, number>()
  for (const { lora, weight } of parts) for (const { id, scale } of lora) sums.set(id, (sums.get(id) ?? 0) + weight * scale)
  // 0.1 + 0.2 is 0.30000000000000004, and would be a setting of its own
  return [...sums].map(([id, scale]) => ({ id, scale: Math.round(scale * 1e6) / 1e6 })).toSorted((a, b) => a.id - b.id)
}
