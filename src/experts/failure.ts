/** Turns what went wrong upstream into our errors: the meaning is kept, the upstream's host, key and raw text are not. */
import { ParallaxError } from '../errors.ts'

const MESSAGE_LIMIT = 500

interface UpstreamError { message?: unknown, param?: unknown, code?: unknown, n_prompt_tokens?: unknown, n_ctx?: unknown }

/** Removes addresses, keys and control characters from a sentence that an upstream wrote. */
export function scrub (text: string, secrets: readonly string[]): string {
  let clean = text
  for (const secret of secrets) if (secret.length > 3) clean = clean.replaceAll(secret, '…')
  return clean
    .replace(/\bhttps?:\/\/[^\s"')]+/gi, '…')
    .replace(/\b(sk|pk|key|plx)[-_][\w*.-]{6,}/gi, '…')
    // eslint-disable-next-line no-control-regex -- control characters are what is removed
    .replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ')
    .slice(0, MESSAGE_LIMIT)
}

function errorMember (text: string): UpstreamError {
  try {
    const body = JSON.parse(text) as { error?: unknown }
    if (typeof body?.error === 'object' && body.error !== null) return body.error
    if (typeof body?.error === 'string') return { message: body.error }
  } catch { /* an upstream that answers HTML has said nothing we can use */ }
  return {}
}

const retryAfterOf = (header: string | string[] | undefined): number => {
  const seconds = Number(Array.isArray(header) ? header[0] : header)
  return Number.isFinite(seconds) && seconds > 0 ? seconds : 5
}

const CALLERS_MISTAKES = new Set([400, 404, 413, 422])

/** The error for an upstream's status other than 200. `secrets`: host names and keys that must not leave. */
export function fromStatus (status: number, body: string, retryAfter: string | string[] | undefined, secrets: readonly string[]): ParallaxError {
  const error = errorMember(body)
  const said = typeof error.message === 'string' ? scrub(error.message, secrets) : null
  if (error.code === 'context_length_exceeded') {
    const details: Record<string, number> = {}
    if (typeof error.n_prompt_tokens === 'number') details['n_prompt_tokens'] = error.n_prompt_tokens
    if (typeof error.n_ctx === 'number') details['n_ctx'] = error.n_ctx
    return new ParallaxError('context_length_exceeded', said ?? 'The messages are longer than the model\'s context. Send fewer or shorter messages.', { param: 'messages', details })
  }
  const param = typeof error.param === 'string' ? scrub(error.param, secrets) : null
  if (error.code === 'unsupported_parameter') return new ParallaxError('unsupported_parameter', said ?? 'The expert cannot do what a member of the request asks for.', { param })
  if (CALLERS_MISTAKES.has(status)) return new ParallaxError('expert_rejected', `The expert refused the request (${status})${said ? `: ${said}` : ' without a reason.'}`, { param })
  if (status === 429) return new ParallaxError('expert_rate_limited', 'The expert behind this perspective is rate limited. Try again later; no other perspective is used instead.', { retryAfter: retryAfterOf(retryAfter) })
  if (status === 503) return new ParallaxError('expert_overloaded', 'The expert behind this perspective has no room at present. Try again later; no other perspective is used instead.', { retryAfter: retryAfterOf(retryAfter) })
  if (status === 401 || status === 403) return new ParallaxError('expert_failed', 'The expert refused the gateway\'s own credentials. The operator has to mend the configuration.')
  return new ParallaxError('expert_failed', `The expert answered with status ${status}. No other perspective is used instead.`)
}

/** The error for a call that broke: time-outs, resets, garbage. An abort by the caller is passed on as it is. */
export function fromThrown (thrown: unknown, signal: AbortSignal): unknown {
  if (thrown instanceof ParallaxError) return thrown
  if (signal.aborted) return signal.reason ?? thrown
  const code = (thrown as { code?: string })?.code ?? ''
  if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT') {
    return new ParallaxError('expert_timeout', code === 'UND_ERR_HEADERS_TIMEOUT' ? 'The expert did not begin to answer in time.' : 'The expert stopped in the middle of its answer.', { cause: thrown })
  }
  if (['ECONNREFUSED', 'ENOENT', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT'].includes(code)) {
    return new ParallaxError('expert_unavailable', 'The expert behind this perspective cannot be reached. No other perspective is used instead; try again later.', { cause: thrown, retryAfter: 5 })
  }
  return new ParallaxError('expert_failed', 'The connection to the expert broke before its answer was whole.', { cause: thrown })
}
