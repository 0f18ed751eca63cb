import { createHmac, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { drawValue, pick, stickyHash } from '../../src/router/draw.ts'

t.test('a draw is HMAC-SHA256 as RFC 2104 has it, over what the contract says', async (t) => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), fc.string(), fc.string(), fc.option(fc.integer()), (secret, tenant, request, seed) => {
    const message = JSON.stringify([tenant, 'request', request, seed])
    const expected = createHmac('sha256', secret).update(message).digest().readUIntBE(0, 6) / 2 ** 48
    return drawValue(secret, { tenant, sticky: null, request, seed }) === expected
  }))
  const secret = randomBytes(32)
  t.equal(drawValue(secret, { tenant: 't', sticky: stickyHash('conv-42'), request: 'one', seed: 7 }), drawValue(secret, { tenant: 't', sticky: stickyHash('conv-42'), request: 'another', seed: 7 }), 'a conversation is drawn once, whichever request asks')
  for (const other of [{ tenant: 'u', sticky: null, request: 'one', seed: 7 }, { tenant: 't', sticky: null, request: 'two', seed: 7 }, { tenant: 't', sticky: null, request: 'one', seed: 8 }, { tenant: 't', sticky: null, request: 'one', seed: null }]) {
    t.not(drawValue(secret, other), drawValue(secret, { tenant: 't', sticky: null, request: 'one', seed: 7 }), JSON.stringify(other))
  }
})

t.test('every value falls on somebody who has a share, in the order of the ids however the weights were written', async (t) => {
  fc.assert(fc.property(fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.integer({ min: 0, max: 1000 }), { minKeys: 1 }), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (raw, value) => {
    const sum = Object.values(raw).reduce((all, one) => all + one, 0)
    fc.pre(sum > 0)
    const weights = Object.fromEntries(Object.entries(raw).map(([id, one]) => [id, one / sum]))
    const chosen = pick(weights, value)
    const turned = Object.fromEntries(Object.entries(weights).reverse())
    return weights[chosen]! > 0 && pick(turned, value) === chosen
  }))
  t.equal(pick({ conservative: 0.3, progressive: 0.7 }, 0.2999), 'conservative')
  t.equal(pick({ progressive: 0.7, conservative: 0.3 }, 0.3001), 'progressive')
  t.equal(pick({ a: 1, b: 0 }, 0.9999999), 'a')
})

/** Upper 0.1 % of chi-squared with one and two degrees of freedom: one honest run in a thousand is beyond it. */
const CHI = { 1: 10.83, 2: 13.82 } as const

t.test('10,000 draws come as the weights say: chi-squared', async (t) => {
  // a fixed secret, so that the test is the same every time
  const secret = Buffer.alloc(32, 7)
  for (const weights of [{ conservative: 0.5, progressive: 0.5 }, { conservative: 0.3, progressive: 0.7 }, { conservative: 0.7, progressive: 0.3 }, { a: 0.2, b: 0.3, c: 0.5 }]) {
    const counts = new Map<string, number>()
    const n = 10_000
    for (let at = 0; at < n; at++) {
      const chosen = pick(weights, drawValue(secret, { tenant: 't_1', sticky: null, request: `request-${at}`, seed: null }))
      counts.set(chosen, (counts.get(chosen) ?? 0) + 1)
    }
    const chi = Object.entries(weights).reduce((sum, [id, share]) => sum + (counts.get(id)! - n * share) ** 2 / (n * share), 0)
    t.ok(chi < CHI[(Object.keys(weights).length - 1) as 1 | 2], `${JSON.stringify(weights)}: chi-squared ${chi.toFixed(2)}`)
  }
})
