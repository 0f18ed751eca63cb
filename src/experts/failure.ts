/** Turns what went wrong upstream into our errors: the meaning is kept, the upstream's host, key and raw text are not. */
import { ParallaxError, type ErrorCode, type ErrorOptions } from '../errors.ts'

const MESSAGE_LIMIT = 500

interface UpstreamError { message?: unknown, type?: unknown, param?: unknown, code?: unknown, n_prompt_tokens?: unknown, n_ctx?: unknown }

/** Nothing of an answer had come: another endpoint of the same expert may be asked the same. */
export class EarlyFailure extends ParallaxError {
  /** How long the endpoint asked to be left alone, where it did. */
  readonly parkSeconds: number | undefined
  constructor (code: ErrorCode, message: string, options: ErrorOptions = {}, parkSeconds?: number) {
    super(code, message, options)
    this.parkSeconds = parkSeconds
  }
}

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

const RETRY_SECONDS = 5

/** Seconds, or a date (RFC 9110). */
function retryAfterOf (header: string | string[] | undefined): number | undefined {
  const text = Array.isArray(header) ? header[0] : header
  if (text === undefined) return undefined
  const seconds = /^\d{1,9}$/.test(text.trim()) ? Number(text) : (Date.parse(text) - Date.now()) / 1000
  return Number.isFinite(seconds) && seconds > 0 ? seconds : undefined
}

const CALLERS_MISTAKES = new Set([400, 413, 422])

/** How much of a refusal's body is read: enough for its sentence. */
export const ERROR_BODY_LIMIT = 64 * 1024

/** The error for an upstream's status other than 200. `secrets`: host names and keys that must not leave. */
export function fromStatus (status: number, body: string, retryAfter: string | string[] | undefined, secrets: readonly string[]): ParallaxError {
  const error = errorMember(body)
  const said = typeof error.message === 'string' ? scrub(error.message, secrets) : null
  // llama.cpp says it by the type, its code being the status
  if (error.code === 'context_length_exceeded' || error.type === 'exceed_context_size_error') {
    const details: Record<string, number> = {}
    if (typeof error.n_prompt_tokens === 'number') details['n_prompt_tokens'] = error.n_prompt_tokens
    if (typeof error.n_ctx === 'number') details['n_ctx'] = error.n_ctx
    return new ParallaxError('context_length_exceeded', said ?? 'The messages are longer than the model\'s context. Send fewer or shorter messages.', { param: 'messages', details })
  }
  const param = typeof error.param === 'string' ? scrub(error.param, secrets) : null
  if (error.code === 'unsupported_parameter') return new ParallaxError('unsupported_parameter', said ?? 'The expert cannot do what a member of the request asks for.', { param })
  if (CALLERS_MISTAKES.has(status)) return new ParallaxError('expert_rejected', `The expert refused the request (${status})${said ? `: ${said}` : ' without a reason.'}`, { param })
  const park = retryAfterOf(retryAfter)
  if (status === 429) return new EarlyFailure('expert_rate_limited', 'The expert behind this perspective is rate limited. Try again later; no other perspective is used instead.', { retryAfter: park ?? RETRY_SECONDS }, park)
  if (status === 503) return new EarlyFailure('expert_overloaded', 'The expert behind this perspective has no room at present. Try again later; no other perspective is used instead.', { retryAfter: park ?? RETRY_SECONDS })
  if (status === 401 || status === 403) return new EarlyFailure('expert_failed', 'The expert refused the gateway\'s own credentials. The operator has to mend the configuration.')
  // the path and the model's name are the operator's, so their absence is no mistake of the caller's
  if (status === 404) return new EarlyFailure('expert_failed', 'The expert does not know the model that it was asked for. The operator has to mend the configuration.')
  const told = `The expert answered with status ${status}. No other perspective is used instead.`
  // a gateway's time-out behind ours: something may still be at work for it
  return status === 504 ? new ParallaxError('expert_failed', told) : new EarlyFailure('expert_failed', told)
}

/** An error that came inside of an answer. */
export function fromFrame (error: unknown, secrets: readonly string[]): ParallaxError {
  const told = fromStatus(502, JSON.stringify({ error }), undefined, secrets)
  return told instanceof EarlyFailure ? new ParallaxError('expert_failed', 'The expert broke off with an error of its own. What came so far is not a whole answer.') : told
}

/** Is it the endpoint's fault? A caller's mistake, a rate limit and a caller who left say nothing of its health. */
export function isFault (error: unknown): boolean {
  return error instanceof ParallaxError && FAULTS.has(error.code)
}

const FAULTS = new Set<ErrorCode>(['expert_failed', 'expert_timeout', 'expert_unavailable', 'expert_overloaded'])

/** The error for a call that broke: time-outs, resets, garbage; `begun`: after the first byte. An abort by the caller is passed on as it is. */
export function fromThrown (thrown: unknown, signal: AbortSignal, begun = false): unknown {
  if (thrown instanceof ParallaxError) return thrown
  if (signal.aborted) return signal.reason ?? thrown
  const code = (thrown as { code?: string })?.code ?? ''
  if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT') {
    return new ParallaxError('expert_timeout', code === 'UND_ERR_HEADERS_TIMEOUT' ? 'The expert did not begin to answer in time.' : 'The expert stopped in the middle of its answer.', { cause: thrown })
  }
  if (['ECONNREFUSED', 'ENOENT', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT'].includes(code)) {
    return new EarlyFailure('expert_unavailable', 'The expert behind this perspective cannot be reached. No other perspective is used instead; try again later.', { cause: thrown, retryAfter: 5 })
  }
  const told = 'The connection to the expert broke before its answer was whole.'
  return begun ? new ParallaxError('expert_failed', told, { cause: thrown }) : new EarlyFailure('expert_failed', told, { cause: thrown })
}
