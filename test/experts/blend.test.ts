import fc from 'fast-check'
import t from 'tap'
import { mixed, quantised } from '../../src/experts/blend.ts'
import type { Expert } from '../../src/experts/expert.ts'
import { LlamaExpert, type Scales } from '../../src/experts/llama.ts'
import { OpenAIExpert } from '../../src/experts/openai.ts'
import { startUpstream } from '../fixtures/upstream.ts'

const LIMITS = { answerBytes: 1e6, firstChunkMs: 2000, chunkGapMs: 2000 }
const never = new AbortController().signal
const digest = (digit: string): string => digit.repeat(64)

function llama (baseUrl: string, adapter: string | null, lora: Scales): LlamaExpert {
  return new LlamaExpert({ facts: { model: 'base', adapter, adapterSha256: adapter && digest(adapter[0] === 'p' ? 'a' : 'b') }, at: { baseUrl, limits: LIMITS }, lora })
}

t.test('weights become multiples of 0.05 that sum to exactly 1, none is off by two steps or more, and equal ones stay equal', async (t) => {
  t.same(quantised([0.7, 0.3]), [0.7, 0.3])
  t.same(quantised([0.1 + 0.2, 0.7]), [0.3, 0.7])
  t.same(quantised([7, 3]), [0.7, 0.3])
  t.same(quantised([1, 1, 1], [false, true, true]), [0.3, 0.35, 0.35], 'what is over goes to both sides or to neither')
  t.same(quantised([1, 1, 0.9]), [0.35, 0.35, 0.3])
  t.same(quantised([1, 1, 4.7], [true, true, false]), [0.15, 0.15, 0.7])
  t.same(quantised([0.475, 0.525]), quantised([0.525, 0.475]).reverse(), 'no matter who is named first')
  t.throws(() => quantised([1, 1, 1]), /cannot be dealt alike/)
  t.same(quantised([0.98, 0.02]), [1, 0])
  fc.assert(fc.property(fc.array(fc.double({ min: 0, max: 1000, noNaN: true }), { minLength: 1, maxLength: 8 }).filter((all) => all.some((one) => one > 1e-3)), (weights) => {
    let shares: number[]
    const sum = weights.reduce((all, one) => all + one, 0)
    const exact = weights.map((one) => Math.round(one / sum * 20 * 1e9))
    try { shares = quantised(weights) } catch { return new Set(exact).size < exact.length }
    const steps = shares.map((one) => one * 20)
    return steps.every((one) => Math.abs(one - Math.round(one)) < 1e-9) && Math.round(steps.reduce((all, one) => all + one, 0)) === 20 && weights.every((one, place) => Math.abs(one / sum * 20 - steps[place]!) < 2 + 1e-6 && exact.every((other, at) => other !== exact[place] || shares[at] === shares[place]))
  }))
  for (const bad of [[], [0, 0], [-1, 2], [Number.NaN, 1], [Infinity, 1]]) t.throws(() => quantised(bad), RangeError, JSON.stringify(bad))
})

t.test('a blend on llama.cpp\'s wire sends the whole list with the weighted sums, and says which adapters answer', async (t) => {
  const upstream = await startUpstream()
  t.teardown(() => upstream.close())
  const [A, B, base] = [llama(upstream.url, 'progressive-1', [{ id: 0, scale: 1 }, { id: 1, scale: 0 }]), llama(upstream.url, 'conservative-1', [{ id: 0, scale: 0 }, { id: 1, scale: 0.5 }]), llama(upstream.url, null, [{ id: 0, scale: 0 }, { id: 1, scale: 0 }])]
  t.teardown(() => Promise.all([A.close(), B.close(), base.close()]))
  const request = { messages: [{ role: 'user', content: 'x' }] }

  const blend = mixed([{ expert: A, weight: 0.7 }, { expert: B, weight: 0.3 }])
  t.same(blend.facts, {
    model: 'base', adapter: '0.70*progressive-1+0.30*conservative-1', adapterSha256: null,
    parts: [{ weight: 0.7, model: 'base', adapter: 'progressive-1', adapterSha256: digest('a') }, { weight: 0.3, model: 'base', adapter: 'conservative-1', adapterSha256: digest('b') }],
  })
  await blend.complete(request, never)
  t.same(upstream.last.lora, [{ id: 0, scale: 0.7 }, { id: 1, scale: 0.15 }])
  t.equal(upstream.last.cachePrompt, false)
  for await (const batch of await blend.stream(request, never)) void batch
  t.same(upstream.last.lora, [{ id: 0, scale: 0.7 }, { id: 1, scale: 0.15 }])

  await mixed([{ expert: A, weight: 0.5 }, { expert: base, weight: 0.5 }]).complete(request, never)
  t.same(upstream.last.lora, [{ id: 0, scale: 0.5 }, { id: 1, scale: 0 }], 'the base has no say in either adapter')
  t.equal(mixed([{ expert: A, weight: 1 }, { expert: B, weight: 0 }]).facts.adapter, '1.00*progressive-1', 'a part that weighs nothing is not named')
  t.same(mixed([{ expert: A, weight: 1 }, { expert: A, weight: 1 }, { expert: B, weight: 2 }]).facts.parts!.map(({ weight }) => weight), [0.5, 0.5], 'one that is named twice counts once')
})

