/**
 * Every error that Parallax answers with: code, HTTP status, OpenAI's type, log level, and whether a retry can help.
 * Codes are never reused; docs/errors.md lists the same codes and test/errors.test.ts holds the two against each other.
 * Knows nothing of Fastify: plugins/errors turns these into replies.
 */

export type ErrorType =
  | 'invalid_request_error' | 'authentication_error' | 'permission_error' | 'not_found_error'
  | 'rate_limit_error' | 'conflict_error' | 'server_error' | 'upstream_error'

interface Kind {
  readonly status: number
  readonly type: ErrorType
  readonly level: 'info' | 'warn' | 'error'
  /** Sent as `x-should-retry`: official SDKs obey it. */
  readonly retry: boolean
}

const kind = (status: number, type: ErrorType, level: Kind['level'] = 'info', retry = false): Kind => ({ status, type, level, retry })

export const ERRORS = {
  // what was sent
  invalid_json: kind(400, 'invalid_request_error'),
  invalid_request: kind(400, 'invalid_request_error'),
  invalid_header: kind(400, 'invalid_request_error'),
  invalid_encoding: kind(400, 'invalid_request_error'),
  unsupported_parameter: kind(400, 'invalid_request_error'),
  context_length_exceeded: kind(400, 'invalid_request_error'),
  perspective_required: kind(400, 'invalid_request_error'),
  perspective_conflict: kind(400, 'invalid_request_error'),
  mixture_unsupported: kind(400, 'invalid_request_error'),
  request_too_large: kind(413, 'invalid_request_error'),
  unsupported_media_type: kind(415, 'invalid_request_error'),
  request_timeout: kind(408, 'invalid_request_error', 'info', true),
  // who sent it
  invalid_api_key: kind(401, 'authentication_error'),
  insufficient_scope: kind(403, 'permission_error'),
  // what does not exist
  unknown_perspective: kind(404, 'not_found_error'),
  model_not_found: kind(404, 'not_found_error'),
  record_not_found: kind(404, 'not_found_error'),
  not_found: kind(404, 'not_found_error'),
  method_not_allowed: kind(405, 'invalid_request_error'),
  // what stands in the way of an erasure
  record_held: kind(409, 'conflict_error'),
  record_open: kind(409, 'conflict_error', 'info', true),
  // what an Idempotency-Key stands for already
  idempotency_conflict: kind(422, 'invalid_request_error'),
  idempotency_in_flight: kind(409, 'conflict_error', 'info', true),
  idempotency_unavailable: kind(503, 'server_error', 'error', true),
  // what the caller may not have now
  only_if_cached: kind(504, 'not_found_error'),
  rate_limit_exceeded: kind(429, 'rate_limit_error', 'info', true),
  request_exceeds_quota: kind(429, 'rate_limit_error'),
  limits_unavailable: kind(503, 'server_error', 'error', true),
  // what stands behind the gateway
  expert_unavailable: kind(503, 'server_error', 'warn', true),
  expert_overloaded: kind(503, 'server_error', 'warn', true),
  expert_rejected: kind(400, 'invalid_request_error'),
  expert_rate_limited: kind(429, 'rate_limit_error', 'warn', true),
  expert_failed: kind(502, 'upstream_error', 'warn', true),
  expert_timeout: kind(504, 'upstream_error', 'warn', true),
  // what an administrator wanted of an expert
  scoring_unsupported: kind(400, 'invalid_request_error'),
  adapter_conflict: kind(409, 'conflict_error'),
  adapter_not_switched: kind(502, 'upstream_error', 'warn'),
  // the gateway itself
  cache_unavailable: kind(503, 'server_error', 'error', true),
  audit_unavailable: kind(503, 'server_error', 'error', true),
  shutting_down: kind(503, 'server_error', 'info', true),
  internal_error: kind(500, 'server_error', 'error', true),
} as const satisfies Record<string, Kind>

export type ErrorCode = keyof typeof ERRORS

export interface ErrorOptions {
  /** The request member at fault, as OpenAI names it: `messages`, `perspective`, `model`. */
  readonly param?: string | null
  /** Seconds for `Retry-After`; SDKs ignore more than 60, so it is cut there. */
  readonly retryAfter?: number
  readonly cause?: unknown
  /** Further members of the error object, e.g. the token counts of `context_length_exceeded`. */
  readonly details?: Readonly<Record<string, string | number | boolean>>
  /** Further headers of the reply: what a limit has left. */
  readonly headers?: Readonly<Record<string, string>>
}

/** The one error class that leaves the gateway. Its message is shown to the caller: what was wanted, what came, what to do; never a secret or an upstream's address. */
export class ParallaxError extends Error {
  override readonly name = 'ParallaxError'
  readonly code: ErrorCode
  readonly param: string | null
  readonly retryAfter: number | undefined
  readonly details: Readonly<Record<string, string | number | boolean>>
  readonly headers: Readonly<Record<string, string>>

  constructor (code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.param = options.param ?? null
    this.retryAfter = options.retryAfter === undefined ? undefined : Math.min(60, Math.max(1, Math.ceil(options.retryAfter)))
    this.details = options.details ?? {}
    this.headers = options.headers ?? {}
  }

  get statusCode (): number { return ERRORS[this.code].status }
  get retryable (): boolean { return ERRORS[this.code].retry }

  /** OpenAI's error object: all four members always. */
  body (): { error: Record<string, string | number | boolean | null> } {
    return { error: { message: this.message, type: ERRORS[this.code].type, param: this.param, code: this.code, ...this.details } }
  }
}
