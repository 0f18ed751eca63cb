/** One OpenAI-compatible endpoint, asked with patience: retried while it is busy, and given up with words when it is gone. Knows nothing of what is measured. */
import { EvaluationError } from '../evaluation-error.ts'

export interface EndpointOptions {
  /** The gateway's address, with or without `/v1`. */
  readonly baseUrl: string
  readonly key: string | undefined
  /** Pauses before each further attempt; a test makes them short. */
  readonly pausesMs?: readonly number[]
  readonly timeoutMs?: number
}

/** A status other than 200 that trying again does not change. */
export class Refused extends Error {
  override readonly name = 'Refused'
  readonly status: number
  readonly code: string
  constructor (status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

/** It did not answer at all, however often it was asked. What is kept of what came before, whoever asked knows. */
export class Gone extends EvaluationError {}

const PAUSES_MS = [500, 1000, 2000, 4000, 8000]
/** Longer than a busy machine takes, shorter than Node's own limit. */
const TIMEOUT_MS = 290_000
const AGAIN = new Set([408, 429, 500, 502, 503, 504])

export class Endpoint {
  readonly #options: EndpointOptions
  /** Without its path's end: what tells one endpoint's answers from another's. */
  readonly address: string

  constructor (options: EndpointOptions) {
    this.#options = options
    // fetch would repeat it in its error
    if (options.key !== undefined && !/^[\x21-\x7e]+$/.test(options.key)) throw new EvaluationError('The key that was given is none: wanted one alone, without spaces or line ends.')
    let url: URL
    try { url = new URL(options.baseUrl) } catch { throw new EvaluationError(`--base-url: wanted an address such as http://127.0.0.1:3000, got ${JSON.stringify(options.baseUrl)}.`) }
    if (!/^https?:$/.test(url.protocol)) throw new EvaluationError(`--base-url: wanted http or https, got ${url.protocol.slice(0, -1)}.`)
    this.address = `${url.origin}${url.pathname.replace(/\/+$/, '').replace(/\/v1$/, '')}`
  }

  /** Parsed JSON. Throws Refused, or Gone where the endpoint does not answer at all. */
  async json (method: 'GET' | 'POST', path: string, body?: unknown): Promise<unknown> {
    const { key, pausesMs = PAUSES_MS, timeoutMs = TIMEOUT_MS } = this.#options
    let last = ''
    for (let attempt = 0; ; attempt++) {
      let pause = pausesMs[attempt]
      try {
        const reply = await fetch(`${this.address}${path}`, {
          method, signal: AbortSignal.timeout(timeoutMs), redirect: 'error',
          headers: { 'content-type': 'application/json', ...(key !== undefined && { authorization: `Bearer ${key}` }) },
          ...(body !== undefined && { body: JSON.stringify(body) }),
        })
        const text = await reply.text()
        if (reply.ok) {
          try { return JSON.parse(text) as unknown } catch { last = `${path} answered something that is not JSON` }
        } else {
          const { code, message } = errorOf(text)
          if (!AGAIN.has(reply.status)) throw new Refused(reply.status, code, message || `${path} answered with status ${reply.status}`)
          last = `${path} answered with status ${reply.status}${message ? ` (${message})` : ''}`
          const wait = Number(reply.headers.get('retry-after'))
          if (pause !== undefined && wait > 0) pause = Math.max(pause, Math.min(60, wait) * 1000)
        }
      } catch (error) {
        if (error instanceof Refused) throw error
        last = `${path} cannot be reached (${((error as Error).cause as Error | undefined)?.message ?? (error as Error).message})`
      }
      if (pause === undefined) throw new Gone(`The endpoint does not answer: ${last}, ${pausesMs.length + 1} times in a row.`)
      await new Promise((resolve) => { setTimeout(resolve, pause) })
    }
  }
}

function errorOf (text: string): { code: string, message: string } {
  try {
    const body = JSON.parse(text) as { error?: { code?: unknown, message?: unknown }, code?: unknown, detail?: unknown }
    const code = body.error?.code ?? body.code
    const message = body.error?.message ?? body.detail
    return { code: typeof code === 'string' ? code : '', message: typeof message === 'string' ? message.slice(0, 300) : '' }
  } catch { return { code: '', message: '' } }
}
