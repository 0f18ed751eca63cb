import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startEngine } from '../../src/engine/engine.ts'
import { tinyModel } from '../fixtures/tiny-model.ts'
import { temporary } from '../helper.ts'
import { A, ask, B, GREEDY, start } from './running.ts'

t.test('what cannot be served is a state with a reason for people, and never a throw', async (t) => {
  const folder = temporary(t)
  const broken = join(folder, 'broken.gguf')
  writeFileSync(broken, 'GGUF, but not for long')
  const cases: [string, Parameters<typeof startEngine>[0], RegExp][] = [
    ['a model that is missing', { modelPath: join(folder, 'absent.gguf'), modelName: 'm', adapters: [] }, /absent\.gguf does not exist/],
    ['a model that is no model', { modelPath: broken, modelName: 'm', adapters: [] }, /broken\.gguf cannot be loaded/],
  ]
  await Promise.all(cases.map(async ([name, options, reason]) => {
    const engine = startEngine({ contextSize: 256, threads: 1, ...options })
    await t.rejects(engine.ready(), { message: reason }, name)
    t.match(engine.state(), { status: 'failed', reason })
    await engine.close()
  }))
})

t.test('files that are damaged behind a sound header are a failure with a reason', async (t) => {
  const { modelPath, adapters } = tinyModel()
  const folder = temporary(t)
  const damaged = (name: string, path: string, damage: (bytes: Buffer) => Buffer) => {
    const bytes = damage(readFileSync(path))
    writeFileSync(join(folder, name), bytes)
    return { id: name, path: join(folder, name), sha256: createHash('sha256').update(bytes).digest('hex') }
  }
  const half = (bytes: Buffer) => bytes.subarray(0, bytes.length / 2)
  const scrambled = (bytes: Buffer) => Buffer.concat([bytes.subarray(0, 24), Buffer.alloc(200, 0xff), bytes.subarray(224)])
  const cases: [string, Pick<Parameters<typeof startEngine>[0], 'modelPath' | 'adapters'>][] = [
    ['a model cut in half', { modelPath: damaged('half.gguf', modelPath, half).path, adapters: [] }],
    ['a model with garbage in its metadata', { modelPath: damaged('garbage.gguf', modelPath, scrambled).path, adapters: [] }],
    ['an adapter cut in half', { modelPath, adapters: [damaged('half-adapter.gguf', adapters[0]!.path, half)] }],
    ['an adapter with garbage in its metadata', { modelPath, adapters: [damaged('garbage-adapter.gguf', adapters[0]!.path, scrambled)] }],
    ['a model given as an adapter', { modelPath, adapters: [damaged('model.gguf', modelPath, (bytes) => bytes)] }],
  ]
  for (const [name, files] of cases) {
    const engine = startEngine({ contextSize: 256, threads: 1, modelName: 'm', ...files })
    await engine.ready().catch(() => {})
    const { status, reason, unusable } = engine.state()
    const [adapter] = files.adapters
    t.equal(status, adapter ? 'ready' : 'failed', name)
    const said = adapter ? unusable?.[adapter.id] : reason
    t.match(said, /cannot be loaded|made for another base/, name)
    t.notMatch(said, folder, 'callers may be shown it: no paths')
    t.equal(engine.state().restarts, 0, `${name}: no crash`)
    await engine.close()
  }
})

t.test('a socket path that cannot be used is a failure that touches nothing, and a stale socket is replaced', async (t) => {
  const folder = temporary(t)
  const taken = join(folder, 'notes.txt')
  writeFileSync(taken, 'mine')
  for (const [socketPath, reason] of [[taken, /not a socket/], [join(folder, 'x'.repeat(120)), /socket path has \d+ bytes/], [join(folder, 'absent', 's'), /cannot listen on its socket \(ENOENT\)|cannot listen on its socket \(EACCES\)/]] as const) {
    const engine = start(t, { socketPath })
    await t.rejects(engine.ready(), { message: reason })
    t.equal(engine.state().status, 'failed')
    await engine.close()
  }
  t.equal(readFileSync(taken, 'utf8'), 'mine')
  const socketPath = join(folder, 's')
  spawnSync(process.execPath, ['-e', `require('net').createServer().listen(${JSON.stringify(socketPath)}, () => process.kill(process.pid, 'SIGKILL'))`])
  t.ok(existsSync(socketPath), 'a killed process leaves its socket')
  const engine = start(t, { socketPath })
  await engine.ready()
  t.equal((await ask(engine, { ...GREEDY, max_tokens: 1 })).status, 200)
})

t.test('an adapter that cannot be used says why, and takes nobody else with it', async (t) => {
  const { modelPath, adapters, stranger } = tinyModel()
  const [a, b] = adapters as [typeof stranger, typeof stranger]
  const folder = temporary(t)
  const cases: [string, typeof stranger, RegExp][] = [
    ['one that is missing', { ...a, path: join(folder, 'none.gguf') }, /"progressive" is missing/],
    ['one that is not the declared one', { ...a, sha256: '0'.repeat(64) }, /not the declared one/],
    ['one of another base', stranger, /made for another base model/],
  ]
  for (const [name, broken, reason] of cases) {
    const engine = startEngine({ modelPath, modelName: 'm', adapters: [broken, b], contextSize: 256, threads: 1 })
    await engine.ready()
    t.match(engine.state(), { status: 'ready', unusable: { [broken.id]: reason } }, name)
    t.equal((await ask(engine, { ...GREEDY, lora: B })).status, 200, 'the other side answers')
    t.equal((await ask(engine, GREEDY)).status, 200, 'the base answers')
    const refused = await ask(engine, { ...GREEDY, lora: A })
    t.match([refused.status, refused.body.error.code], [503, 'adapter_unavailable'], 'and is not answered for by another')
    await engine.close()
  }
})
