/** One endpoint's connections and credentials, and the bounds of what it may send. Knows bytes and JSON, not what a request means. */
import { isUtf8 } from 'node:buffer'
import { Pool } from 'undici'
import { ParallaxError } from '../errors.ts'
import { eventCall } from './event-call.ts'
import type { Wire } from './expert.ts'
import { ERROR_BODY_LIMIT, fromFrame, fromStatus, fromThrown } from './failure.ts'
import { FrameParser } from './frames.ts'
import { BrokenOff, TooLong, wholeCall } from './whole-call.ts'

export interface TransportOptions {
  /** Where the wire starts, e.g. `https://host/v1`; with `socketPath` only its path counts. */
  readonly baseUrl: string
  readonly socketPath?: string
  readonly apiKey?: string | undefined
  readonly limits: { readonly answerBytes: number, readonly firstChunkMs: number, readonly chunkGapMs: number }
}

export class Transport {
  /** Equal for two that reach the same server. Holds its address: never to be shown. */
  readonly server: string
  readonly #pool: Pool
  /** Below the origin, without a slash at its end: `/v1`. */
  readonly #path: string
  readonly #headers: Record<string, string>
  readonly #limits: TransportOptions['limits']
  /** What must never appear in a message: the upstream's host and key. */
  readonly #secrets: readonly string[]

  constructor (options: TransportOptions) {
    const url = new URL(options.baseUrl)
    this.#limits = options.limits
    this.#path = url.pathname.replace(/\/+$/, '')
    this.server = `${options.socketPath ?? url.origin}${this.#path}`
    this.#secrets = [options.apiKey ?? '', ...(options.socketPath === undefined ? addresses(url) : [])].filter((part) => part !== '')
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

  /** Calls that were begun and are not over, streams among them. */
  get running (): number { return this.#pool.stats.size }

  /** `below` the base, such as `/chat/completions`; with `..` in front, beside it: `../health` of `/v1` is `/health`. */
  #at (below: string): string {
    return below.startsWith('../') ? `${this.#path.replace(/\/[^/]*$/, '')}${below.slice(2)}` : `${this.#path}${below}`
  }

  /** A whole answer, parsed. Throws ParallaxError, or the signal's reason. */
  async json (below: string, body: unknown, signal: AbortSignal): Promise<unknown> {
    const bytes = await this.#whole('POST', below, body, signal)
    if (!isUtf8(bytes)) throw new ParallaxError('expert_failed', 'The expert\'s answer is not valid UTF-8.')
    try { return JSON.parse(bytes.toString()) as unknown } catch (cause) {
      throw new ParallaxError('expert_failed', 'The expert answered something that is not JSON.', { cause })
    }
  }

  /** The bytes of a 200 answer, for what is no chat: an administrator's calls and questions about the server. Throws like `json`. */
  async text (method: 'GET' | 'POST', below: string, body: unknown, signal: AbortSignal): Promise<string> {
    return (await this.#whole(method, below, body, signal)).toString()
  }

  /** Resolves when the upstream accepted; what follows is read chunk by chunk. */
  async events (below: string, body: unknown, signal: AbortSignal): Promise<AsyncIterable<Wire[]>> {
    const parser = new FrameParser(this.#limits.answerBytes, (error) => fromFrame(error, this.#secrets))
    return eventCall({ pool: this.#pool, request: this.#options('POST', below, body), parser, signal, secrets: this.#secrets })
  }

  async close (): Promise<void> { await this.#pool.destroy() }

  async #whole (method: 'GET' | 'POST', below: string, body: unknown, signal: AbortSignal): Promise<Buffer> {
    const limit = this.#limits.answerBytes
    try {
      const answer = await wholeCall(this.#pool, this.#options(method, below, body), limit, signal)
      if (answer.status !== 200) throw fromStatus(answer.status, answer.body.toString('utf8', 0, ERROR_BODY_LIMIT), answer.retryAfter, this.#secrets)
      return answer.body
    } catch (thrown) {
      if (thrown instanceof TooLong) throw new ParallaxError('expert_failed', `The expert's answer is longer than ${limit} bytes.`, { cause: thrown })
      if (thrown instanceof BrokenOff) throw fromThrown(thrown.cause, signal, true)
      throw fromThrown(thrown, signal)
    }
  }

  #options (method: 'GET' | 'POST', below: string, body: unknown) {
    return { path: this.#at(below), method, headers: this.#headers, ...(method === 'POST' && { body: JSON.stringify(body) }) } as const
  }
}

/** How a message can give a server away. A host of one plain word, such as "engine" or "model", is only a word where no port follows. */
const addresses = ({ host, hostname }: URL): string[] => [host, hostname].filter((one) => /[.:]/.test(one))
