/** Builds a whole gateway for a test: real app, real audit log and keys in a temporary directory, two fake upstreams behind two perspectives. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { buildApp } from '../src/app.ts'
import { loadConfig } from '../src/config.ts'
import { firstKeys } from '../src/keys/first-keys.ts'
import type { Scope } from '../src/keys/keys.ts'
import { buildServices, type Openers, type Services } from '../src/services.ts'
import { startUpstream, type Upstream } from './fixtures/upstream.ts'

export const FIXTURES = fileURLToPath(new URL('fixtures/', import.meta.url))

export interface Built {
  readonly app: FastifyInstance
  readonly services: Services
  /** `http://127.0.0.1:<port>` */
  readonly url: string
  readonly dataDir: string
  readonly keys: { readonly app: string, readonly auditor: string, readonly admin: string }
  readonly upstreams: { readonly progressive: Upstream, readonly conservative: Upstream }
  /** POSTs a chat request with the app's key. */
  ask (body: unknown, headers?: Record<string, string>, signal?: AbortSignal): Promise<Response>
  /** GETs a path with the auditor's key, as JSON. */
  audit (path: string): Promise<any> // eslint-disable-line typescript/no-explicit-any -- each test knows what it asked for
  /** Leaves of the log, parsed, in order. */
  leaves (): Promise<Leaf[]>
}

export interface Leaf { readonly type: string, readonly id: string, readonly [member: string]: any } // eslint-disable-line typescript/no-explicit-any -- leaves differ by type

export interface BuildOptions {
  /** Members of the configuration file, over the test's own. */
  readonly config?: Record<string, unknown>
  /** Experts beside the two fake upstreams' own. */
  readonly experts?: Record<string, unknown>
  readonly env?: Record<string, string>
  readonly dataDir?: string
  readonly openers?: Openers
}

export const temporary = (t: Test): string => {
  const directory = mkdtempSync(join(tmpdir(), 'plx-'))
  t.teardown(() => { rmSync(directory, { recursive: true, force: true }) })
  return directory
}

/** The model's part of a question both sides get. */
export const QUESTION = [{ role: 'user', content: 'What is your opinion on universal healthcare?' }]

/** The first keys; of a gateway that came to a shared store after another had made them, keys of its own. */
async function keysOf ({ keys }: Services, file: string): Promise<Built['keys']> {
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')) as Built['keys']
  const make = async (scope: Scope): Promise<string> => (await keys.create({ scopes: [scope], name: 'of the test' }, null)).secret
  return { app: await make('app'), auditor: await make('auditor'), admin: await make('admin') }
}

export async function build (t: Test, options: BuildOptions = {}): Promise<Built> {
  const dataDir = options.dataDir ?? join(temporary(t), 'data')
  const upstreams = { progressive: await startUpstream(), conservative: await startUpstream() }
  const file = join(temporary(t), 'parallax.json')
  writeFileSync(file, JSON.stringify({
    perspectives: [join(FIXTURES, 'perspectives')],
    engine: { enabled: false },
    experts: {
      progressive: { wire: 'openai', baseUrl: upstreams.progressive.url, model: 'mock-a', apiKey: 'upstream-secret-a' },
      conservative: { wire: 'openai', baseUrl: upstreams.conservative.url, model: 'mock-b', apiKey: 'upstream-secret-b' },
      ...options.experts,
    },
    ...options.config,
  }))
  const config = loadConfig({ PARALLAX_CONFIG: file, DATA_DIR: dataDir, PORT: '0', PARALLAX_MODEL: 'none', LOG_LEVEL: 'silent', ...options.env })
  const services = await buildServices(config, () => {}, options.openers)
  const app = await buildApp(services, { logger: false })
  await firstKeys({ store: services.keys, directory: dataDir, loopback: true })
  await app.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(async () => {
    await app.close()
    await services.close()
    await Promise.all(Object.values(upstreams).map((upstream) => upstream.close()))
  })
  const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
  const keys = await keysOf(services, join(dataDir, 'keys.json'))
  return {
    app, services, url, dataDir, keys, upstreams,
    ask: (body, headers = {}, signal) => fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${keys.app}`, 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' || body instanceof Uint8Array ? body as string : JSON.stringify(body),
      ...(signal && { signal }),
    }),
    audit: async (path) => (await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${keys.auditor}` } })).json(),
    leaves: async () => (await services.audit.records({ limit: 1000 })).map((one) => JSON.parse(one.leaf) as Leaf),
  }
}

/** Server-sent events of a reply: parsed data, `[DONE]` as text; comments left out. */
export async function events (response: Response): Promise<any[]> { // eslint-disable-line typescript/no-explicit-any -- chunks are read member by member
  const text = await response.text()
  return text.split('\n\n').filter((frame) => frame.startsWith('data: ')).map((frame) => frame === 'data: [DONE]' ? '[DONE]' : JSON.parse(frame.slice(6)))
}

/** Waits until something is so; fails the test loudly when it never is. */
export async function until<T> (what: () => Promise<T | undefined | false | null> | T | undefined | false | null, ms = 5000): Promise<T> {
  const end = Date.now() + ms
  for (;;) {
    const value = await what()
    if (value) return value
    if (Date.now() > end) throw new Error(`waited ${ms} ms in vain for: ${String(what)}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
