/**
 * An expert behind LoRAX: adapters by name on its chat wire, and blends by `merged_adapters` of its own `/generate`, for its chat wire silently
 * ignores that member (predibase/lorax, router/src/lib.rs: `adapter_parameters: None`), and would answer from one adapter alone.
 */
import { Template } from '@huggingface/jinja'
import { ParallaxError } from '../errors.ts'
import type { Availability, Expert, ExpertFacts, ExpertRequest, Mixing, Wire } from './expert.ts'
import { fanOut, interleave, joined } from './choices.ts'
import { OpenAIExpert, refuseChoice, type OpenAIOptions } from './openai.ts'
import type { Transport } from './transport.ts'

export interface LoraxOptions extends OpenAIOptions {
  readonly adapterSource?: string | undefined
  /** The model's chat template (Jinja), without which nothing can be blended: `/generate` takes a prompt. */
  readonly chatTemplate?: { readonly source: string, readonly eosToken: string } | undefined
}

export class LoraxExpert extends OpenAIExpert {
  readonly mixing: Mixing
  readonly #source: string | undefined

  constructor (options: LoraxOptions) {
    super(options)
    this.#source = options.adapterSource
    const prompt = promptOf(options.chatTemplate)
    this.mixing = { server: `lorax ${this.transport.server}`, mix: (facts, parts) => this.#mix(facts, parts, prompt) }
  }

  protected override wireRequest (request: ExpertRequest, stream: boolean): Record<string, unknown> {
    const { max_completion_tokens: most, stop, ...rest } = super.wireRequest(request, stream)
    // its schema wants a list where OpenAI's may be a text or null, and knows the older name of the limit only
    return {
      ...rest,
      ...(stop !== undefined && stop !== null && { stop: Array.isArray(stop) ? stop : [stop] }),
      ...(most !== undefined && most !== null && { max_tokens: most }),
      ...(this.#source !== undefined && this.facts.adapter !== null && { adapter_source: this.#source }),
    }
  }

  #mix (facts: ExpertFacts, parts: readonly { readonly expert: Expert, readonly weight: number }[], prompt: (messages: unknown) => string): Expert {
    const ids = parts.map(({ expert }) => expert.facts.adapter)
    if (ids.includes(null)) throw new ParallaxError('mixture_unsupported', 'LoRAX merges adapters with each other, not with the base model, which has none. Blend perspectives that have an adapter, or ask for "mixture": "sample", which draws one of them.', { param: 'perspective' })
    // alone it is itself, and needs no merging
    if (parts.length === 1) return parts[0]!.expert
    const merged = { ids: ids as string[], weights: parts.map(({ weight }) => weight), merge_strategy: 'linear' }
    return new LoraxBlend(facts, this.transport, { merged_adapters: merged, ...(this.#source !== undefined && { adapter_source: this.#source }) }, prompt)
  }
}

function promptOf (chatTemplate: LoraxOptions['chatTemplate']): (messages: unknown) => string {
  if (!chatTemplate) return () => { throw new ParallaxError('mixture_unsupported', 'LoRAX merges adapters of a prompt, not of messages, and the gateway has no chat template to make one of the other: the operator has to set "chatTemplate" for these experts. "mixture": "sample" draws one of them.', { param: 'perspective' }) }
  const template = new Template(chatTemplate.source)
  return (messages) => {
    // LoRAX puts the beginning of a text before the prompt by itself
    try { return template.render({ messages: plain(messages), add_generation_prompt: true, bos_token: '', eos_token: chatTemplate.eosToken }) } catch (cause) {
      throw new ParallaxError('expert_rejected', `The model's chat template refuses these messages: ${(cause as Error).message}`, { param: 'messages', cause })
    }
  }
}

/** What `/generate` cannot do, or what we cannot translate from it: silence would be a wrong answer. */
const CANNOT = ['tools', 'functions', 'response_format', 'logprobs', 'logit_bias'] as const

class LoraxBlend implements Expert {
  readonly facts: ExpertFacts
  readonly #transport: Transport
  readonly #adapters: Record<string, unknown>
  readonly #prompt: (messages: unknown) => string

  constructor (facts: ExpertFacts, transport: Transport, adapters: Record<string, unknown>, prompt: (messages: unknown) => string) {
    this.facts = facts
    this.#transport = transport
    this.#adapters = adapters
    this.#prompt = prompt
  }

  availability (): Availability { return { ok: true } }

  async complete (request: ExpertRequest, signal: AbortSignal): Promise<Wire> {
    return joined(await Promise.all(fanOut(request).map((one) => this.#whole(one, signal))))
  }

  async stream (request: ExpertRequest, signal: AbortSignal): Promise<AsyncIterable<Wire[]>> {
    return interleave(fanOut(request), signal, async (one, until) => chunks(await this.#transport.events('../generate_stream', this.#body(one), until)))
  }

  async close (): Promise<void> { /* the connections are the experts' */ }

  async #whole (request: ExpertRequest, signal: AbortSignal): Promise<Wire> {
    const answer = await this.#transport.json('../generate', this.#body(request), signal) as { generated_text?: unknown, details?: Details | null } | null
    if (typeof answer?.generated_text !== 'string' || !answer.details) throw new ParallaxError('expert_failed', 'The expert\'s answer has no text.')
    return { choices: [{ index: 0, message: { role: 'assistant', content: answer.generated_text }, logprobs: null, finish_reason: finishOf(answer.details) }], usage: usageOf(answer.details) }
  }

  #body (request: ExpertRequest): Record<string, unknown> {
    refuseChoice(request)
    const cannot = CANNOT.find((name) => asks(request[name]))
    if (cannot !== undefined) throw new ParallaxError('unsupported_parameter', `A blend of LoRAX's cannot do what "${cannot}" asks for. Leave it out, or ask one perspective.`, { param: cannot })
    const { temperature, stop } = request
    const most = request['max_completion_tokens'] ?? request['max_tokens']
    const same = Object.fromEntries(['top_p', 'top_k', 'typical_p', 'repetition_penalty', 'frequency_penalty', 'presence_penalty', 'seed'].flatMap((name) => request[name] === undefined || request[name] === null ? [] : [[name, request[name]]]))
    return {
      inputs: this.#prompt(request['messages']),
      parameters: {
        ...same, ...this.#adapters, details: true, return_full_text: false,
        // as its chat wire does it: greedy only where the temperature is 0
        ...(temperature === 0 ? { do_sample: false } : { do_sample: true, ...(temperature !== undefined && temperature !== null && { temperature }) }),
        ...(stop !== undefined && stop !== null && { stop: Array.isArray(stop) ? stop : [stop] }),
        ...(most !== undefined && most !== null && { max_new_tokens: most }),
      },
    }
  }
}

interface Details { readonly finish_reason?: unknown, readonly prompt_tokens?: unknown, readonly generated_tokens?: unknown }

/** `{"type":"text"}`, an empty list and `false` ask for nothing. */
const asks = (value: unknown): boolean => value !== undefined && value !== null && value !== false && !(Array.isArray(value) && value.length === 0) && (value as { type?: unknown }).type !== 'text'

const finishOf = ({ finish_reason: reason }: Details): string => reason === 'length' ? 'length' : 'stop'

function usageOf ({ prompt_tokens: prompt, generated_tokens: generated }: Details): Wire | undefined {
  if (!Number.isSafeInteger(prompt) || !Number.isSafeInteger(generated)) return undefined
  return { prompt_tokens: prompt, completion_tokens: generated, total_tokens: (prompt as number) + (generated as number) }
}

/** Tokens of `/generate_stream` as chunks of a chat completion. */
async function * chunks (events: AsyncIterable<Wire[]>): AsyncGenerator<Wire[], void> {
  const chunk = (delta: Wire, finish: string | null = null): Wire => ({ object: 'chat.completion.chunk', choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }] })
  let opened = false
  for await (const batch of events) {
    const out: Wire[] = []
    if (!opened) out.push(chunk({ role: 'assistant', content: '' }))
    opened = true
    for (const { token, details } of batch as { token?: { text?: unknown, special?: unknown }, details?: Details | null }[]) {
      if (typeof token?.text !== 'string') throw new ParallaxError('expert_failed', 'The expert sent something that is not a token.')
      if (token.special !== true && token.text !== '') out.push(chunk({ content: token.text }))
      if (details) out.push(chunk({}, finishOf(details)), { object: 'chat.completion.chunk', choices: [], usage: usageOf(details) })
    }
    yield out
  }
}

/** Templates know texts, not lists of parts. */
function plain (messages: unknown): { role: unknown, content: string }[] {
  return (messages as { role: unknown, content?: unknown }[]).map(({ role, content }) => ({
    role: role === 'developer' ? 'system' : role,
    content: typeof content === 'string' ? content : Array.isArray(content) ? content.map((part: Wire) => typeof part['text'] === 'string' ? part['text'] : '').join('') : '',
  }))
}
