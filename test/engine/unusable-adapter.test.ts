import { join } from 'node:path'
import t from 'tap'
import { startEngine } from '../../src/engine/engine.ts'
import { tinyModel } from '../fixtures/tiny-model.ts'
import { temporary } from '../helper.ts'
import { A, ask, B, GREEDY } from './running.ts'

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
