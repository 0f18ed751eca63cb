import { existsSync } from 'node:fs'
import t from 'tap'
import { until } from '../helper.ts'
import { alive, ask, GREEDY, LONG, start } from './running.ts'

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

t.test('closing ends the process and removes the socket', async (t) => {
  const engine = start(t)
  await engine.ready()
  const { pid } = engine.state()
  await engine.close()
  t.notOk(alive(pid!))
  t.notOk(existsSync(engine.socketPath))
  t.equal(engine.state().status, 'closed')
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
