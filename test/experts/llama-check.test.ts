import t, { type Test } from 'tap'
import type { Availability } from '../../src/experts/expert.ts'
import { LlamaExpert } from '../../src/experts/llama.ts'
import { checkServer, type CheckOptions } from '../../src/experts/llama-check.ts'
import { Transport } from '../../src/experts/transport.ts'
import * as up from '../fixtures/upstream.ts'
import { build, QUESTION, until } from '../helper.ts'

const A = [{ id: 0, scale: 1 }, { id: 1, scale: 0 }]
const B = [{ id: 0, scale: 0 }, { id: 1, scale: 1 }]
const LIMITS = { answerBytes: 1e6, firstChunkMs: 2000, chunkGapMs: 2000 }
const SETTINGS = [{ name: 'progressive', lora: A }, { name: 'conservative', lora: B }]

async function check (t: Test, upstream: up.Upstream, settings: CheckOptions['settings'] = SETTINGS) {
  const transport = new Transport({ baseUrl: upstream.url, limits: LIMITS })
  const events: [string, Record<string, unknown>][] = []
  const one = checkServer({ transport, settings, log: (_level, event, fields) => { events.push([event, fields]) }, pausesMs: [30] })
  t.teardown(async () => { one.close(); await transport.close() })
  const verdict = async (): Promise<Availability> => {
    await until(() => events.length > 0)
    return one.availability()
  }
  return { one, transport, events, verdict }
}

async function server (t: Test): Promise<up.Upstream> {
  const upstream = await up.startUpstream()
  t.teardown(() => upstream.close())
  return upstream
}

t.test('a server whose adapters are kept apart is used, and not before that is known', async (t) => {
  const upstream = await server(t)
  upstream.reply(up.byScales())
  const { one, events, verdict } = await check(t, upstream)
  t.match(one.availability(), { ok: false, reason: /is being checked/ })
  t.same(await verdict(), { ok: true })
  t.match(events, [['llama.checked', { perspectives: ['progressive', 'conservative'] }]])
  for (const request of upstream.requests) t.match(request, { cachePrompt: false, body: { temperature: 0 }, lora: [{ id: 0 }, { id: 1 }] }, 'greedy, with the whole list')
  t.same(upstream.requests.map(({ lora }) => lora!.map(({ scale }) => scale).join('')), ['10', '01', '00', '00', '01', '10'], 'A, B, base, and back')
})

t.test('a server that answers B from A\'s state is not used (llama.cpp 26207, 30129, 28674)', async (t) => {
  const upstream = await server(t)
  upstream.reply(up.reusesPrompts({ stubborn: true }))
  const { events, verdict } = await check(t, upstream)
  t.match(await verdict(), { ok: false, reason: /answers differently for "\w+" after others|exactly as for/ })
  t.match(events, [['llama.refused', { reason: /answers/ }]])
})

t.test('a server that reuses prompts unless told not to is told not to, and used (llama.cpp 26207, 30129, 28674)', async (t) => {
  const upstream = await server(t)
  upstream.reply(up.reusesPrompts())
  const { verdict, transport } = await check(t, upstream)
  t.same(await verdict(), { ok: true })
  const never = new AbortController().signal
  const answers: string[] = []
  for (const lora of [A, B, A]) {
    const expert = new LlamaExpert({ facts: { model: 'm', adapter: null, adapterSha256: null }, at: transport, lora })
    answers.push(((await expert.complete({ messages: [{ role: 'user', content: 'x' }], cache_prompt: true }, never))['choices'] as any)[0].message.content)
  }
  t.same(answers, ['I speak as 0*1.', 'I speak as 1*1.', 'I speak as 0*1.'], 'also where the caller asks for the cache')
})

t.test('an adapter that changes nothing is not in effect', async (t) => {
  const upstream = await server(t)
  const { verdict } = await check(t, upstream)
  t.match(await verdict(), { ok: false, reason: /answers for "conservative" exactly as for "progressive"/ })
})

