/** A chat request as it may come: what Parallax reads is checked, the rest is passed through untouched. Knows nothing of routes or experts. */
import { z } from 'zod'
import { ParallaxError } from '../errors.ts'
import type { Conversation } from '../router/policy.ts'

const ROLES = ['system', 'developer', 'user', 'assistant', 'tool', 'function'] as const

const textPart = z.looseObject({ type: z.string() })

const message = z.looseObject({
  role: z.enum(ROLES),
  content: z.union([z.string(), z.array(textPart).min(1).max(256)], 'wanted text, or a list of 1 to 256 parts, each with a "type"').nullish(),
  name: z.string().max(256).optional(),
}).superRefine((one, context) => {
  const empty = one.content === undefined || one.content === null || one.content === ''
  // an assistant's turn may hold tool calls alone; everyone else has to say something
  if (empty && one.role !== 'assistant') context.addIssue({ code: 'custom', path: ['content'], message: 'an empty message: wanted text' })
})

const NO_MODEL = 'it is missing. Send the name of a perspective, such as "progressive" or "conservative", or "parallax" beside a "perspective"'

/** OpenAI's chat request. Loose: unknown members go to the expert, which may know them. */
export const chatRequest = z.looseObject({
  model: z.string({ error: ({ input }) => input === undefined ? NO_MODEL : undefined }).min(1).max(256),
  messages: z.array(message).min(1),
  perspective: z.unknown().optional().describe('A name ("progressive", "conservative", "both", "mix-0.70" …), {"id": "both", "summary": true}, or {"weights": {"progressive": 0.7, "conservative": 0.3}, "mixture": "sample" | "blend", "sticky": "…", "seed": 7}'),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  n: z.int().min(1).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  max_tokens: z.int().min(1).max(10_000_000).nullish(),
  max_completion_tokens: z.int().min(1).max(10_000_000).nullish(),
  stop: z.union([z.string().max(1000), z.array(z.string().max(1000)).max(16)], 'wanted a text, or a list of at most 16, each of at most 1000 characters').nullish(),
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

/** Members of `perspective` that mean nothing beside it: passed on, they would be dropped silently and another answer given than was asked for. */
const WITHIN_PERSPECTIVE: Readonly<Record<string, string>> = {
  weights: '{"weights": {"progressive": 0.5, "conservative": 0.5}}',
  mixture: '{"weights": {"progressive": 0.5, "conservative": 0.5}, "mixture": "blend"}',
  sticky: '{"weights": {"progressive": 0.5, "conservative": 0.5}, "sticky": "conversation-42"}',
  summary: '{"id": "both", "summary": true}',
}

const PERSPECTIVE = 'perspective'

function refuseMisplaced (body: Readonly<Record<string, unknown>>): void {
  for (const name of Object.keys(body)) {
    if (Object.hasOwn(WITHIN_PERSPECTIVE, name) && body[name] !== null) {
      throw new ParallaxError('invalid_request', `"${name}" belongs inside "perspective", with "model": "parallax" beside it: "perspective": ${WITHIN_PERSPECTIVE[name]!}.`, { param: name })
    }
    if (name.length === PERSPECTIVE.length && name !== PERSPECTIVE && name.toLowerCase() === PERSPECTIVE) {
      throw new ParallaxError('invalid_request', `The request has a member "${name}", which means nothing: write "${PERSPECTIVE}", in lower case.`, { param: name })
    }
  }
}

/** Zod's own sentence would be "expected array, received undefined". */
const WORDS = { error: ({ code, input }: { code?: string | undefined, input?: unknown }) => code === 'invalid_type' && input === undefined ? 'it is missing' : undefined }

const PROBLEMS_NAMED = 5

/** Each problem with its member, as far as anybody reads on. */
function problems (issues: readonly { readonly path: readonly PropertyKey[], readonly message: string }[]): string {
  const [first, ...others] = issues.map(({ path, message }) => ({ name: path.join('.'), message }))
  const further = others.slice(0, PROBLEMS_NAMED).map(({ name, message }) => ` Nor can "${name}": ${message}.`).join('')
  const left = others.length - PROBLEMS_NAMED
  return `"${first!.name}" cannot be used: ${first!.message}.${further}${left > 0 ? ` (And ${left} more.)` : ''}`
}

/** Throws `invalid_request` naming the member at fault, what was wanted and what to do. */
export function parseChatRequest (body: unknown, limits: RequestLimits): ChatRequest {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new ParallaxError('invalid_request', 'The body has to be a JSON object with "model" and "messages".')
  }
  refuseMisplaced(body as Record<string, unknown>)
  const { messages } = body as { messages?: unknown }
  // counted before they are checked one by one, so that a flood costs nothing
  if (Array.isArray(messages) && messages.length > limits.messages) {
    throw new ParallaxError('invalid_request', `At most ${limits.messages} messages a request; this one has ${messages.length}.`, { param: 'messages' })
  }
  const parsed = chatRequest.safeParse(body, WORDS)
  if (!parsed.success) {
    const { issues } = parsed.error
    throw new ParallaxError('invalid_request', problems(issues), { param: issues[0]!.path[0] === undefined ? null : String(issues[0]!.path[0]) })
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
