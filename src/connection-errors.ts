/** Answers what Node's HTTP parser refused before there was a request: too slow, too large, not HTTP. Knows only the socket. */
import type { Socket } from 'node:net'
import { ParallaxError } from './errors.ts'
import { errorReply } from './replies.ts'

const REASONS: Record<string, ParallaxError> = {
  ERR_HTTP_REQUEST_TIMEOUT: new ParallaxError('request_timeout', 'The request did not arrive whole in time. Send it again, faster.'),
  HPE_HEADER_OVERFLOW: new ParallaxError('invalid_header', 'The headers are too long.'),
}
const OTHER = new ParallaxError('invalid_request', 'This is not an HTTP request that can be read.')

/** For Fastify's `clientErrorHandler`. No key was read by then, so nothing is recorded. */
export function onConnectionError (error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) { socket.destroy(); return }
  const known = REASONS[error.code ?? ''] ?? OTHER
  // there is no path to go by: OpenAI's shape, which most callers read
  const { status, headers, body } = errorReply(known, '/v1', '')
  const lines = Object.entries({ ...headers, 'content-length': String(Buffer.byteLength(body)), connection: 'close' }).map(([name, value]) => `${name}: ${value}`)
  socket.end(`HTTP/1.1 ${status} ${status === 408 ? 'Request Timeout' : 'Bad Request'}\r\n${lines.join('\r\n')}\r\n\r\n${body}`)
}
