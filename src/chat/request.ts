/** A chat request as it may come: what Parallax reads is checked, the rest is passed through untouched. Knows nothing of routes or experts. */
import { z } from 'zod'
import { ParallaxError } from '../errors.ts'
import type { Conversation } from '../router/policy.ts'

const ROLES = ['system', 'developer', 'user', 'assistant', 'tool', 'function'] as const

const textPart = z.looseObject({ type: z.string() })

const message = z.looseObject({
  role: z.enum(ROLES),
  content: z.union([z.string(), z.array(textPart).min(1).max(256)]).nullish(),
  name: z.string().max(256).optional(),
}).superRefine((one, context) => {
  const empty = one.content === undefined || one.content === null || one.content === ''
  // an assistant's turn may hold tool calls alone; everyone else has to say something
  if (empty && one.role !== 'assistant') context.addIssue({ code: 'custom', path: ['content'], message: 'an empty message: wanted text' })
})

/** OpenAI's chat request. Loose: unknown members go to the expert, which may know them. */
export const chatRequest = z.looseObject({
  model: z.string().min(1).max(256),
  messages: z.array(message).min(1),
  perspective: z.unknown().optional().describe('A name ("progressive", "conservative", "both", "mix-0.70" …), {"id": "both", "summary": true}, or {"weights": {"progressive": 0.7, "conservative": 0.3}, "mixture": "sample" | "blend", "sticky": "…", "seed": 7}'),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  n: z.int().min(1).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  max_tokens: z.int().min(1).max(10_000_000).nullish(),
  max_completion_tokens: z.int().min(1).max(10_000_000).nullish(),
  stop: z.union([z.string().max(1000), z.array(z.string().max(1000)).max(16)]).nullish(),
  seed: z.int().nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  tools: z.array(z.looseObject({ type: z.string() })).max(512).nullish(),
  user: z.string().max(512).nullish(),
  safety_identifier: z.string().max(512).nullish(),
})

export type ChatRequest = z.infer<typeof chatRequest>

export interface RequestLimits { readonly messages: number, readonly choices: number }

/** "messages.3.content" and the message of the deepest issue: a union's own message says nothing. */
function firstIssue (error: z.ZodError): { path: string, message: string } {
  const issue = error.issues[0]!
  return { path: issue.path.join('.'), message: issue.code === 'invalid_union' ? 'wanted text or a list of parts' : issue.message }
}

/** Throws `invalid_request` naming the member at fault, what was wanted and what to do. */
export function parseChatRequest (body: unknown, limits: RequestLimits): ChatRequest {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new ParallaxError('invalid_request', 'The body has to be a JSON object with "model" and "messages".')
  }
  const { messages } = body as { messages?: unknown }
  // counted before they are checked one by one, so that a flood costs nothing
  if (Array.isArray(messages) && messages.length > limits.messages) {
    throw new ParallaxError('invalid_request', `At most ${limits.messages} messages a request; this one has ${messages.length}.`, { param: 'messages' })
  }
  const parsed = chatRequest.safeParse(body)
  if (!parsed.success) {
    const { path, message } = firstIssue(parsed.error)
    throw new ParallaxError('invalid_request', `"${path}" cannot be used: ${message}.${parsed.error.issues.length > 1 ? ` (${parsed.error.issues.length - 1} more problems in this request.)` : ''}`, { param: path.split('.')[0] ?? null })
  }
  const request = parsed.data
  if ((request.n ?? 1) > limits.choices) throw new ParallaxError('invalid_request', `At most ${limits.choices} choices a request; "n" is ${request.n}.`, { param: 'n' })
  return request
}

const textOf = (content: ChatRequest['messages'][number]['content']): string =>
  typeof content === 'string' ? content : (content ?? []).map((part) => typeof part['text'] === 'string' ? part['text'] : '').join('\n')

/** What the policy looks at: all that the application and the user said, none of what a model answered. */
export function conversationOf ({ messages }: ChatRequest): Conversation {
  const by = (...roles: string[]): string[] => messages.filter(({ role }) => roles.includes(role)).map(({ content }) => textOf(content))
  return { system: by('system', 'developer').join('\n'), users: by('user') }
}

/** The question itself: the last turn of the user's. */
export const lastUserText = (request: ChatRequest): string => conversationOf(request).users.at(-1) ?? ''

/** The tenant's own name for whoever asks: what erasure by end user goes by. */
export const endUser = (request: ChatRequest): string | undefined => request.safety_identifier || request.user || undefined

/** The same from a body that was refused, whatever it is. */
export function endUserOf (body: unknown): string | undefined {
  const { safety_identifier: identifier, user } = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>
  return [identifier, user].find((one): one is string => typeof one === 'string' && one !== '' && one.length <= 512)
}

/** What goes to an expert: the request less what is Parallax's own. */
export function expertRequest (request: ChatRequest): Record<string, unknown> {
  const { perspective: _perspective, model: _model, ...rest } = request
  return rest
}
