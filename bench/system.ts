/** A process the benches start, pin, talk to and stop by its id. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { pinned } from './placement.ts'

export interface System {
  readonly name: string
  readonly port: number
  readonly pid: number
  /** What a caller of it has to send beside the usual. */
  readonly headers: Readonly<Record<string, string>>
  stop (): Promise<void>
}

const START_MS = 20_000
const STOP_MS = 8_000
const running = new Set<ChildProcess>()
// whatever ends the bench ends what it started, and only that
process.once('exit', () => { for (const child of running) child.kill('SIGKILL') })
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { process.exit(130) })

export interface Start {
  readonly name: string
  readonly cores: readonly number[]
  /** Relative to this folder. */
  readonly file: string
  readonly args?: readonly string[]
  readonly nodeArgs?: readonly string[]
  readonly env?: NodeJS.ProcessEnv
}

export interface Program { readonly cores: readonly number[], readonly program: string, readonly args: readonly string[], readonly env?: NodeJS.ProcessEnv | undefined }
export interface Started { readonly child: ChildProcess, readonly said: () => string, readonly stop: () => Promise<void> }

/** Starts a file of ours under this Node. */
export function startNode ({ cores, file, args = [], nodeArgs = [], env }: Omit<Start, 'name'>): Started {
  return startProgram({ cores, program: process.execPath, args: [...nodeArgs, resolve(import.meta.dirname, file), ...args], env })
}

/** Its standard error is kept and shown when it fails. */
export function startProgram ({ cores, program, args, env }: Program): Started {
  const child = spawn(...pinned(cores, program, [...args]), { stdio: ['pipe', 'pipe', 'pipe'], env: env ?? process.env })
  running.add(child)
  child.once('exit', () => running.delete(child))
  let text = ''
  child.stderr.on('data', (part: Buffer) => { text = (text + part.toString()).slice(-4000) })
  return { child, said: () => text, stop: () => stopChild(child) }
}

/** Waits until somebody else's server answers at `url`; stops it and throws where it does not, with what it said. */
export async function answering (name: string, { child, said, stop }: Started, url: string, withinMs: number): Promise<void> {
  child.stdout!.resume()
  for (const deadline = Date.now() + withinMs; ; await sleep(100)) {
    if (child.exitCode !== null || Date.now() > deadline) { await stop(); throw new Error(`${name} did not start: ${said()}`) }
    try { if ((await fetch(url)).ok) return } catch { /* not yet */ }
  }
}

async function stopChild (child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
  await gone
  clearTimeout(timer)
}

/** Starts one of the benches' own servers, which tell their port in their first line (listening.ts). */
export async function startServer (start: Start): Promise<System> {
  const { child, said, stop } = startNode(start)
  const port = await new Promise<number>((found, reject) => {
    const timer = setTimeout(() => { reject(new Error(`${start.name} did not start within ${START_MS} ms: ${said()}`)) }, START_MS)
    createInterface(child.stdout!).once('line', (line) => { clearTimeout(timer); found((JSON.parse(line) as { port: number }).port) })
    child.once('exit', (code) => { clearTimeout(timer); reject(new Error(`${start.name} ended with ${code} before it listened: ${said()}`)) })
  })
  return { name: start.name, port, pid: child.pid!, headers: {}, stop }
}
