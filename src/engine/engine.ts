/**
 * Supervises the embedded engine: a child process, so that a native crash takes neither the gateway nor the log with it.
 * Knows the child's life, not its model.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { chmodSync, lstatSync, mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Assignment, Report } from './child.ts'

export interface EngineOptions {
  readonly modelPath: string
  readonly modelName: string
  /** Their order is their number on the wire. */
  readonly adapters: readonly { readonly id: string, readonly path: string, readonly sha256: string }[]
  /** Default: in a fresh directory of mode 0700. */
  readonly socketPath?: string
  /** Default: all cores but one. llama.cpp's threads spin while they wait, and as many as cores collapse under any other load. */
  readonly threads?: number
  /** Of these, how many one LoRA setting uses; default: all. With 1 and several settings asked at once, each has a core of its own and none waits for another's threads. */
  readonly contextThreads?: number
  /** Tokens a request, prompt and answer. */
  readonly contextSize?: number
  /** Requests that one LoRA setting answers at a time. */
  readonly sequences?: number
  /** Requests that may wait. */
  readonly queueLimit?: number
  readonly log?: (level: 'info' | 'warn' | 'error', event: string, fields: Record<string, unknown>) => void
}

export interface EngineState {
  readonly status: 'starting' | 'ready' | 'restarting' | 'failed' | 'closed'
  /** A sentence for people, where there is something to say. */
  readonly reason?: string
  readonly restarts: number
  readonly pid?: number
  /** Adapters that cannot be used, by id, and why; the others are served. */
  readonly unusable?: Readonly<Record<string, string>>
}

export interface Engine {
  readonly socketPath: string
  state (): EngineState
  /** Resolves when it can answer; rejects when it failed or was closed. */
  ready (): Promise<void>
  /** Calls `listener` on every change, until the returned function is called. */
  onState (listener: (state: EngineState) => void): () => void
  close (): Promise<void>
}

/** Pause before the nth start in a row that follows a crash. */
const BACKOFF_MS = [0, 500, 1000, 2000, 5000, 10_000]
/** So many crashes within the window, and it is called failed; it is still tried, but seldom. */
const CRASHES = 5
const CRASH_WINDOW_MS = 60_000
const FAILED_RETRY_MS = 30_000
const CLOSE_MS = 2000
/** Loading a large model from a slow disk takes minutes; more than this is a hang. */
const START_MS = 300_000

/** sun_path of sockaddr_un, less its final zero: 108 on Linux, 104 on macOS and BSD. */
const SOCKET_PATH_BYTES = process.platform === 'linux' ? 107 : 103

const CHILD = fileURLToPath(new URL('./child.ts', import.meta.url))

/** What a killed engine left behind may go, anything else stays: the reason why it cannot, if so. */
function removeStale (socketPath: string): string | undefined {
  if (Buffer.byteLength(socketPath) > SOCKET_PATH_BYTES) return `The engine's socket path has ${Buffer.byteLength(socketPath)} bytes; the system allows ${SOCKET_PATH_BYTES}. Set a shorter one, or a shorter TMPDIR.`
  const found = lstatSync(socketPath, { throwIfNoEntry: false })
  if (found && !found.isSocket()) return 'The engine\'s socket path is taken by something that is not a socket. Move that, or set another path.'
  rmSync(socketPath, { force: true })
  return undefined
}

