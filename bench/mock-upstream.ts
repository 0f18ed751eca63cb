/**
 * The upstream of every bench, in a process of its own: answers at once, or as late as the request asks, from bytes made beforehand.
 * The request says what it wants of it: `mock_delay_ms`, and for streams `mock_chunks` and `mock_pause_ms` (0: each chunk in its own turn of the loop).
 */
import { createServer, type ServerResponse } from 'node:http'
import { listening } from './listening.ts'

/** About 600 bytes of JSON, the size of a short paragraph. */
const TEXT = 'Universal coverage is usually argued for on the ground that illness is no one\'s choice and that pooling the risk of all makes care cheaper for each. Opponents answer that a single payer blunts the price signals and the competition that keep quality up, and that the costs are merely moved into taxes.'
const COMPLETION = Buffer.from(JSON.stringify({
  id: 'chatcmpl-mock',
  object: 'chat.completion',
  created: 1_795_392_000,
  model: 'mock',
  choices: [{ index: 0, message: { role: 'assistant', content: TEXT, refusal: null }, logprobs: null, finish_reason: 'stop' }],
  usage: { prompt_tokens: 42, completion_tokens: 61, total_tokens: 103 },
}))
const COMPLETION_HEADERS = { 'content-type': 'application/json', 'content-length': COMPLETION.length }
const STREAM_HEADERS = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' }

const frame = (delta: object, finish: string | null, rest: object = {}): Buffer => Buffer.from(`data: ${JSON.stringify({
  id: 'chatcmpl-mock', object: 'chat.completion.chunk', created: 1_795_392_000, model: 'mock', choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }], ...rest,
})}\n\n`)
const OPENING = frame({ role: 'assistant', content: '' }, null)
const PIECE = frame({ content: ' coverage' }, null)
/** A piece with its HTTP chunk's framing around it: made once, for node:http would frame it anew each time. */
const PIECE_ON_THE_WIRE = Buffer.concat([Buffer.from(`${PIECE.length.toString(16)}\r\n`), PIECE, Buffer.from('\r\n')])
const CLOSING = Buffer.concat([
  frame({}, 'stop'),
  frame({}, null, { choices: [], usage: { prompt_tokens: 42, completion_tokens: 100, total_tokens: 142 } }),
  Buffer.from('data: [DONE]\n\n'),
])

interface Wanted { stream?: boolean, mock_delay_ms?: number, mock_chunks?: number, mock_pause_ms?: number }

function stream (response: ServerResponse, { mock_chunks: chunks = 100, mock_pause_ms: pause = 0 }: Wanted): void {
  response.writeHead(200, STREAM_HEADERS)
  response.write(OPENING)
  let left = chunks
  const next = (): void => {
    if (response.destroyed) return
    if (left-- === 0) { response.end(CLOSING); return }
    response.socket!.write(PIECE_ON_THE_WIRE)
    if (pause > 0) setTimeout(next, pause)
    else setImmediate(next)
  }
  if (pause > 0) setTimeout(next, pause)
  else setImmediate(next)
}

const server = createServer((request, response) => {
  const parts: Buffer[] = []
  request.on('data', (part: Buffer) => { parts.push(part) })
  request.on('end', () => {
    const wanted = JSON.parse((parts.length === 1 ? parts[0]! : Buffer.concat(parts)).toString('latin1') || '{}') as Wanted
    const answer = (): void => {
      if (wanted.stream) stream(response, wanted)
      else response.writeHead(200, COMPLETION_HEADERS).end(COMPLETION)
    }
    if (wanted.mock_delay_ms) setTimeout(answer, wanted.mock_delay_ms)
    else answer()
  })
})
server.keepAliveTimeout = 0
listening(server)
