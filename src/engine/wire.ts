/** The engine's side of llama.cpp's wire: what it reads of a request, what it refuses, and the shapes that it sends. Knows nothing of the model. */
import { randomInt } from 'node:crypto'
import { z } from 'zod'

/** A mistake of the caller's, told in OpenAI's shape. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly status: number
  readonly code: string
  readonly param: string | null
  readonly details: Record<string, number>
  constructor (status: number, code: string, message: string, param: string | null = null, details: Record<string, number> = {}) {
    super(message)
    this.status = status
    this.code = code
    this.param = param
    this.details = details
  }

  body (): string {
    const type = this.status === 503 ? 'unavailable_error' : this.status >= 500 ? 'server_error' : 'invalid_request_error'
    return JSON.stringify({ error: { message: this.message, type, param: this.param, code: this.code, ...this.details } })
  }
}

const part = z.object({ type: z.literal('text'), text: z.string() })

// a role becomes part of the template's own text, control tokens and all: only these
const role = z.enum(['system', 'developer', 'user', 'assistant', 'tool'])
export const message = z.looseObject({ role, content: z.union([z.string(), z.array(part)], 'wanted text, or a list of parts of the type "text": this model reads nothing else').nullish() })
  .refine(({ role: speaker, content }) => speaker === 'assistant' || (content !== null && content !== undefined), { path: ['content'], error: 'a text is required for every role but "assistant"' })
export const lora = z.array(z.object({ id: z.int().min(0), scale: z.number().min(0).max(2) }))
  .refine((list) => new Set(list.map(({ id }) => id)).size === list.length, { error: 'an adapter is named twice' })
/** OpenAI's limits where it has one; elsewhere what a 32-bit float stands without becoming infinite or no number. */
const penalty = z.number().min(-2).max(2)
const STOPS = 4

const request = z.looseObject({
  messages: z.array(message).min(1),
  lora: lora.nullish(),
  max_tokens: z.int().min(1).nullish(),
  max_completion_tokens: z.int().min(1).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  top_k: z.int().min(0).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  seed: z.int().nullish(),
  stop: z.union([z.string(), z.array(z.string()).max(STOPS)], `wanted a text, or a list of at most ${STOPS}`).nullish(),
  frequency_penalty: penalty.nullish(),
  presence_penalty: penalty.nullish(),
  repeat_penalty: z.number().positive().max(10).nullish(),
  logit_bias: z.record(z.string().regex(/^\d{1,9}$/), z.number().min(-100).max(100)).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  n: z.int().nullish(),
})

export interface Message { readonly role: string, readonly content: string }

export const readMessages = (messages: readonly z.infer<typeof message>[]): Message[] =>
  messages.map(({ role: speaker, content }) => ({ role: speaker === 'developer' ? 'system' : speaker, content: typeof content === 'string' ? content : (content ?? []).map(({ text }) => text).join('') }))

/** A request as the generator wants it: everything decided. */
export interface Job {
  readonly messages: readonly Message[]
  readonly lora: readonly { readonly id: number, readonly scale: number }[]
  readonly maxTokens: number
  readonly temperature: number
  readonly topP: number
  readonly topK: number
  readonly minP: number
  /** Below 2^31; the caller's, or drawn. */
  readonly seed: number
  readonly stop: readonly string[]
  readonly frequencyPenalty: number
  readonly presencePenalty: number
  readonly repeatPenalty: number
  readonly logitBias: ReadonlyMap<number, number>
  /** Null: no log-probabilities; else how many alternatives a token. */
  readonly topLogprobs: number | null
  readonly stream: boolean
  readonly includeUsage: boolean
}

const SEEDS = 2 ** 31

/** What a small model answers well with where the caller sets nothing; OpenAI's own default of 1 is too hot for it. */
const DEFAULTS = { temperature: 0.3, topP: 0.95, topK: 40, minP: 0.05, repeatPenalty: 1.1, maxTokens: 256 }

/** Members that the engine would have to obey and cannot: silence would be a wrong answer. A value in the list asks for nothing. */
const CANNOT: Record<string, readonly unknown[]> = {
  tools: [], functions: [], tool_choice: ['none', 'auto'], function_call: ['none', 'auto'], response_format: ['text'], modalities: ['text'], audio: [], prediction: [], grammar: [''], json_schema: [], web_search_options: [],
  parallel_tool_calls: [true, false], reasoning_effort: ['none'], suffix: [''], best_of: [1], n_predict: [-1], ignore_eos: [false], mirostat: [0], typical_p: [1], dynatemp_range: [0], xtc_probability: [0], dry_multiplier: [0], samplers: [],
}

