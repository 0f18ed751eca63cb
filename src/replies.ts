/** How an error becomes an HTTP reply: OpenAI's shape under /v1, RFC 9457 elsewhere. Pure; knows nothing of Fastify's objects. */
import { ERRORS, ParallaxError, type ErrorCode } from './errors.ts'

export interface ErrorReply { readonly status: number, readonly headers: Record<string, string>, readonly body: string }

/** Fastify's own errors, by their code, in our words. */
const FRAMEWORK: Record<string, { code: ErrorCode, message: (limit: number) => string }> = {
  FST_ERR_CTP_BODY_TOO_LARGE: { code: 'request_too_large', message: (limit) => `The body is longer than ${limit} bytes. Send a shorter one.` },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: { code: 'unsupported_media_type', message: () => 'The body has to be JSON: send it with "Content-Type: application/json".' },
  FST_ERR_CTP_EMPTY_JSON_BODY: { code: 'invalid_json', message: () => 'The body is empty. Send a JSON object.' },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: { code: 'invalid_request', message: () => 'The Content-Length header and the body do not agree.' },
  FST_ERR_BAD_URL: { code: 'not_found', message: () => 'The address cannot be decoded.' },
  FST_ERR_MAX_LIMIT: { code: 'not_found', message: () => 'There is nothing at this address.' },
  FST_ERR_ASYNC_CONSTRAINT: { code: 'not_found', message: () => 'There is nothing at this address.' },
}

interface ValidationIssue { readonly instancePath?: string, readonly message?: string, readonly params?: { readonly keys?: readonly string[] } }
interface Thrown { readonly code?: unknown, readonly validation?: readonly ValidationIssue[], readonly validationContext?: string }

/** The texts of an address, which a schema may have read as something else: where one is refused, it is told as it came. */
export interface Address { readonly querystring: unknown, readonly params: unknown }

function cameAs (param: string, context: string | undefined, address: Address | undefined): string {
  if (context !== 'querystring' && context !== 'params') return ''
  const text = (address?.[context] as Record<string, unknown> | undefined)?.[param]
  return typeof text === 'string' ? `; it is ${JSON.stringify(text.slice(0, 60))}` : ''
}

/** What was thrown as one of our errors. An unknown one becomes `internal_error`, whose message tells nothing of the cause. */
export function asParallaxError (thrown: unknown, bodyLimit: number, address?: Address): ParallaxError {
  if (thrown instanceof ParallaxError) return thrown
  const { code, validation, validationContext } = (thrown ?? {}) as Thrown
  const known = typeof code === 'string' ? FRAMEWORK[code] : undefined
  if (known) return new ParallaxError(known.code, known.message(bodyLimit), { cause: thrown })
  if (validation?.[0]) {
    const { instancePath = '', message = 'is not valid', params } = validation[0]
    const param = instancePath.replace(/^\//, '').replaceAll('/', '.')
    return new ParallaxError('invalid_request', `${validationContext ?? 'request'}${param ? `, "${param}"` : ''}: ${message}${cameAs(param, validationContext, address)}.`, { param: param.split('.')[0] || params?.keys?.[0] || null, cause: thrown })
  }
  return new ParallaxError('internal_error', 'The gateway failed. The operator can find the cause in its log under the request id.', { cause: thrown })
}

const isOpenAI = (path: string): boolean => path.startsWith('/v1/') || path === '/v1'

const title = (code: ErrorCode): string => code.replaceAll('_', ' ').replace(/^./, (letter) => letter.toUpperCase())

/** `path` decides the shape. */
export function errorReply (error: ParallaxError, path: string, requestId: string): ErrorReply {
  const { status, retry } = ERRORS[error.code]
  const headers: Record<string, string> = {
    ...error.headers,
    'x-should-retry': String(retry),
    'cache-control': 'no-store',
    ...(error.retryAfter !== undefined && { 'retry-after': String(error.retryAfter) }),
    ...(status === 401 && { 'www-authenticate': 'Bearer realm="parallax"' }),
  }
  if (isOpenAI(path)) return { status, headers: { ...headers, 'content-type': 'application/json; charset=utf-8' }, body: JSON.stringify(error.body()) }
  const problem = { type: 'about:blank', title: title(error.code), status, detail: error.message, instance: `urn:request:${requestId}`, code: error.code, ...(error.param !== null && { param: error.param }), ...error.details }
  return { status, headers: { ...headers, 'content-type': 'application/problem+json; charset=utf-8' }, body: JSON.stringify(problem) }
}
