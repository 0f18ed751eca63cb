/** llama.cpp's wire over HTTP, on a Unix socket: parses, asks, streams. Knows nothing of how a token comes to be. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { readJob, Refusal, Shapes, type Job, type Piece, type TokenLogprob } from './wire.ts'
import type { Ending } from './generate.ts'

/** What stands behind the wire. */
export interface Model {
  readonly name: string
  readonly props: Record<string, unknown>
  readonly adapters: readonly { readonly id: number, readonly path: string, readonly sha256: string }[]
  answer (job: Job, signal: AbortSignal): AsyncGenerator<Piece, Ending>
}

const BODY_BYTES = 64 * 1024 * 1024

class Left extends Error { override readonly name = 'Left' }

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

export function serve (model: Model, onDefect: (error: unknown) => void): Server {
  async function chat (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const left = new AbortController()
    response.once('close', () => { if (!response.writableFinished) left.abort(new Left('The caller has left.')) })
    const job = readJob(await readBody(request))
    const shapes = new Shapes(`chatcmpl-${randomUUID()}`, Math.floor(Date.now() / 1000), model.name)
    const answer = model.answer(job, left.signal)
    if (job.stream) await stream(response, shapes, job, answer, left.signal)
    else await whole(response, shapes, answer)
  }

  async function whole (response: ServerResponse, shapes: Shapes, answer: AsyncGenerator<Piece, Ending>): Promise<void> {
    let content = ''
    let logprobs: TokenLogprob[] | null = null
    for (;;) {
      const { done, value } = await answer.next()
      if (done) { json(response, 200, shapes.completion(content, logprobs, value.finish, value.usage)); return }
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
      if (!response.write(text)) await once(response, 'drain', { signal: left })
      text = ''
      step = await answer.next()
    }
    response.end(`${text}${shapes.finish(step.value.finish)}${job.includeUsage ? shapes.usage(step.value.usage) : ''}data: [DONE]\n\n`)
  }

  function fail (response: ServerResponse, thrown: unknown): void {
    if (response.destroyed || thrown instanceof Left) { response.destroy(); return }
    if (!(thrown instanceof Refusal)) onDefect(thrown)
    const refusal = thrown instanceof Refusal ? thrown : new Refusal(500, 'engine_failed', 'The engine failed to answer.')
    if (response.headersSent) response.end(`data: ${refusal.body()}\n\n`)
    else json(response, refusal.status, refusal.body(), refusal.details['retry_after'] === undefined ? {} : { 'retry-after': String(refusal.details['retry_after']) })
  }

  const pages: Record<string, () => string> = {
    '/health': () => '{"status":"ok"}',
    '/props': () => JSON.stringify(model.props),
    '/lora-adapters': () => JSON.stringify(model.adapters.map((adapter) => ({ ...adapter, scale: 0 }))),
    '/v1/models': () => JSON.stringify({ object: 'list', data: [{ id: model.name, object: 'model' }] }),
  }

  return createServer((request, response) => {
    response.on('error', () => { /* 'close' says it */ })
    const path = (request.url ?? '').split('?')[0]!
    const page = request.method === 'GET' ? pages[path] : undefined
    if (page) json(response, 200, page())
    else if (request.method === 'POST' && path === '/v1/chat/completions') chat(request, response).catch((error: unknown) => { fail(response, error) })
    else fail(response, new Refusal(404, 'not_found', `There is no ${request.method} ${path} here.`))
  })
}
