import type { LlamaModel } from 'node-llama-cpp'
import t, { type Test } from 'tap'
import { Contexts, type Setting } from '../../src/engine/contexts.ts'
import { proveIdentity } from '../../src/engine/identity.ts'
import { tinyModel } from '../fixtures/tiny-model.ts'
import { loadTiny } from './loaded.ts'

const { adapters } = tinyModel()
const OPTIONS = { contextSize: 128, sequences: 1, contextThreads: 1, queueLimit: 1 }

/** Gone before the model goes: disposed of beside it, a context can fail. */
function contextsOf (t: Test, model: LlamaModel, paths = adapters.map(({ path }) => path)): Contexts {
  const contexts = new Contexts(model, { ...OPTIONS, adapters: paths })
  t.teardown(() => contexts.dispose())
  return contexts
}

/** Contexts that give another setting than the one asked for, from the `from`th time on. */
function mixedUp (t: Test, model: LlamaModel, from: number, instead: (setting: Setting) => Setting): Contexts {
  const real = contextsOf(t, model)
  let times = 0
  return { acquire: (setting: Setting, signal: AbortSignal) => real.acquire(++times >= from ? instead(setting) : setting, signal) } as unknown as Contexts
}

t.test('the A-B-A test', async (t) => {
  const model = await loadTiny(t)

  t.test('passes where every adapter answers for itself', async (t) => {
    await t.resolves(proveIdentity(model, contextsOf(t, model), adapters))
    await t.resolves(proveIdentity(model, contextsOf(t, model, []), []))
  })

  t.test('fails where an adapter answers from another one\'s state once that one has answered', async (t) => {
    // base, A, B, base, and then A's turn is answered by B
    const swapped = (setting: Setting): Setting => setting.map(({ id, scale }) => ({ id: 1 - id, scale }))
    await t.rejects(proveIdentity(model, mixedUp(t, model, 5, swapped), adapters), { message: /"progressive" answers differently after the others/ })
  })

  t.test('fails where the base answers with an adapter left in it', async (t) => {
    await t.rejects(proveIdentity(model, mixedUp(t, model, 4, (setting) => setting.map((one) => ({ ...one, scale: 1 }))), adapters), { message: /the base model answers differently/ })
  })

  t.test('fails where an adapter has no effect, and where one stands in for another', async (t) => {
    await t.rejects(proveIdentity(model, mixedUp(t, model, 1, () => []), adapters), { message: /"progressive" answers exactly as the base model/ })
    const [first] = adapters
    await t.rejects(proveIdentity(model, contextsOf(t, model, [first!.path, first!.path]), adapters), { message: /"conservative" answers exactly as the adapter "progressive"/ })
  })

  t.test('lets two names share one file that is declared for both', async (t) => {
    const [first] = adapters
    await t.resolves(proveIdentity(model, contextsOf(t, model, [first!.path, first!.path]), [first!, { ...first!, id: 'twin' }]))
  })
})
