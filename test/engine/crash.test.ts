import { fork } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { until } from '../helper.ts'
import { A, alive, ask, GREEDY, LONG, start } from './running.ts'

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
