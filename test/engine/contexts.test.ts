import type { LlamaContext, LlamaModel } from 'node-llama-cpp'
import t from 'tap'
import { Contexts, type Lease, type Setting } from '../../src/engine/contexts.ts'

const never = new AbortController().signal
const setting = (scale: number): Setting => [{ id: 0, scale }]

/** A model whose contexts are made when the test says so. */
class FakeModel {
  made: { scale: number, disposed: boolean, sequences: number }[] = []
  hold: Promise<void> = Promise.resolve()
  failing = false

  async createContext ({ lora }: { lora?: { adapters: { scale: number }[] } }): Promise<LlamaContext> {
    await this.hold
    if (this.failing) throw new Error('no memory')
    const one = { scale: lora?.adapters[0]?.scale ?? 0, disposed: false, sequences: 0 }
    this.made.push(one)
    return {
      getSequence: () => { one.sequences++; return { dispose: async () => { one.sequences-- } } },
      dispose: async () => { one.disposed = true },
    } as unknown as LlamaContext
  }
}

function contexts ({ sequences = 1, queueLimit = 10 } = {}): { model: FakeModel, pool: Contexts } {
  const model = new FakeModel()
  return { model, pool: new Contexts(model as unknown as LlamaModel, { adapters: ['a.gguf'], contextSize: 128, sequences, contextThreads: 1, queueLimit }) }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

t.test('scales that differ by less than a step share a context, and no scale is the base', async (t) => {
  const { model, pool } = contexts({ sequences: 8 })
  for (const scale of [0.7, 0.71, 0.69, 0, 0.01]) await pool.acquire(setting(scale), never)
  await pool.acquire([], never)
  t.same(model.made.map(({ scale, sequences }) => [scale.toFixed(2), sequences]), [['0.70', 3], ['0.00', 3]])
})

t.test('an adapter that does not exist is refused, with scale or without', async (t) => {
  const { pool } = contexts()
  for (const scale of [1, 0]) await t.rejects(pool.acquire([{ id: 1, scale }], never), { status: 400, code: 'invalid_request', param: 'lora' })
})

t.test('those who wait come in the order in which they came', async (t) => {
  const { pool } = contexts()
  let lease = await pool.acquire(setting(1), never)
  const order: number[] = []
  const waiting = [1, 2, 3].map(async (place) => {
    const mine = await pool.acquire(setting(1), never)
    order.push(place)
    return mine
  })
  for (const next of waiting) {
    await lease.release()
    lease = await next
  }
  t.same(order, [1, 2, 3])
})

t.test('a caller who leaves while his context is being made gives his place back', async (t) => {
  const { model, pool } = contexts()
  let made = (): void => {}
  model.hold = new Promise((resolve) => { made = resolve })
  const leaving = new AbortController()
  const first = pool.acquire(setting(1), leaving.signal)
  leaving.abort(new Error('left'))
  made()
  await t.rejects(first, { message: 'left' })
  t.same(pool.load, { active: 0, waiting: 0 })
  t.ok(await pool.acquire(setting(1), never))
})

t.test('a caller who leaves just as he is admitted gives his place back', async (t) => {
  const { pool } = contexts()
  const lease = await pool.acquire(setting(1), never)
  const leaving = new AbortController()
  const second = pool.acquire(setting(1), leaving.signal)
  const released = lease.release()
  leaving.abort(new Error('left'))
  await released
  await t.rejects(second, { message: 'left' })
  t.same(pool.load, { active: 0, waiting: 0 })
})

t.test('a caller who left before his turn is not queued', async (t) => {
  const { pool } = contexts()
  await t.rejects(pool.acquire(setting(1), AbortSignal.abort(new Error('left'))), { message: 'left' })
  t.same(pool.load, { active: 0, waiting: 0 })
})

t.test('a context that cannot be made fails its request alone, and is tried again for the next', async (t) => {
  const { model, pool } = contexts()
  model.failing = true
  await t.rejects(pool.acquire(setting(1), never), { message: 'no memory' })
  model.failing = false
  t.ok(await pool.acquire(setting(1), never))
})

t.test('contexts are bounded: the one idle for longest makes room', async (t) => {
  const { model, pool } = contexts()
  for (const scale of [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]) await (await pool.acquire(setting(scale), never)).release()
  await (await pool.acquire(setting(0.1), never)).release()
  await pool.acquire(setting(0.7), never)
  await settled()
  t.same(model.made.filter(({ disposed }) => disposed).map(({ scale }) => scale.toFixed(1)), ['0.2'])
})

t.test('a setting without a context is not starved by six that never come idle', async (t) => {
  const { pool } = contexts({ sequences: 2, queueLimit: 100 })
  const held: { scale: number, lease: Lease }[] = []
  const ask = (scale: number): void => { void pool.acquire(setting(scale), never).then((lease) => { held.push({ scale, lease }) }) }
  const busy = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
  // three askers for the two places of each: one always waits
  for (const scale of [...busy, ...busy, ...busy]) ask(scale)
  await settled()
  let served = false
  void pool.acquire(setting(1), never).then(() => { served = true })
  let turns = 0
  for (; !served && turns < 50; turns++) {
    const { scale, lease } = held.shift()!
    await lease.release()
    ask(scale)
    await settled()
  }
  t.ok(served, `served after ${turns} others`)
})

t.test('beyond the bound of the queue 503 says when to come again', async (t) => {
  const { pool } = contexts({ queueLimit: 1 })
  await pool.acquire(setting(1), never)
  pool.acquire(setting(1), never).catch(() => {})
  await t.rejects(pool.acquire(setting(1), never), { status: 503, code: 'engine_overloaded', details: { retry_after: 10 } })
})