t.test('a list that is not the server\'s whole list is refused, with both', async (t) => {
  const upstream = await server(t)
  upstream.reply(up.byScales())
  upstream.page('/lora-adapters', () => ({ status: 200, body: [0, 1, 2].map((id) => ({ id, path: 'x.gguf', scale: 0 })) }))
  const { verdict } = await check(t, upstream)
  t.match(await verdict(), { ok: false, reason: /has the adapters \[0, 1, 2\], "lora" of "progressive" names \[0, 1\]/ })
  t.equal(upstream.requests.length, 0)
  for (const body of [{}, [{ name: 'x' }], [null], 'x']) {
    upstream.page('/lora-adapters', () => ({ status: 200, body }))
    t.match(await (await check(t, upstream)).verdict(), { ok: false, reason: /does not list its adapters/ }, JSON.stringify(body))
  }
  upstream.page('/lora-adapters', null)
  t.match(await (await check(t, upstream)).verdict(), { ok: false, reason: /does not list its adapters/ })
})

t.test('a server with one adapter is checked against its base', async (t) => {
  const upstream = await server(t)
  upstream.page('/lora-adapters', () => ({ status: 200, body: [{ id: 0, path: 'x.gguf', scale: 1 }] }))
  upstream.reply(up.byScales())
  t.same(await (await check(t, upstream, [{ name: 'progressive', lora: [{ id: 0, scale: 1 }] }])).verdict(), { ok: true })
  upstream.page('/lora-adapters', () => ({ status: 200, body: [] }))
  upstream.reset()
  t.same(await (await check(t, upstream, [{ name: 'baseline', lora: [] }])).verdict(), { ok: true })
  t.equal(upstream.requests.length, 0, 'without adapters there is nothing to leak')
})

t.test('a server that cannot be reached is tried until it can, and one that was lost is checked anew', async (t) => {
  const upstream = await server(t)
  upstream.reply(up.unavailable())
  upstream.page('/lora-adapters', () => ({ status: 503, body: { error: { message: 'Loading model', code: 503 } } }))
  const { one, events, verdict } = await check(t, upstream)
  t.match(await verdict(), { ok: false, reason: /cannot be checked: .*no room/ })
  upstream.page('/lora-adapters', () => ({ status: 200, body: [{ id: 0 }, { id: 1 }] }))
  upstream.reply(up.byScales())
  await until(() => one.availability().ok)
  t.equal(events.at(-1)![0], 'llama.checked')

  upstream.reply(up.reusesPrompts({ stubborn: true }))
  one.lost()
  t.match(one.availability(), { ok: false, reason: /checked again/ })
  await until(() => events.at(-1)![0] === 'llama.refused')
})

t.test('behind the gateway a leaking server answers nothing, says why, and the other perspective goes on', async (t) => {
  const leaking = await server(t)
  leaking.reply(up.reusesPrompts({ stubborn: true }))
  const sound = await server(t)
  sound.reply(up.byScales())
  const llama = (baseUrl: string, lora: object) => ({ wire: 'llama.cpp', baseUrl, lora })
  const gateway = await build(t, { config: { experts: { progressive: llama(leaking.url, A), conservative: llama(sound.url, B), baseline: llama(leaking.url, A.map((one) => ({ ...one, scale: 0 }))) } } })
  await until(async () => (await gateway.ask({ model: 'conservative', messages: QUESTION })).status === 200)
  await until(async () => /kept apart|not in effect/.test(await (await gateway.ask({ model: 'progressive', messages: QUESTION })).text()))
  const reply = await gateway.ask({ model: 'progressive', messages: QUESTION })
  t.equal(reply.status, 503)
  t.equal((await reply.json() as any).error.code, 'expert_unavailable')
  t.ok(leaking.requests.every(({ body }) => body.temperature === 0), 'nothing but the check was asked')
})
