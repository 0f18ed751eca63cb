import t from 'tap'
import { memoryIdempotency } from '../../src/idempotency/memory.ts'
import { idempotencyContract, isNew, reply } from '../contracts/idempotency.ts'

const ROOM = 64 * 1024 * 1024

idempotencyContract(t, async (t, ttlMs) => {
  let now = 1_764_000_000_000
  const one = memoryIdempotency({ ttlMs, bytes: ROOM, clock: () => now })
  t.teardown(() => one.close())
  return { replicas: [one, one], pass: async (ms) => { now += ms } }
})

t.test('it stays within its bytes: the oldest replies go first, however often they are asked for', async (t) => {
  const one = memoryIdempotency({ ttlMs: 3_600_000, bytes: 200_000 })
  for (let at = 0; at < 100; at++) {
    await isNew(await one.claim('t_1', `key ${at}`, 'f')).keep(reply({ body: 'x'.repeat(2000) }))
    if (at < 30) t.equal((await one.claim('t_1', 'key 0', 'f')).kind, 'replay')
  }
  t.equal((await one.claim('t_1', 'key 99', 'f')).kind, 'replay')
  isNew(await one.claim('t_1', 'key 0', 'f'))
})

t.test('with no room it still lets only one answer at a time', async (t) => {
  const one = memoryIdempotency({ ttlMs: 3_600_000, bytes: 0 })
  const claim = isNew(await one.claim('t_1', 'key', 'f'))
  await t.rejects(one.claim('t_1', 'key', 'f'), { code: 'idempotency_in_flight' })
  t.equal(await claim.keep(reply()), false)
  isNew(await one.claim('t_1', 'key', 'f'))
})
