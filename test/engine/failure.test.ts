import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startEngine } from '../../src/engine/engine.ts'
import { tinyModel } from '../fixtures/tiny-model.ts'
import { temporary } from '../helper.ts'

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
