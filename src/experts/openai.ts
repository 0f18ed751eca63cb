/** An expert behind OpenAI's chat completions wire, reached with undici (the official SDK costs about six times the CPU here). */
import { Pool, type Dispatcher } from 'undici'
import { ParallaxError } from '../errors.ts'
import type { Availability, Expert, ExpertFacts, ExpertRequest, Wire } from './expert.ts'
import { fromStatus, fromThrown } from './failure.ts'
import { parseFrames } from './frames.ts'

export interface EndpointOptions {
  readonly facts: ExpertFacts
  /** Where the wire starts, e.g. `https://host/v1`; with `socketPath` only its path counts. */
  readonly baseUrl: string
  readonly socketPath?: string
  readonly apiKey?: string | undefined
  readonly limits: { readonly answerBytes: number, readonly firstChunkMs: number, readonly chunkGapMs: number }
}

const ERROR_BODY_LIMIT = 64 * 1024

export class OpenAIExpert implements Expert {
  readonly facts: ExpertFacts
  readonly #pool: Pool
  readonly #path: string
  readonly #headers: Record<string, string>
  readonly #limits: EndpointOptions['limits']
  /** What must never appear in a message: the upstream's host and key. */
  readonly #secrets: readonly string[]

  constructor (options: EndpointOptions) {
    const url = new URL(options.baseUrl)
    this.facts = options.facts
    this.#limits = options.limits
    this.#path = `${url.pathname.replace(/\/+$/, '')}/chat/completions`
    this.#secrets = [options.apiKey ?? '', url.host, url.hostname].filter((part) => part !== '')
    // built from configuration alone: no header of the caller's is ever forwarded
    this.#headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...(options.apiKey && { authorization: `Bearer ${options.apiKey}` }) }
    this.#pool = new Pool(url.origin, {
      connections: 512,
      pipelining: 1,
      headersTimeout: options.limits.firstChunkMs,
      bodyTimeout: options.limits.chunkGapMs,
      connect: { timeout: 10_000, ...(options.socketPath && { socketPath: options.socketPath }) },
    })
  }

  availability (): Availability { return { ok: true } }

  /** What is sent: the client's request with the expert's own model name. Overridden by wires that add to it. */
  protected wireRequest (request: ExpertRequest, stream: boolean): Record<string, unknown> {
    const { stream_options: options, ...rest } = request
    // usage is always asked for, for the record needs it; the relay strips it where the client did not ask
    return stream
      ? { ...rest, model: this.facts.model, stream: true, stream_options: { ...(options as object | undefined), include_usage: true } }
      : { ...rest, model: this.facts.model, stream: false }
  }

  async complete (request: ExpertRequest, signal: AbortSignal): Promise<Wire> {
    const text = await this.#text(await this.#call(this.wireRequest(request, false), signal), signal)
    let completion: Wire | null
    try { completion = JSON.parse(text) as Wire | null } catch (cause) {
      throw new ParallaxError('expert_failed', 'The expert answered something that is not JSON.', { cause })
    }
    if (typeof completion !== 'object' || completion === null || !Array.isArray(completion['choices']) || completion['choices'].length === 0) {
      throw new ParallaxError('expert_failed', 'The expert\'s answer has no choices.')
    }
    return completion
  }

  async stream (request: ExpertRequest, signal: AbortSignal): Promise<AsyncIterable<Wire[]>> {
    const response = await this.#call(this.wireRequest(request, true), signal)
    const type = String(response.headers['content-type'] ?? '')
    if (!type.includes('text/event-stream')) {
      drop(response)
      throw new ParallaxError('expert_failed', 'The expert was asked for a stream and answered something else.')
    }
    return this.#frames(response, signal)
  }

  async close (): Promise<void> { await this.#pool.destroy() }

  async * #frames (response: Dispatcher.ResponseData, signal: AbortSignal): AsyncGenerator<Wire[], void> {
    try {
      yield * parseFrames(response.body, this.#limits.answerBytes, (error) => fromStatus(502, JSON.stringify({ error }), undefined, this.#secrets))
    } catch (thrown) {
      throw fromThrown(thrown, signal)
    } finally {
      // an answer read to its end keeps its connection; anything else must not leave the upstream generating
      if (!response.body.readableEnded) drop(response)
    }
  }

  async #call (body: Record<string, unknown>, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    let response: Dispatcher.ResponseData
    try {
      response = await this.#pool.request({ path: this.#path, method: 'POST', headers: this.#headers, body: JSON.stringify(body), signal })
    } catch (thrown) { throw fromThrown(thrown, signal) }
    if (response.statusCode === 200) return response
    const text = await this.#text(response, signal, ERROR_BODY_LIMIT).catch(() => '')
    throw fromStatus(response.statusCode, text, response.headers['retry-after'], this.#secrets)
  }

  async #text (response: Dispatcher.ResponseData, signal: AbortSignal, limit = this.#limits.answerBytes): Promise<string> {
    try {
      return DECODER.decode(await wholeBody(response, limit))
    } catch (thrown) {
      if (thrown instanceof TypeError) throw new ParallaxError('expert_failed', 'The expert\'s answer is not valid UTF-8.', { cause: thrown })
      throw fromThrown(thrown, signal)
    }
  }
}

const DECODER = new TextDecoder('utf-8', { fatal: true })

/** By events: an async iterator costs a promise a piece, and most answers come in one. */
function wholeBody ({ body }: Dispatcher.ResponseData, limit: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = []
    let bytes = 0
    body.on('data', (part: Buffer) => {
      bytes += part.length
      parts.push(part)
      if (bytes > limit) body.destroy(new ParallaxError('expert_failed', `The expert's answer is longer than ${limit} bytes.`))
    })
    body.on('error', reject)
    body.on('end', () => { resolve(parts.length === 1 ? parts[0]! : Buffer.concat(parts)) })
  })
}

/** Ends a call whose answer is not wanted. undici then reports the abort as an error of the body, which nobody else listens to. */
function drop ({ body }: Dispatcher.ResponseData): void {
  body.on('error', () => {}).destroy()
}
