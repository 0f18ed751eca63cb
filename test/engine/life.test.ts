import { fork } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { until } from '../helper.ts'
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

t.test('a place is freed at once though other answers of the same adapter go on', async (t) => {
  const engine = start(t, { contextSize: 4000, sequences: 2 })
  await engine.ready()
  const active = async () => (await ask(engine, undefined, { path: '/metrics.json' })).body.active as number
  const staying = new AbortController()
  let other = 0
  const long = ask(engine, LONG, { signal: staying.signal, onData: () => { other++ } }).catch(() => {})
  for (let turn = 0; turn < 3; turn++) {
    const leaving = new AbortController()
    let running = false
    const asking = ask(engine, LONG, { signal: leaving.signal, onData: () => { running = true } }).catch(() => {})
    await until(() => running)
    leaving.abort()
    await asking
    await until(async () => await active() === 1, 3000)
  }
  const before = other
  await until(() => other > before)
  t.pass('and the other answer went on all the while')
  staying.abort()
  await long
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

t.test('closing ends the process and removes the socket', async (t) => {
  const engine = start(t)
  await engine.ready()
  const { pid } = engine.state()
  await engine.close()
  t.notOk(alive(pid!))
  t.notOk(existsSync(engine.socketPath))
  t.equal(engine.state().status, 'closed')
})

t.test('an engine whose gateway was killed ends by itself, also in the middle of an answer, and leaves no socket behind', async (t) => {
  const parent = fork(fileURLToPath(new URL('../fixtures/engine-parent.ts', import.meta.url)), [], { execArgv: [], stdio: 'ignore', serialization: 'json' })
  const { pid, socketPath } = await new Promise<{ pid: number, socketPath: string }>((resolve) => { parent.once('message', (message) => { resolve(message as { pid: number, socketPath: string }) }) })
  t.ok(alive(pid))
  let running = false
  const asking = ask({ socketPath }, LONG, { onData: () => { running = true } }).then(() => 'whole', () => 'broken')
  await until(() => running)
  parent.kill('SIGKILL')
  await until(() => !alive(pid), 2000)
  t.equal(await asking, 'broken')
  t.notOk(existsSync(dirname(socketPath)))
})

t.test('signals that reach the whole group leave it to the gateway to end the engine', async (t) => {
  const engine = start(t, { contextSize: 4000 })
  await engine.ready()
  const { pid } = engine.state()
  let got = ''
  const asking = ask(engine, { ...LONG, max_tokens: 2000 }, { onData: (piece) => { got += piece } })
  await until(() => got.length > 0)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.kill(pid!, signal)
  t.match((await asking).text, /\[DONE\]\n\n$/)
  t.equal(engine.state().pid, pid)
})

t.test('five crashes within a minute are called a failure, with the reason, and every state is told', async (t) => {
  const engine = start(t)
  const told: string[] = []
  engine.onState(({ status }) => { told.push(status) })
  for (let crash = 1; crash <= 5; crash++) {
    await engine.ready()
    process.kill(engine.state().pid!, 'SIGKILL')
    await until(() => engine.state().status !== 'ready')
  }
  t.match(engine.state(), { status: 'failed', restarts: 4, reason: /crashed 5 times within a minute, last with SIGKILL/ })
  t.same(told, [...Array.from({ length: 4 }, () => ['ready', 'restarting']).flat(), 'ready', 'failed'])
  await t.rejects(engine.ready(), { message: /crashed 5 times/ })
})

t.test('nothing that people write reaches the log, whatever becomes of it', async (t) => {
  const lines: string[] = []
  const engine = start(t, { contextSize: 4000, log: (...line) => { lines.push(JSON.stringify(line)) } })
  await engine.ready()
  const secret = 'xyzzy-plugh'
  const messages = [{ role: 'user', content: secret }]
  for (const body of [{ ...GREEDY, messages }, { messages: [{ role: secret, content: secret }] }, `{"${secret}`, { ...GREEDY, messages, tools: [secret] }, { messages: [{ role: 'user', content: secret.repeat(5000) }] }]) await ask(engine, body)
  let running = false
  const asking = ask(engine, { ...LONG, messages }, { onData: () => { running = true } }).catch(() => {})
  await until(() => running)
  process.kill(engine.state().pid!, 'SIGKILL')
  await asking
  await until(() => engine.state().status !== 'ready')
  await engine.ready()
  t.ok(lines.length > 2)
  t.notOk(lines.some((line) => line.includes(secret)))
})
