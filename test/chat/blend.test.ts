import { parseList } from 'structured-headers'
import t from 'tap'
import { byScales, startUpstream } from '../fixtures/upstream.ts'
import { build, events, QUESTION, until } from '../helper.ts'

t.test('a blend is one answer out of both adapters: the server mixes them, every part is named, and no one perspective is said to have written it', async (t) => {
  const server = await startUpstream()
  server.reply(byScales())
  t.teardown(() => server.close())
  const expert = (id: number, digest: string) => ({ wire: 'llama.cpp', baseUrl: server.url, model: 'base', adapterSha256: digest.repeat(64), lora: [0, 1].map((one) => ({ id: one, scale: one === id ? 1 : 0 })) })
  const gateway = await build(t, { experts: { progressive: expert(0, 'a'), conservative: expert(1, 'b') } })
  // the server is checked for leaks between its adapters before it answers anybody
  await until(async () => (await gateway.ask({ model: 'A', messages: QUESTION })).status === 200, 20_000)
  const asked = server.requests.length
  const perspective = { weights: { progressive: 0.72, conservative: 0.28 }, mixture: 'blend' }
  const reply = await gateway.ask({ model: 'parallax', messages: QUESTION, perspective, temperature: 0 })
  t.equal(reply.status, 200)
  const answer = await reply.json() as any
  t.same(server.last.body.lora, [{ id: 0, scale: 0.7 }, { id: 1, scale: 0.3 }])
  t.equal(server.last.body.cache_prompt, false)
  t.match(answer.perspective, {
    id: 'blend', mode: 'distributional', mixture: 'blend', weights: { progressive: 0.7, conservative: 0.3 }, draw: null,
    parts: [{ id: 'progressive', weight: 0.7, adapter_sha256: 'a'.repeat(64) }, { id: 'conservative', weight: 0.3, adapter_sha256: 'b'.repeat(64) }],
    expert: { adapter_sha256: null },
  })
  t.match(answer.perspective.notice, /progressive 0.7 and conservative 0.3.*Progressive: .*Conservative: /)
  t.same(parseList(reply.headers.get('perspective')!).map(([token, params]) => [String(token), params.get('weight'), String(params.get('mixture'))]), [['progressive', 0.7, 'blend'], ['conservative', 0.3, 'blend']])
  t.match(reply.headers.get('ai-disclosure'), /model="0.7\*progressive@aaaaaaaaaaaa \+ 0.3\*conservative@bbbbbbbbbbbb"/)
  t.match((await gateway.leaves()).findLast((leaf) => leaf.type === 'completion.begin'), { asked: 'blend', adapter_sha256: null, perspective: { id: 'blend', parts: [{ id: 'progressive', weight: 0.7 }, { id: 'conservative', weight: 0.3 }] } })

  const again = await gateway.ask({ model: 'parallax', messages: QUESTION, perspective: { weights: { B: 0.3, A: 0.7 }, mixture: 'blend' }, temperature: 0, stream: true })
  t.match(again.headers.get('cache-status'), /hit/, 'weights that are rounded to the same blend are the same answer')
  t.equal((await events(again)).at(-1), '[DONE]')
  t.match((await gateway.ask({ model: 'parallax', messages: QUESTION, perspective: { weights: { A: 0.3, B: 0.7 }, mixture: 'blend' }, temperature: 0 })).headers.get('cache-status'), /miss/)
  t.equal(server.requests.length, asked + 2)

  for (const [small, large, id] of [['A', 'B', 'conservative'], ['B', 'A', 'progressive']] as const) {
    const alone = await (await gateway.ask({ model: 'parallax', messages: QUESTION, perspective: { weights: { [small]: 0.01, [large]: 0.99 }, mixture: 'blend' } })).json() as any
    t.same([alone.perspective.weights, alone.perspective.parts.map((part: any) => part.id)], [{ [id]: 1 }, [id]], 'a share that is rounded away is no part of it')
  }
})
