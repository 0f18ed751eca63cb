/** A gateway, or whatever speaks its wire, as these commands need it: asked with one key, one call at a time. Knows nothing of what is done with the answers. */
import { DatasetError } from './dataset-error.ts'

const PATIENCE_MS = 300_000
const MOST_BYTES = 16 * 1024 * 1024

export interface Gateway {
  get (path: string): Promise<unknown>
  post (path: string, body: unknown): Promise<{ readonly json: unknown, readonly headers: Headers }>
  /** Lines of NDJSON, as they come. */
  lines (path: string): AsyncGenerator<string>
}

async function said (response: Response): Promise<string> {
  const text = (await response.text()).slice(0, 2_000)
  try { const json = JSON.parse(text) as { error?: { message?: string }, detail?: string, title?: string }; return json.error?.message ?? json.detail ?? json.title ?? text } catch { return text }
}

/** `base` is the gateway's address, with or without `/v1`. */
export function gateway (base: string, key: string): Gateway {
  let root: URL
  try { root = new URL(base) } catch (cause) { throw new DatasetError(`Wanted an address such as http://127.0.0.1:3000, came ${JSON.stringify(base)}.`, { cause }) }
  const prefix = root.pathname.replace(/\/+$/, '')
  const address = (path: string): URL => new URL((path.startsWith('/v1/') && prefix.endsWith('/v1') ? prefix.slice(0, -3) : prefix.replace(/\/v1$/, '')) + path, root)
  async function call (path: string, init: RequestInit = {}): Promise<Response> {
    let response: Response
    try { response = await fetch(address(path), { ...init, headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' }, signal: AbortSignal.timeout(PATIENCE_MS), redirect: 'error' }) } catch (cause) { throw new DatasetError(`${address(path).origin} does not answer ${path}: ${((cause as Error).cause as Error | undefined)?.message ?? (cause as Error).message}. Is the gateway running there?`, { cause }) }
    if (!response.ok) throw new DatasetError(`${path} was answered with ${response.status}: ${await said(response)}`)
    return response
  }
  async function json (response: Response, path: string): Promise<unknown> {
    const text = await response.text()
    if (text.length > MOST_BYTES) throw new DatasetError(`${path} was answered with ${text.length} characters, more than anything here should have.`)
    try { return JSON.parse(text) } catch (cause) { throw new DatasetError(`${path} was answered with something that is no JSON: ${JSON.stringify(text.slice(0, 80))}.`, { cause }) }
  }
  return {
    get: async (path) => json(await call(path), path),
    async post (path, body) {
      const response = await call(path, { method: 'POST', body: JSON.stringify(body) })
      return { json: await json(response, path), headers: response.headers }
    },
    async * lines (path) {
      const { body } = await call(path)
      const decoder = new TextDecoder('utf-8', { fatal: true })
      let rest = ''
      for await (const chunk of body!) {
        const all = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n')
        rest = all.pop()!
        if (rest.length > MOST_BYTES) throw new DatasetError(`${path} gave a line of more than ${MOST_BYTES} characters.`)
        yield * all.filter(Boolean)
      }
      if (rest !== '') yield rest
    },
  }
}
