/** A gateway of one's own for as long as a command needs one: started as an operator would, on a free port and an empty data directory, and gone afterwards. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface OwnGateway { readonly url: string, readonly keys: { readonly app: string, readonly admin: string }, stop (): Promise<void> }

const SERVER = fileURLToPath(new URL('../server.ts', import.meta.url))
const PATIENCE_MS = 120_000
const STOP_MS = 15_000

/** Rejects, with what the server said, where it does not come to answer. */
export async function startOwnGateway (env: Readonly<Record<string, string | undefined>>): Promise<OwnGateway> {
  const dataDir = mkdtempSync(join(tmpdir(), 'parallax-evaluate-'))
  // what is shared with other gateways is none of this one's business
  const { DATABASE_URL: _database, REDIS_URL: _redis, PARALLAX_ANCHOR_FILE: _anchor, ...own } = env
  // the three voices are asked at once: a core for each computes what all cores for one after the other would, and nobody spins for a thread that is not scheduled
  const threads = { PARALLAX_ENGINE_THREADS: String(availableParallelism()), PARALLAX_ENGINE_CONTEXT_THREADS: '1' }
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', SERVER], { env: { ...threads, ...own, HOST: '127.0.0.1', PORT: '0', DATA_DIR: dataDir, LOG_LEVEL: 'error' }, stdio: ['ignore', 'pipe', 'pipe'] })
  const exited = once(child, 'exit')
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (part: string) => { said = (said + part).slice(-20_000) })
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM')
      const impatient = setTimeout(() => { child.kill('SIGKILL') }, STOP_MS)
      await exited
      clearTimeout(impatient)
    }
    rmSync(dataDir, { recursive: true, force: true })
  }
  // a command that is interrupted must not leave it running
  process.once('exit', () => { child.kill('SIGKILL'); rmSync(dataDir, { recursive: true, force: true }) })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { process.exit(signal === 'SIGINT' ? 130 : 143) })
  const end = Date.now() + PATIENCE_MS
  for (;;) {
    const address = /listens on (http:\/\/\S+:\d+)/.exec(said)?.[1]
    if (address !== undefined && /^(Ready: |The embedded engine cannot answer|The perspective "\S+" cannot answer)/m.test(said)) {
      const { app, admin } = JSON.parse(readFileSync(join(dataDir, 'keys.json'), 'utf8')) as OwnGateway['keys']
      return { url: address, keys: { app, admin }, stop }
    }
    if (child.exitCode !== null || Date.now() > end) {
      await stop()
      throw new Error(`A gateway for the evaluation cannot be started. It said: ${said.trim().slice(-500) || 'nothing'}`)
    }
    await new Promise((resolve) => { setTimeout(resolve, 100) })
  }
}
