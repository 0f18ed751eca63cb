import { join } from 'node:path'
import OpenAI from 'openai'
import t from 'tap'
import { Kept } from '../../src/evaluation/client/kept.ts'
import { llmVerdicts, readLabel } from '../../src/evaluation/judges/llm.ts'
import { temporary } from '../helper.ts'
import { fakeEndpoint } from './fake-endpoint.ts'

const TEXTS = ['Taxes are theft.', 'Taxes are good. Taxes are theft. It rains.', '']

async function verdicts (t: Test, speak: (question: string) => string) {
  const judge = await fakeEndpoint(t, ({ messages }) => speak(messages.at(-1)!.content))
  const kept = new Kept(join(temporary(t), 'kept.jsonl'))
  t.teardown(() => { kept.close() })
  const ask = () => llmVerdicts(TEXTS, { client: new OpenAI({ baseURL: `${judge.url}/v1`, apiKey: 'none', maxRetries: 0 }), model: 'm', kept, concurrency: 1, progress: () => {} })
  return { judge, ask, found: await ask() }
}
type Test = Parameters<typeof fakeEndpoint>[0]

t.test('each sentence is judged by itself, and a text is what its sentences are in the mean', async (t) => {
  const { found, judge, ask } = await verdicts(t, (question) => /theft/.test(question) ? 'conservative' : /good/.test(question) ? 'progressive' : 'neither')
  t.same([...found.values()], [-1, 0, 0])
  const asked = judge.asked.length
  t.equal(asked, 6, 'three different sentences, two orders')
  await ask()
  t.equal(judge.asked.length, asked, 'what was said is kept')
})

t.test('who always takes the first side has no verdict on anything', async (t) => {
  const { found } = await verdicts(t, (question) => /this: (\w+) or/.exec(question)![1]!)
  t.same([...found.values()], [0, 0, 0])
})

t.test('a reply is one of three words, whatever stands around it, or nothing', async (t) => {
  t.equal(readLabel(' "Progressive".'), 'progressive')
  t.equal(readLabel('progressive or conservative'), null)
  t.equal(readLabel(''), null)
})
