/** An expert behind OpenAI's chat completions wire, reached with undici (the official SDK costs about six times the CPU here). */
import { ParallaxError } from '../errors.ts'
import type { Availability, Expert, ExpertFacts, ExpertRequest, Wire } from './expert.ts'
import { Transport, type TransportOptions } from './transport.ts'

export interface OpenAIOptions {
  readonly facts: ExpertFacts
  /** Its own connections, or another expert's: those are the other's to close. */
  readonly at: TransportOptions | Transport
  /** The model's name on the wire, where it is not the one that is disclosed. */
  readonly servedAs?: string | undefined
}

/** Members by which servers let a request choose its adapter (llama.cpp, LoRAX, vLLM): who answers is chosen by the perspective, and disclosed. */
const CHOOSES_ADAPTER = ['lora', 'adapter_id', 'adapter_source', 'adapter_parameters', 'merged_adapters', 'lora_request', 'lora_name', 'lora_path'] as const

const CHAT = '/chat/completions'

export class OpenAIExpert implements Expert {
  readonly facts: ExpertFacts
  readonly transport: Transport
  readonly #owned: boolean
  readonly #model: string

  constructor ({ facts, at, servedAs }: OpenAIOptions) {
    this.facts = facts
    this.#owned = !(at instanceof Transport)
    this.transport = at instanceof Transport ? at : new Transport(at)
    this.#model = servedAs ?? facts.model
  }

  availability (): Availability { return { ok: true } }

  /** What is sent: the client's request with the expert's own model name. Overridden by wires that add to it. */
  protected wireRequest (request: ExpertRequest, stream: boolean): Record<string, unknown> {
    refuseChoice(request)
    const { stream_options: options, ...rest } = request
    // usage is always asked for, for the record needs it; the relay strips it where the client did not ask
    return stream
      ? { ...rest, model: this.#model, stream: true, stream_options: { ...(options as object | undefined), include_usage: true } }
      : { ...rest, model: this.#model, stream: false }
  }

  async complete (request: ExpertRequest, signal: AbortSignal): Promise<Wire> {
    const completion = await this.transport.json(CHAT, this.wireRequest(request, false), signal) as Wire | null
    if (typeof completion !== 'object' || completion === null || !Array.isArray(completion['choices']) || completion['choices'].length === 0) {
      throw new ParallaxError('expert_failed', 'The expert\'s answer has no choices.')
    }
    return completion
  }

  async stream (request: ExpertRequest, signal: AbortSignal): Promise<AsyncIterable<Wire[]>> {
    return this.transport.events(CHAT, this.wireRequest(request, true), signal)
  }

  async close (): Promise<void> { if (this.#owned) await this.transport.close() }
}

/** Throws `unsupported_parameter`: passed on, it would let a request be answered by another adapter than the disclosed one. */
export function refuseChoice (request: ExpertRequest): void {
  const chosen = CHOOSES_ADAPTER.find((name) => request[name] !== undefined && request[name] !== null)
  if (chosen !== undefined) throw new ParallaxError('unsupported_parameter', `"${chosen}" would choose another adapter than the one that is disclosed. Leave it out, and name the perspective that shall answer.`, { param: chosen })
}
