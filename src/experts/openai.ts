/** An expert behind OpenAI's chat completions wire, reached with undici (the official SDK costs about six times the CPU here). */
import { isUtf8 } from 'node:buffer'
import { Pool, type Dispatcher } from 'undici'
import { ParallaxError } from '../errors.ts'
import type { Availability, Expert, ExpertFacts, ExpertRequest, Wire } from './expert.ts'
import { fromStatus, fromThrown } from './failure.ts'
import { parseFrames } from './frames.ts'
import { TooLong, wholeCall } from './whole-call.ts'

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
    const body = await this.#whole(this.wireRequest(request, false), signal)
    if (!isUtf8(body)) throw new ParallaxError('expert_failed', 'The expert\'s answer is not valid UTF-8.')
    let completion: Wire | null
    try { completion = JSON.parse(body.toString()) as Wire | null } catch (cause) {
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
    const { body } = response
    let whole = false
    try {
      yield * parseFrames(body.iterator({ destroyOnReturn: false }), this.#limits.answerBytes, (error) => fromStatus(502, JSON.stringify({ error }), undefined, this.#secrets))
      whole = true
    } catch (thrown) {
      throw fromThrown(thrown, signal)
    } finally {
      // read to its end an answer gives its connection back; anything else must not leave the upstream generating
      if (whole) body.on('error', () => {}).resume()
      else drop(response)
    }
  }

  /** A stream's head; what follows is read chunk by chunk. */
  async #call (body: Record<string, unknown>, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    let response: Dispatcher.ResponseData
    try {
      response = await this.#pool.request({ ...this.#options(body), signal })
    } catch (thrown) { throw fromThrown(thrown, signal) }
    if (response.statusCode === 200) return response
    const text = await errorText(response)
    throw fromStatus(response.statusCode, text, response.headers['retry-after'], this.#secrets)
  }

  async #whole (body: Record<string, unknown>, signal: AbortSignal): Promise<Buffer> {
    const limit = this.#limits.answerBytes
    try {
      const answer = await wholeCall(this.#pool, this.#options(body), limit, signal)
      if (answer.status !== 200) throw fromStatus(answer.status, answer.body.toString('utf8', 0, ERROR_BODY_LIMIT), answer.retryAfter, this.#secrets)
      return answer.body
    } catch (thrown) {
      if (thrown instanceof TooLong) throw new ParallaxError('expert_failed', `The expert's answer is longer than ${limit} bytes.`, { cause: thrown })
      throw fromThrown(thrown, signal)
    }
  }

  #options (body: Record<string, unknown>) {
    return { path: this.#path, method: 'POST', headers: this.#headers, body: JSON.stringify(body) } as const
  }
}

/** What came with a refusal, cut short; nothing where it cannot be read. */
async function errorText (response: Dispatcher.ResponseData): Promise<string> {
  let text = ''
  try {
    for await (const part of response.body as AsyncIterable<Buffer>) {
      text += part.toString()
      if (text.length > ERROR_BODY_LIMIT) break
    }
  } catch { /* the status says enough */ }
  return text
}

/** Ends a call whose answer is not wanted. undici then reports the abort as an error of the body, which nobody else listens to. */
function drop ({ body }: Dispatcher.ResponseData): void {
  body.on('error', () => {}).destroy()
}
