import t from 'tap'
import { OpenAIExpert } from '../../src/experts/openai.ts'
import { Transport } from '../../src/experts/transport.ts'
import { build, QUESTION } from '../helper.ts'

t.test('an answer discloses the expert that made it, also where another without a digest made the one before', async (t) => {
  const gateway = await build(t)
  const experts = gateway.services.experts as Map<string, OpenAIExpert>
  const transport = new Transport({ baseUrl: gateway.upstreams.progressive.url, limits: gateway.services.config.limits })
  t.teardown(() => transport.close())
  for (const ask of [{ model: 'A' }, { model: 'B' }, { model: 'parallax', perspective: { weights: { A: 1, B: 1 } } }, { model: 'both' }]) {
    for (const [model, adapter] of [['first', null], ['second', null], ['second', 'tuned'], ['second', 'null'], ['second tuned', null]] as const) {
      for (const id of ['progressive', 'conservative']) experts.set(id, new OpenAIExpert({ facts: { model, adapter, adapterSha256: null }, at: transport }))
      const reply = await gateway.ask({ ...ask, messages: QUESTION })
      const { perspective } = await reply.json() as any // eslint-disable-line typescript/no-explicit-any -- read member by member
      for (const one of perspective.voices ?? [perspective]) t.same([one.expert.model, one.expert.adapter], [model, adapter], JSON.stringify(ask))
      t.match(reply.headers.get('ai-disclosure'), new RegExp(`@${model}[ "]`))
    }
  }
})