t.test('the same parts and weights give the same expert, other weights another', async (t) => {
  const [A, B] = [llama('http://127.0.0.1:9/v1', 'p', []), llama('http://127.0.0.1:9/v1', 'c', [])]
  t.teardown(() => Promise.all([A.close(), B.close()]))
  const blend = mixed([{ expert: A, weight: 0.7 }, { expert: B, weight: 0.3 }])
  t.equal(mixed([{ expert: A, weight: 0.701 }, { expert: B, weight: 0.299 }]), blend)
  t.not(mixed([{ expert: B, weight: 0.7 }, { expert: A, weight: 0.3 }]), blend)
  t.not(mixed([{ expert: A, weight: 0.65 }, { expert: B, weight: 0.35 }]), blend)
})

t.test('what cannot be blended is a 400 that says why, and what would work', async (t) => {
  const A = llama('http://127.0.0.1:9/v1', 'p', [])
  const elsewhere = llama('http://127.0.0.1:10/v1', 'c', [])
  const hosted = new OpenAIExpert({ facts: { model: 'm', adapter: null, adapterSha256: null }, at: { baseUrl: 'http://127.0.0.1:9/v1', limits: LIMITS } })
  t.teardown(() => Promise.all([A.close(), elsewhere.close(), hosted.close()]))
  const cases: [Expert, RegExp][] = [[elsewhere, /"left" and "right" stand behind different servers/], [hosted, /"right" answers through a wire that cannot mix/]]
  for (const [other, words] of cases) {
    const thrown = t.throws(() => mixed([{ expert: A, weight: 1, name: 'left' }, { expert: other, weight: 1, name: 'right' }])) as unknown as Error
    t.match(thrown, { code: 'mixture_unsupported', statusCode: 400, param: 'perspective', message: words })
    t.match(thrown.message, /embedded engine.*llama\.cpp.*LoRAX.*"mixture": "sample"/)
    t.notMatch(thrown.message, /127\.0\.0\.1/)
  }
  t.throws(() => mixed([{ expert: A, weight: -1 }]), { code: 'mixture_unsupported' })
  t.throws(() => mixed([]), { code: 'mixture_unsupported' })
})

t.test('a blend with a part that cannot answer cannot answer either, and says which', async (t) => {
  const out = { ok: false, reason: 'The adapter of "b" is damaged.', retryAfter: 30 } as const
  const A = llama('http://127.0.0.1:9/v1', 'p', [])
  const B = new LlamaExpert({ facts: A.facts, at: { baseUrl: 'http://127.0.0.1:9/v1', limits: LIMITS }, lora: [], availability: () => out })
  t.teardown(() => Promise.all([A.close(), B.close()]))
  t.same(mixed([{ expert: A, weight: 1 }, { expert: B, weight: 1 }]).availability(), out)
  t.same(mixed([{ expert: A, weight: 1 }, { expert: B, weight: 0 }]).availability(), { ok: true })
  const absent: Expert = { facts: A.facts, availability: () => out, complete: async () => ({}), stream: async () => { throw new Error('absent') }, close: async () => {} }
  t.throws(() => mixed([{ expert: A, weight: 1 }, { expert: absent, weight: 1, name: 'b' }]), { code: 'expert_unavailable', retryAfter: 30, message: /"b" cannot answer.*damaged/ })
})

t.test('a request cannot choose its adapter: it would not be the disclosed one', async (t) => {
  const upstream = await startUpstream()
  t.teardown(() => upstream.close())
  const hosted = new OpenAIExpert({ facts: { model: 'm', adapter: null, adapterSha256: null }, at: { baseUrl: upstream.url, limits: LIMITS } })
  const A = llama(upstream.url, 'p', [{ id: 0, scale: 1 }])
  t.teardown(() => Promise.all([A.close(), hosted.close()]))
  for (const expert of [hosted, A]) {
    for (const more of [{ lora: [{ id: 1, scale: 1 }] }, { adapter_id: 'other' }, { merged_adapters: { ids: ['other'] } }]) {
      await t.rejects(expert.complete({ messages: [], ...more }, never), { code: 'unsupported_parameter', param: Object.keys(more)[0] })
      await t.rejects(expert.stream({ messages: [], ...more }, never), { code: 'unsupported_parameter' })
    }
  }
  t.equal(upstream.requests.length, 0)
})
