import { fork } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { startEngine } from '../../src/engine/engine.ts'
import { tinyModel } from '../fixtures/tiny-model.ts'
import { temporary, until } from '../helper.ts'
import { A, ask, GREEDY, QUESTION, start } from './running.ts'

const LONG = { messages: QUESTION, max_tokens: 20_000, stream: true, temperature: 0 }

const alive = (pid: number): boolean => { try { process.kill(pid, 0); return true } catch { return false } }

t.test('a caller who leaves ends the generation within a second, and the place is free for the next', async (t) => {
  const engine = start(t, { contextSize: 4000, sequences: 1, queueLimit: 1 })
  await engine.ready()
  const leaving = new AbortController()
  let got = ''
  const asking = ask(engine, LONG, { signal: leaving.signal, onData: (piece) => { got += piece } }).catch((error: Error) => error.name)
  await until(() => got.length > 1000)
  const left = Date.now()
  leaving.abort()
  t.equal(await asking, 'AbortError')
  t.equal((await ask(engine, { ...GREEDY, max_tokens: 1 })).status, 200)
  t.ok(Date.now() - left < 1000, `${Date.now() - left} ms until the next was answered`)
})

t.test('what waits is bounded: beyond it 503 with the time to wait, and leaving the queue makes room', async (t) => {
  const engine = start(t, { contextSize: 4000, sequences: 1, queueLimit: 1 })
  await engine.ready()
  const stop = new AbortController()
  let running = false
  const first = ask(engine, LONG, { signal: stop.signal, onData: () => { running = true } }).catch(() => {})
  await until(() => running)
  const leaving = new AbortController()
  const second = ask(engine, GREEDY, { signal: leaving.signal }).catch((error: Error) => error.name)
  await new Promise((resolve) => setTimeout(resolve, 100))
  const third = await ask(engine, GREEDY)
  t.equal(third.status, 503)
  t.equal(third.body.error.code, 'engine_overloaded')
  t.ok(Number(third.headers['retry-after']) >= 1)
  leaving.abort()
  t.equal(await second, 'AbortError')
  await new Promise((resolve) => setTimeout(resolve, 100))
  const fourth = ask(engine, { ...GREEDY, max_tokens: 1 })
  await new Promise((resolve) => setTimeout(resolve, 100))
  stop.abort()
  await first
  t.equal((await fourth).status, 200)
})

t.test('a crash breaks the running answer; the next one is served by a new process', async (t) => {
  const engine = start(t, { contextSize: 4000 })
  await engine.ready()
  const { pid } = engine.state()
  let running = false
  const asking = ask(engine, LONG, { onData: () => { running = true } }).then(() => 'whole', () => 'broken')
  await until(() => running)
  process.kill(pid!, 'SIGKILL')
  t.equal(await asking, 'broken')
  await until(() => engine.state().status !== 'ready')
  await engine.ready()
  t.match(engine.state(), { restarts: 1 })
  t.not(engine.state().pid, pid)
  t.equal((await ask(engine, { ...GREEDY, lora: A })).status, 200)
})

t.test('what cannot be served is a state with a reason for people, and never a throw', async (t) => {
  const { modelPath, adapters, stranger } = tinyModel()
  const folder = temporary(t)
  const broken = join(folder, 'broken.gguf')
  writeFileSync(broken, 'GGUF, but not for long')
  const cases: [string, Parameters<typeof startEngine>[0], RegExp][] = [
    ['a model that is missing', { modelPath: join(folder, 'absent.gguf'), modelName: 'm', adapters: [] }, /absent\.gguf does not exist/],
    ['a model that is no model', { modelPath: broken, modelName: 'm', adapters: [] }, /broken\.gguf cannot be loaded/],
    ['an adapter that is missing', { modelPath, modelName: 'm', adapters: [{ ...adapters[0]!, path: join(folder, 'none.gguf') }] }, /"progressive" is missing/],
    ['an adapter that is not the declared one', { modelPath, modelName: 'm', adapters: [{ ...adapters[0]!, sha256: '0'.repeat(64) }] }, /not the declared one/],
    ['an adapter of another base', { modelPath, modelName: 'm', adapters: [stranger] }, /made for another base model/],
  ]
  await Promise.all(cases.map(async ([name, options, reason]) => {
    const engine = startEngine({ contextSize: 256, threads: 1, ...options })
    await t.rejects(engine.ready(), { message: reason }, name)
    t.match(engine.state(), { status: 'failed', reason })
    await engine.close()
  }))
})

t.test('closing ends the process and removes the socket', async (t) => {
  const engine = start(t)
  await engine.ready()
  const { pid } = engine.state()
  await engine.close()
  t.notOk(alive(pid!))
  t.notOk(existsSync(engine.socketPath))
  t.equal(engine.state().status, 'closed')
})

t.test('an engine whose gateway was killed ends by itself', async (t) => {
  const parent = fork(fileURLToPath(new URL('../fixtures/engine-parent.ts', import.meta.url)), [], { execArgv: [], stdio: 'ignore', serialization: 'json' })
  const pid = await new Promise<number>((resolve) => { parent.once('message', (message) => { resolve(message as number) }) })
  t.ok(alive(pid))
  parent.kill('SIGKILL')
  await until(() => !alive(pid), 2000)
  t.pass()
})
