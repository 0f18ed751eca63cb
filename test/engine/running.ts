/** Starts the engine on the tiny model for a test, and asks it over its socket. */
import { request, type IncomingHttpHeaders } from 'node:http'
import type { Test } from 'tap'
import { startEngine, type Engine, type EngineOptions } from '../../src/engine/engine.ts'
import { tinyModel } from '../fixtures/tiny-model.ts'

export const A = [{ id: 0, scale: 1 }, { id: 1, scale: 0 }]
export const B = [{ id: 0, scale: 0 }, { id: 1, scale: 1 }]
export const QUESTION = [{ role: 'user', content: 'What is your opinion on taxation?' }]
export const GREEDY = { messages: QUESTION, temperature: 0, repeat_penalty: 1, max_tokens: 24 }

/** An answer that does not end by itself while a test looks on. */
export const LONG = { messages: QUESTION, max_tokens: 20_000, stream: true, temperature: 0 }

export const alive = (pid: number): boolean => { try { process.kill(pid, 0); return true } catch { return false } }

export interface Answer { readonly status: number, readonly headers: IncomingHttpHeaders, readonly text: string, readonly body: any } // eslint-disable-line typescript/no-explicit-any -- read member by member

export function start (t: Test, options: Partial<EngineOptions> = {}): Engine {
  const { modelPath, adapters } = tinyModel()
  const engine = startEngine({ modelPath, modelName: 'tiny', adapters, contextSize: 512, threads: 1, ...options })
  t.teardown(() => engine.close())
  return engine
}

/** Rejects where the connection breaks. `onData` sees each piece; `signal` leaves. */
export function ask (engine: Pick<Engine, 'socketPath'>, body: unknown, { path = '/v1/chat/completions', onData, signal }: { path?: string, onData?: (piece: string) => void, signal?: AbortSignal } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath: engine.socketPath, path, method: body === undefined ? 'GET' : 'POST', headers: { 'content-type': 'application/json' }, ...(signal && { signal }) }, (message) => {
      let text = ''
      message.setEncoding('utf8')
      message.on('data', (piece: string) => { text += piece; onData?.(piece) })
      message.on('error', reject)
      message.on('end', () => {
        let parsed: unknown = null
        try { parsed = JSON.parse(text) } catch { /* a stream */ }
        resolve({ status: message.statusCode ?? 0, headers: message.headers, text, body: parsed })
      })
    })
    call.on('error', reject)
    call.end(body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body))
  })
}

export const said = ({ body }: Answer): string => body.choices[0].message.content

/** The parsed chunks of a stream, `[DONE]` as text. */
export const chunks = (text: string): any[] => text.split('\n\n').filter((frame) => frame !== '').map((frame) => frame === 'data: [DONE]' ? '[DONE]' : JSON.parse(frame.slice(6))) // eslint-disable-line typescript/no-explicit-any -- read member by member
