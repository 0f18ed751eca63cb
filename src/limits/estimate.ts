/**
 * What a request may cost at most, as far as that can be told without a tokenizer: a quarter of the prompt's bytes, and for each choice as
 * many tokens as it asks for. Settled afterwards by what the expert counted. Pure; knows a request only by the members that it reads.
 */

/** The members of OpenAI's chat request that cost. */
export interface CostingRequest {
  readonly messages: readonly Readonly<Record<string, unknown>>[]
  readonly tools?: unknown
  readonly n?: number | null | undefined
  readonly max_tokens?: number | null | undefined
  readonly max_completion_tokens?: number | null | undefined
}

export interface EstimateOptions {
  /** What a choice is taken to cost where the request sets no limit. */
  readonly completionTokens: number
  /** How many experts read the prompt: each perspective of `both` does. */
  readonly experts?: number
}

const BYTES_A_TOKEN = 4
/** An image's data is no text: a part that is not text costs at most so much. */
const OTHER_PART_BYTES = 4096

const sizeOf = (value: unknown): number => value === undefined || value === null ? 0 : Buffer.byteLength(typeof value === 'string' ? value : JSON.stringify(value) ?? '')

function partSize (part: unknown): number {
  const text = (part as { text?: unknown } | null)?.text
  return typeof text === 'string' ? Buffer.byteLength(text) : Math.min(OTHER_PART_BYTES, sizeOf(part))
}

function messageSize ({ content, name, tool_calls: calls }: Readonly<Record<string, unknown>>): number {
  const said = Array.isArray(content) ? content.reduce<number>((sum, part) => sum + partSize(part), 0) : sizeOf(content)
  return said + sizeOf(name) + sizeOf(calls)
}

/** What one expert reads. */
export const promptTokens = (request: CostingRequest): number =>
  Math.ceil(request.messages.reduce((sum, message) => sum + messageSize(message), sizeOf(request.tools)) / BYTES_A_TOKEN)

/** What somebody said whose tokens nobody counted: a quarter of its bytes, or a token a piece where it came in more of them. */
export const saidTokens = (text: string, pieces = 0): number => Math.max(pieces, Math.ceil(Buffer.byteLength(text) / BYTES_A_TOKEN))

export function estimateTokens (request: CostingRequest, { completionTokens, experts = 1 }: EstimateOptions): number {
  const answer = request.max_completion_tokens ?? request.max_tokens ?? completionTokens
  return (promptTokens(request) + answer * (request.n ?? 1)) * experts
}
