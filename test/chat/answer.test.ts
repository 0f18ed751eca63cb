import t from 'tap'
import { build, events, QUESTION } from '../helper.ts'
import { CONTENT, json, stream } from '../fixtures/upstream.ts'

t.test('a whole answer comes from the perspective that was asked for, says so, and carries its receipt', async (t) => {
  const gateway = await build(t)
  for (const [id, alias, upstream] of [['progressive', 'A', gateway.upstreams.progressive], ['conservative', 'B', gateway.upstreams.conservative]] as const) {
    upstream.reply(json({ content: `said by ${id}` }))
    for (const [body, headers] of [[{ model: id }, {}], [{ model: alias }, {}], [{ model: 'parallax', perspective: alias }, {}], [{ model: 'parallax' }, { perspective: id }]] as const) {
      const reply = await gateway.ask({ ...body, messages: QUESTION }, headers)
      t.equal(reply.status, 200)
      const answer = await reply.json() as any
      t.match(answer, { object: 'chat.completion', choices: [{ message: { role: 'assistant', content: `said by ${id}` }, finish_reason: 'stop' }], perspective: { id, mode: 'steerable', weights: { [id]: 1 } }, usage: { prompt_tokens: 11, completion_tokens: 7 } })
      t.equal(answer.audit.record, reply.headers.get('x-audit-record'))
    }
    t.equal(upstream.requests.length, 4)
  }
})

t.test('a streamed answer discloses on its first chunk, holds its finish back for the receipt, and ends with [DONE]', async (t) => {
  const gateway = await build(t)
  const reply = await gateway.ask({ model: 'progressive', messages: QUESTION, stream: true, stream_options: { include_usage: true } })
  t.equal(reply.status, 200)
  t.match(reply.headers.get('content-type'), /^text\/event-stream/)
  const chunks = await events(reply)
  t.equal(chunks.at(-1), '[DONE]')
  t.match(chunks[0], { object: 'chat.completion.chunk', perspective: { id: 'progressive' } })
  t.equal(chunks.filter((chunk) => chunk.perspective).length, 1)
  t.equal(chunks.flatMap((chunk) => chunk.choices ?? []).map((choice) => choice.delta.content ?? '').join(''), CONTENT)
  const finish = chunks.filter((chunk) => chunk.choices?.[0]?.finish_reason)
  t.equal(finish.length, 1)
  t.equal(finish[0].audit.record, reply.headers.get('x-audit-record'))
  t.match(chunks.at(-2), { choices: [], usage: { total_tokens: 18 } })
  t.equal(new Set(chunks.slice(0, -1).map((chunk) => chunk.id)).size, 1)
})

t.test('usage is asked of the expert for the record, and kept from a client that did not ask', async (t) => {
  const gateway = await build(t)
  const chunks = await events(await gateway.ask({ model: 'conservative', messages: QUESTION, stream: true }))
  t.notOk(chunks.some((chunk) => chunk.usage !== undefined))
  t.equal(gateway.upstreams.conservative.last.body.stream_options.include_usage, true)
  const leaves = await gateway.leaves()
  t.same(leaves.findLast((leaf) => leaf.type === 'completion.end')?.['tokens'], [11, 7])
})

t.test('several choices keep their indices, whole and streamed', async (t) => {
  const gateway = await build(t)
  gateway.upstreams.progressive.reply((request) => (request.body.stream ? stream : json)({ content: ['one', 'two'] }))
  const whole = await (await gateway.ask({ model: 'A', messages: QUESTION, n: 2 })).json() as any
  t.same(whole.choices.map((choice: any) => [choice.index, choice.message.content]), [[0, 'one'], [1, 'two']])
  const chunks = await events(await gateway.ask({ model: 'A', messages: QUESTION, n: 2, stream: true }))
  for (const [index, text] of [[0, 'one'], [1, 'two']] as const) {
    t.equal(chunks.flatMap((chunk) => chunk.choices ?? []).filter((choice) => choice.index === index).map((choice) => choice.delta.content ?? '').join(''), text)
  }
  t.equal(chunks.filter((chunk) => chunk.choices?.some((choice: any) => choice.finish_reason)).length, 2)
  t.equal(chunks.filter((chunk) => chunk.audit).length, 1)
})

t.test('the caller\'s key is never forwarded, and the expert gets its own', async (t) => {
  const gateway = await build(t)
  await gateway.ask({ model: 'A', messages: QUESTION }, { cookie: 'a=b', 'x-custom': 'c' })
  const { headers, body } = gateway.upstreams.progressive.last
  t.equal(headers.authorization, 'Bearer upstream-secret-a')
  t.notOk(headers.cookie ?? headers['x-custom'])
  t.notMatch(JSON.stringify([headers, body]), new RegExp(gateway.keys.app))
  t.notOk('perspective' in body)
  t.equal(body.model, 'mock-a')
})

t.test('members that we do not know reach the expert', async (t) => {
  const gateway = await build(t)
  await gateway.ask({ model: 'B', messages: QUESTION, tools: [{ type: 'function', function: { name: 'f', parameters: {} } }], made_up: { a: [1] } })
  t.match(gateway.upstreams.conservative.last.body, { made_up: { a: [1] }, tools: [{ function: { name: 'f' } }] })
})

t.test('a question on voting procedure gets the fixed text, disclosed as no model\'s, and no expert is asked', async (t) => {
  const gateway = await build(t)
  const asked = { model: 'progressive', messages: [{ role: 'user', content: 'How do I register to vote?' }] }
  const reply = await gateway.ask(asked)
  const answer = await reply.json() as any
  t.match(answer.choices[0].message.content, /vote\.gov/)
  t.equal(answer.perspective.id, 'policy')
  t.equal(reply.headers.get('ai-disclosure'), 'mode=none')
  t.match(reply.headers.get('perspective'), /^policy;mode=policy;rule=voting-procedure;asked=progressive$/)
  const chunks = await events(await gateway.ask({ ...asked, model: 'conservative', stream: true }))
  t.match(chunks.map((chunk) => chunk.choices?.[0]?.delta?.content ?? '').join(''), /vote\.gov/)
  t.equal(chunks.at(-1), '[DONE]')
  t.equal(gateway.upstreams.progressive.requests.length + gateway.upstreams.conservative.requests.length, 0)
  t.same((await gateway.leaves()).filter((leaf) => leaf.type === 'completion.begin').map((leaf) => leaf['policy'].rule), ['voting-procedure', 'voting-procedure'])
})