/** Never throws: a model that is missing or broken is a state with a reason. */
export function startEngine (options: EngineOptions): Engine {
  const directory = options.socketPath === undefined ? mkdtempSync(join(tmpdir(), 'parallax-engine-')) : null
  if (directory) chmodSync(directory, 0o700)
  const socketPath = options.socketPath ?? join(directory!, 'engine.sock')
  const threads = options.threads ?? Math.max(1, availableParallelism() - 1)
  const assignment: Assignment = {
    modelPath: options.modelPath,
    modelName: options.modelName,
    adapters: options.adapters,
    socketPath,
    directory,
    threads,
    contextThreads: Math.min(threads, options.contextThreads ?? threads),
    contextSize: options.contextSize ?? 2048,
    sequences: options.sequences ?? 4,
    queueLimit: options.queueLimit ?? 64,
  }
  const log = options.log ?? (() => {})
  const listeners = new Set<(state: EngineState) => void>()
  let state: EngineState = { status: 'starting', restarts: 0 }
  let child: ChildProcess | undefined
  let timer: NodeJS.Timeout | undefined
  let crashes: number[] = []
  let failure: string | undefined

  function become (next: Omit<EngineState, 'restarts'>, restarts = state.restarts): void {
    if (state.status === 'closed') return
    state = { ...next, restarts }
    log(next.status === 'failed' ? 'error' : 'info', 'engine.state', { ...state })
    for (const listener of listeners) listener(state)
  }

  function spawn (): void {
    failure = removeStale(socketPath)
    if (failure !== undefined) return ended(null, null)
    // with its path here only: the state's reason may reach callers
    log('info', 'engine.start', { model: options.modelPath, adapters: options.adapters.map(({ id, path }) => `${id}: ${path}`), threads: assignment.threads, context: assignment.contextSize, sequences: assignment.sequences })
    const started = fork(CHILD, [], { execArgv: ['--disable-warning=ExperimentalWarning'], stdio: ['ignore', 'pipe', 'pipe', 'ipc'], serialization: 'advanced' })
    child = started
    const patience = setTimeout(() => {
      failure = `The embedded engine did not start within ${START_MS / 1000} s.`
      started.kill('SIGKILL')
    }, START_MS)
    patience.unref()
    // llama.cpp's own lines: they hold no prompt
    for (const [stream, level] of [[started.stdout!, 'info'], [started.stderr!, 'warn']] as const) createInterface(stream).on('line', (line) => { log(level, 'engine.output', { line }) })
    started.on('message', (report: Report) => {
      clearTimeout(patience)
      if (report.type === 'ready') become({ status: 'ready', pid: started.pid!, unusable: report.unusable })
      else if (report.type === 'failed') failure = report.reason
      else log('error', 'engine.defect', { message: report.message })
    })
    started.on('error', (error) => {
      if (started.pid !== undefined) return
      // a process that could not be made never exits either
      clearTimeout(patience)
      failure = `The embedded engine's process cannot be started: ${error.message}`
      ended(null, null)
    })
    started.once('exit', (code, signal) => {
      clearTimeout(patience)
      if (child === started) ended(code, signal)
    })
    started.send(assignment, () => { /* a child that died at once says so by its exit */ })
  }

  function ended (code: number | null, signal: NodeJS.Signals | null): void {
    child = undefined
    if (state.status === 'closed') return
    const now = Date.now()
    crashes = [...crashes.filter((at) => now - at < CRASH_WINDOW_MS), now]
    const often = crashes.length >= CRASHES
    if (failure !== undefined || often) {
      become({ status: 'failed', reason: failure ?? `The embedded engine crashed ${crashes.length} times within a minute, last with ${signal ?? `code ${code}`}.` })
      again(FAILED_RETRY_MS)
    } else {
      become({ status: 'restarting', reason: `The embedded engine ended with ${signal ?? `code ${code}`} and is started again.` }, state.restarts + 1)
      again(BACKOFF_MS[Math.min(crashes.length - 1, BACKOFF_MS.length - 1)]!)
    }
  }

  function again (ms: number): void {
    timer = setTimeout(spawn, ms)
  }

  function onState (listener: (state: EngineState) => void): () => void {
    listeners.add(listener)
    return () => { listeners.delete(listener) }
  }

  spawn()
  return {
    socketPath,
    state: () => state,
    onState,
    ready: () => new Promise((resolve, reject) => {
      const stop = onState(settle)
      settle(state)
      function settle ({ status, reason }: EngineState): void {
        if (status === 'ready') resolve()
        else if (status === 'failed' || status === 'closed') reject(new Error(reason ?? `The engine is ${status}.`))
        else return
        stop()
      }
    }),
    async close () {
      clearTimeout(timer)
      const last = child
      become({ status: 'closed' })
      if (last?.exitCode === null && last.signalCode === null) {
        const gone = new Promise((resolve) => { last.once('exit', resolve) })
        const impatient = setTimeout(() => { last.kill('SIGKILL') }, CLOSE_MS)
        if (last.connected) last.disconnect()
        await gone
        clearTimeout(impatient)
      }
      if (directory) rmSync(directory, { recursive: true, force: true })
      else removeStale(socketPath)
    },
  }
}
