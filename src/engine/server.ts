/** llama.cpp's wire over HTTP, on a Unix socket: parses, asks, streams. Knows nothing of how a token comes to be. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { readJob, Refusal, Shapes, type Job, type Piece, type TokenLogprob } from './wire.ts'
import type { Ending } from './generate.ts'
import { readScoreJob, type ScoredItem, type ScoreJob } from './scoring.ts'

/** What stands behind the wire, once it is loaded. */
export interface Model {
  readonly name: string
  readonly props: Record<string, unknown>
  readonly adapters: readonly { readonly id: number, readonly path: string, readonly sha256: string }[]
  /** How much is answered and how much waits. */
  load (): Record<string, number>
  answer (job: Job, signal: AbortSignal): AsyncGenerator<Piece, Ending>
  score (job: ScoreJob, signal: AbortSignal): AsyncGenerator<ScoredItem, void>
}

const BODY_BYTES = 64 * 1024 * 1024
/** A caller who has not read for so long gets no more: his sequence is wanted. */
const STALL_MS = 60_000
const STARTING_RETRY_SECONDS = 2

class Left extends Error { override readonly name = 'Left' }

async function drained (response: ServerResponse, left: AbortSignal): Promise<void> {
  try { await once(response, 'drain', { signal: AbortSignal.any([left, AbortSignal.timeout(STALL_MS)]) }) } catch (cause) {
    throw new Left('The caller has left, or reads nothing.', { cause })
  }
}

async function readBody (request: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length
    if (bytes > BODY_BYTES) throw new Refusal(413, 'request_too_large', `The body is longer than ${BODY_BYTES} bytes.`)
    parts.push(part)
  }
  try { return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts))) } catch (error) {
    throw new Refusal(400, 'invalid_json', `The body is not JSON: ${(error as Error).message}`)
  }
}

const json = (response: ServerResponse, status: number, text: string, headers: Record<string, string> = {}): void => {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text)
}

/** `loaded` gives null while the model is still being loaded: until then everything is answered 503. */
export function serve (loaded: () => Model | null, onDefect: (error: unknown) => void): Server {
  let served = 0
  let generated = 0

  function leaving (response: ServerResponse): AbortSignal {
    const left = new AbortController()
    response.once('close', () => { if (!response.writableFinished) left.abort(new Left('The caller has left.')) })
    return left.signal
  }

  /** One JSON object, in pieces as they are scored: whoever waits sees that something is done. Until the first a refusal can still be a status. */
  async function score (model: Model, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const left = leaving(response)
    const items = model.score(readScoreJob(await readBody(request)), left)
    let text = `{"object":"score","model":${JSON.stringify(model.name)},"items":[`
    for await (const item of items) {
      if (!response.headersSent) response.setHeader('content-type', 'application/json').writeHead(200)
      if (!response.write(`${text}${JSON.stringify(item)}`)) await drained(response, left)
      text = ','
    }
    response.end(']}')
  }

  async function chat (model: Model, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const left = leaving(response)
    const job = readJob(await readBody(request))
    const shapes = new Shapes(`chatcmpl-${randomUUID()}`, Math.floor(Date.now() / 1000), model.name)
    const answer = model.answer(job, left)
    try {
      if (job.stream) await stream(response, shapes, job, answer, left)
      else await whole(response, shapes, answer)
    } finally {
      // a generator left where it stands would hold its sequence for ever
      await answer.return({ finish: 'stop', usage: { promptTokens: 0, completionTokens: 0 } })
    }
  }

  async function whole (response: ServerResponse, shapes: Shapes, answer: AsyncGenerator<Piece, Ending>): Promise<void> {
    let content = ''
    let logprobs: TokenLogprob[] | null = null
    for (;;) {
      const { done, value } = await answer.next()
      if (done) { count(value); json(response, 200, shapes.completion(content, logprobs, value.finish, value.usage)); return }
      content += value.text
      if (value.logprobs) (logprobs ??= []).push(...value.logprobs)
    }
  }

  async function stream (response: ServerResponse, shapes: Shapes, job: Job, answer: AsyncGenerator<Piece, Ending>, left: AbortSignal): Promise<void> {
    // the first piece decides: until then a refusal can still be a status
    let step = await answer.next()
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store' })
    let text = shapes.role()
    while (!step.done) {
      text += shapes.delta(step.value)
      if (!response.write(text)) await drained(response, left)
      text = ''
      step = await answer.next()
    }
    count(step.value)
    response.end(`${text}${shapes.finish(step.value.finish)}${job.includeUsage ? shapes.usage(step.value.usage) : ''}data: [DONE]\n\n`)
  }

  function count ({ usage }: Ending): void {
    served++
    generated += usage.completionTokens
  }

  function fail (response: ServerResponse, thrown: unknown): void {
    if (response.destroyed || thrown instanceof Left) { response.destroy(); return }
    if (!(thrown instanceof Refusal)) onDefect(thrown)
    const refusal = thrown instanceof Refusal ? thrown : new Refusal(500, 'engine_failed', 'The engine failed to answer.')
    if (response.headersSent && response.getHeader('content-type') === 'application/json') response.destroy()
    else if (response.headersSent) response.end(`data: ${refusal.body()}\n\n`)
    else json(response, refusal.status, refusal.body(), refusal.details['retry_after'] === undefined ? {} : { 'retry-after': String(refusal.details['retry_after']) })
  }

  const pages: Record<string, (model: Model) => unknown> = {
    '/health': () => ({ status: 'ok' }),
    '/props': (model) => model.props,
    '/lora-adapters': (model) => model.adapters.map((adapter) => ({ ...adapter, scale: 0 })),
    '/metrics.json': (model) => ({ ...model.load(), served, completion_tokens: generated }),
    '/v1/models': (model) => ({ object: 'list', data: [{ id: model.name, object: 'model' }] }),
  }

  const calls: Record<string, (model: Model, request: IncomingMessage, response: ServerResponse) => Promise<void>> = { '/v1/chat/completions': chat, '/v1/score': score }

  return createServer((request, response) => {
    response.on('error', () => { /* 'close' says it */ })
    const path = (request.url ?? '').split('?')[0]!
    const page = request.method === 'GET' && Object.hasOwn(pages, path) ? pages[path] : undefined
    const asked = request.method === 'POST' && Object.hasOwn(calls, path) ? calls[path] : undefined
    const model = loaded()
    if (!page && !asked) fail(response, new Refusal(404, 'not_found', `There is no ${request.method} ${path} here.`))
    else if (!model) fail(response, new Refusal(503, 'engine_starting', 'The engine is loading its model. Try again in a few seconds.', null, { retry_after: STARTING_RETRY_SECONDS }))
    else if (page) json(response, 200, JSON.stringify(page(model)))
    else asked!(model, request, response).catch((error: unknown) => { fail(response, error) })
  })
}
