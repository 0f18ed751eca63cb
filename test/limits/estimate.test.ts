import t from 'tap'
import { estimateTokens } from '../../src/limits/estimate.ts'

const options = { completionTokens: 500 }
const messages = [{ role: 'user', content: 'x'.repeat(401) }]

t.test('a quarter of the prompt\'s bytes, rounded up, and the answer that was asked for', async (t) => {
  t.equal(estimateTokens({ messages }, options), 101 + 500)
  t.equal(estimateTokens({ messages, max_tokens: 20 }, options), 101 + 20)
  t.equal(estimateTokens({ messages, max_tokens: 20, max_completion_tokens: 30 }, options), 101 + 30, 'the newer member wins')
  t.equal(estimateTokens({ messages, max_tokens: null, n: null }, options), 101 + 500)
})

t.test('bytes count, not characters', async (t) => {
  t.equal(estimateTokens({ messages: [{ content: '税'.repeat(4) }], max_tokens: 1 }, options), 3 + 1)
})

t.test('the prompt is read once for all choices, and once by each expert', async (t) => {
  t.equal(estimateTokens({ messages, max_tokens: 20, n: 3 }, options), 101 + 60)
  t.equal(estimateTokens({ messages, max_tokens: 20, n: 3 }, { ...options, experts: 2 }), 2 * (101 + 60))
})

t.test('parts, tool calls and tools cost; a picture is not counted by the bytes of its data', async (t) => {
  const parts = [{ type: 'text', text: 'y'.repeat(40) }, { type: 'text', text: 'z'.repeat(40) }]
  t.equal(estimateTokens({ messages: [{ content: parts }], max_tokens: 1 }, options), 20 + 1)
  const picture = { type: 'image_url', image_url: { url: `data:image/png;base64,${'A'.repeat(3_000_000)}` } }
  t.equal(estimateTokens({ messages: [{ content: [picture] }], max_tokens: 1 }, options), 1024 + 1)
  const tools = [{ type: 'function', function: { name: 'f' } }]
  t.equal(estimateTokens({ messages: [{ content: null, tool_calls: tools }], tools, max_tokens: 1 }, options), Math.ceil(2 * JSON.stringify(tools).length / 4) + 1)
})

t.test('nothing that a request may hold makes it throw', async (t) => {
  for (const content of [undefined, null, '', [], [null], [7], [{ type: 'x' }], {}]) t.ok(Number.isFinite(estimateTokens({ messages: [{ content }] }, options)))
})