function refuseWhatCannotBeDone (body: Record<string, unknown>): void {
  for (const [name, harmless] of Object.entries(CANNOT)) {
    const value = body[name]
    if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) continue
    const asked: unknown = Array.isArray(value) ? (value.length === 1 ? value[0] : value) : typeof value === 'object' ? (value as { type?: unknown }).type : value
    if (!harmless.includes(asked)) throw new Refusal(400, 'unsupported_parameter', `The embedded engine cannot do what "${name}" asks for. Leave it out, or configure an expert that can.`, name)
  }
}

/** Throws Refusal naming the member. */
export function readJob (body: unknown): Job {
  const parsed = request.safeParse(body)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!
    throw new Refusal(400, 'invalid_request', `"${issue.path.join('.') || 'body'}": ${issue.message}`, issue.path[0] === undefined ? null : String(issue.path[0]))
  }
  const asked = parsed.data
  refuseWhatCannotBeDone(asked)
  if (asked.messages.some(({ tool_calls: calls, function_call: call }) => (Array.isArray(calls) && calls.length > 0) || (call !== undefined && call !== null))) throw new Refusal(400, 'unsupported_parameter', 'The embedded engine knows no tools: a message with tool calls cannot be written for its model.', 'messages')
  if ((asked.top_logprobs ?? 0) > 0 && asked.logprobs !== true) throw new Refusal(400, 'invalid_request', '"top_logprobs" needs "logprobs": true.', 'top_logprobs')
  if ((asked.n ?? 1) !== 1) throw new Refusal(400, 'unsupported_parameter', 'The engine answers one choice a request; the gateway asks for several one by one.', 'n')
  const stop = typeof asked.stop === 'string' ? [asked.stop] : asked.stop ?? []
  return {
    messages: readMessages(asked.messages),
    lora: asked.lora ?? [],
    maxTokens: asked.max_completion_tokens ?? asked.max_tokens ?? DEFAULTS.maxTokens,
    temperature: asked.temperature ?? DEFAULTS.temperature,
    topP: asked.top_p ?? DEFAULTS.topP,
    topK: asked.top_k ?? DEFAULTS.topK,
    minP: asked.min_p ?? DEFAULTS.minP,
    // without one the library takes the clock's second: two requests within it would be answered alike
    seed: asked.seed === null || asked.seed === undefined ? randomInt(SEEDS) : ((asked.seed % SEEDS) + SEEDS) % SEEDS,
    stop: stop.filter((text) => text !== ''),
    frequencyPenalty: asked.frequency_penalty ?? 0,
    presencePenalty: asked.presence_penalty ?? 0,
    repeatPenalty: asked.repeat_penalty ?? DEFAULTS.repeatPenalty,
    logitBias: new Map(Object.entries(asked.logit_bias ?? {}).map(([token, bias]) => [Number(token), bias])),
    topLogprobs: asked.logprobs === true ? asked.top_logprobs ?? 0 : null,
    stream: asked.stream === true,
    includeUsage: asked.stream_options?.include_usage === true,
  }
}

export interface TokenLogprob { token: string, logprob: number, bytes: number[], top_logprobs: { token: string, logprob: number, bytes: number[] }[] }

export interface Piece { readonly text: string, readonly logprobs: readonly TokenLogprob[] | null }

export interface Usage { readonly promptTokens: number, readonly completionTokens: number }

const usageMember = ({ promptTokens, completionTokens }: Usage) => ({ prompt_tokens: promptTokens, completion_tokens: completionTokens, total_tokens: promptTokens + completionTokens })
const logprobsMember = (logprobs: readonly TokenLogprob[] | null) => logprobs && { content: logprobs, refusal: null }

/** The objects of one answer. */
export class Shapes {
  readonly #base: { id: string, created: number, model: string }
  constructor (id: string, created: number, model: string) { this.#base = { id, created, model } }

  completion (content: string, logprobs: readonly TokenLogprob[] | null, finish: string, usage: Usage): string {
    return JSON.stringify({ ...this.#base, object: 'chat.completion', choices: [{ index: 0, message: { role: 'assistant', content, refusal: null }, logprobs: logprobsMember(logprobs), finish_reason: finish }], usage: usageMember(usage) })
  }

  #chunk (rest: object): string { return `data: ${JSON.stringify({ ...this.#base, object: 'chat.completion.chunk', ...rest })}\n\n` }
  role (): string { return this.#chunk({ choices: [{ index: 0, delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null }] }) }
  delta (piece: Piece): string { return this.#chunk({ choices: [{ index: 0, delta: { content: piece.text }, logprobs: logprobsMember(piece.logprobs), finish_reason: null }] }) }
  finish (reason: string): string { return this.#chunk({ choices: [{ index: 0, delta: {}, logprobs: null, finish_reason: reason }] }) }
  usage (usage: Usage): string { return this.#chunk({ choices: [], usage: usageMember(usage) }) }
}
