import t from 'tap'
import { makeChat } from '../../src/chat/answer.ts'
import { build, QUESTION } from '../helper.ts'

t.test('an answer that is being cast when everything is broken off does not begin', async (t) => {
  const gateway = await build(t)
  const { services } = gateway
  let go = (): void => {}
  let casting = (): void => {}
  const cast = new Promise<void>((resolve) => { casting = resolve })
  const chat = makeChat({
    ...services, onError: (error) => { t.fail(String(error)) },
    draws: { draw: ({ weights }) => new Promise((resolve) => { casting(); go = () => { resolve({ epoch: 1, sticky: null, request: 'r', seed: null, value: 0, chosen: Object.keys(weights)[0]! }) } }), close: async () => {} },
  })
  const caller = { key: 'k_1', tenant: 't_1', name: 'n', defaultPerspective: null, scopes: new Set(['app'] as const), quota: { requestsPerMinute: null, tokensPerMinute: null, streams: null, tokensPerDay: null } }
  for (const stream of [false, true]) {
    const reply = chat.answer({ body: { model: 'mix-0.50', messages: QUESTION, stream }, raw: new Uint8Array(), perspectiveHeader: undefined, cacheControl: undefined, idempotencyKey: undefined, caller, requestId: 'r', work: new AbortController(), told: {} })
    await Promise.race([cast, reply])
    if (!stream) await chat.close()
    go()
    await t.rejects(reply, { code: 'shutting_down' })
  }
  t.equal(gateway.upstreams.progressive.requests.length + gateway.upstreams.conservative.requests.length, 0)
})
