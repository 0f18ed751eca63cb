/** The request that every system gets, byte for byte but for its key: a question of ordinary length, as an OpenAI client sends it. */
import { COUNTER_DIGITS } from './load-job.ts'
import type { System } from './system.ts'

export interface Asked {
  readonly stream?: boolean
  /** Each request its own question; else all the same. */
  readonly unique?: boolean
  readonly delayMs?: number
  readonly chunks?: number
  readonly pauseMs?: number
}

const SYSTEM_PROMPT = 'You are a helpful assistant. Answer in two or three sentences, in plain words, and say what your view rests on.'
const QUESTION = 'What is your opinion on universal healthcare? Please consider the cost, the quality of care and who has access to it.'
const COUNTER = '0'.repeat(COUNTER_DIGITS)

export function chatBody ({ stream = false, delayMs = 0, chunks, pauseMs }: Asked): string {
  return JSON.stringify({
    model: 'parallax',
    perspective: 'progressive',
    messages: [{ role: 'system', content: SYSTEM_PROMPT }, { role: 'user', content: `${QUESTION} (${COUNTER})` }],
    // a sampled answer would not be cached at all: with 0 the cache has its work as well
    temperature: 0,
    max_tokens: 200,
    ...(stream && { stream, stream_options: { include_usage: true } }),
    ...(delayMs > 0 && { mock_delay_ms: delayMs }),
    ...(chunks !== undefined && { mock_chunks: chunks }),
    ...(pauseMs !== undefined && { mock_pause_ms: pauseMs }),
  })
}

export function chatRequest (system: System, asked: Asked): { request: string, counterAt: number | null } {
  const body = chatBody(asked)
  const headers = { host: `127.0.0.1:${system.port}`, 'content-type': 'application/json', accept: 'application/json', 'user-agent': 'bench', ...system.headers, 'content-length': String(Buffer.byteLength(body)) }
  const request = `POST /v1/chat/completions HTTP/1.1\r\n${Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`
  return { request, counterAt: asked.unique ? request.indexOf(`(${COUNTER})`) + 1 : null }
}
