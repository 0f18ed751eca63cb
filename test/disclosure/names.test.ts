import { parseDictionary } from 'structured-headers'
import t from 'tap'
import { machineGenerated } from '../../src/disclosure/disclose.ts'
import * as upstream from '../fixtures/upstream.ts'
import { build, QUESTION } from '../helper.ts'

t.test('a model\'s name that is not ASCII is disclosed all the same, whole and streamed', async (t) => {
  const other = await upstream.startUpstream()
  t.teardown(() => other.close())
  const gateway = await build(t, { experts: { baseline: { wire: 'openai', baseUrl: other.url, model: 'modèle "x"' } } })
  for (const stream of [false, true]) {
    const reply = await gateway.ask({ model: 'baseline', messages: QUESTION, stream })
    t.equal(reply.status, 200)
    const words = parseDictionary(reply.headers.get('ai-disclosure')!)
    t.equal(String(words.get('mode')![0]), 'machine-generated')
    t.equal(String(words.get('model')![0]), 'baseline@modèle "x"')
    await reply.text()
  }
})

t.test('words that could not be written once are not taken for written', async (t) => {
  const words = machineGenerated('a model', 'a provider that is not ASCII: ü')
  const now = new Date()
  t.throws(() => words(now))
  t.throws(() => words(now), 'and never is there an empty disclosure')
})
