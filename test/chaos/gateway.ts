/** The real gateway as a process that can be killed and started again. */
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

export class Gateway {
  readonly #env: Record<string, string>
  readonly #dataDir: string
  #child: ChildProcess | undefined
  url = ''

  constructor (dataDir: string, env: Record<string, string>) {
    this.#dataDir = dataDir
    this.#env = { ...env, DATA_DIR: dataDir }
  }

  /** Replicas share their keys: whichever was first holds the file, in a folder beside this one's. */
  get keys (): Record<'app' | 'auditor' | 'admin', string> {
    const all = dirname(this.#dataDir)
    const file = [this.#dataDir, ...readdirSync(all).map((name) => join(all, name))].map((folder) => join(folder, 'keys.json')).find((path) => existsSync(path))
    if (file === undefined) throw new Error(`no keys.json in ${all}`)
    return JSON.parse(readFileSync(file, 'utf8'))
  }

  async start (): Promise<void> {
    const child = this.#child = spawn(process.execPath, [join(ROOT, 'src/server.ts')], { cwd: ROOT, env: { PATH: process.env['PATH'] ?? '', PORT: '0', PARALLAX_MODEL: 'none', LOG_LEVEL: 'error', ...this.#env }, stdio: ['ignore', 'pipe', 'pipe'] })
    let told = ''
    this.url = await new Promise((resolve, reject) => {
      child.stdout.on('data', (part) => { told += part; const found = /listens on (\S+)/.exec(told); if (found) resolve(found[1]!) })
      child.stderr.on('data', (part) => { told += part })
      child.once('exit', () => { reject(new Error(`The gateway did not start: ${told.slice(-500)}`)) })
    })
  }

  async kill (): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise((resolve) => { child.once('exit', resolve) })
    child.kill('SIGKILL')
    await gone
  }

  /** With one of its own keys; the body is JSON where there is one. */
  call (scope: 'app' | 'auditor' | 'admin', path: string, body?: object, signal?: AbortSignal): Promise<Response> {
    return fetch(`${this.url}${path}`, { ...(body && { method: 'POST', body: JSON.stringify(body) }), ...(signal && { signal }), headers: { authorization: `Bearer ${this.keys[scope]}`, ...(body && { 'content-type': 'application/json' }) } })
  }
}
