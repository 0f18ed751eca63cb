import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { committedBytes } from '../../src/audit/answer-bytes.ts'
import * as upstream from '../fixtures/upstream.ts'
import { build, events, QUESTION, until } from '../helper.ts'

const SIDES = ['progressive', 'conservative'] as const

t.test('tools, log-probabilities and formats reach each side and come back in each choice, whole and streamed', async (t) => {
  const gateway = await build(t)
  for (const id of SIDES) gateway.upstreams[id].reply(upstream.answer({ content: `said by ${id}`, logprobs: true, toolCalls: [{ id: `call_${id}`, type: 'function', function: { name: `of_${id}`, arguments: '{"a": 1}' } }] }))
  const asked = { tools: [{ type: 'function', function: { name: 'f', parameters: {} } }], logprobs: true, top_logprobs: 2, response_format: { type: 'json_object' }, strange: { member: [1] } }
  for (const stream of [false, true]) {
    const reply = await gateway.ask({ model: 'both', messages: QUESTION, stream, ...asked })
    for (const id of SIDES) t.match(gateway.upstreams[id].last.body, asked)
    if (!stream) {
      const { choices } = await reply.json() as any
      for (const [at, id] of SIDES.entries()) t.match(choices[at], { index: at, finish_reason: 'tool_calls', logprobs: { content: [{ token: String }] }, message: { tool_calls: [{ id: `call_${id}`, function: { name: `of_${id}`, arguments: '{"a": 1}' } }] } })
      continue
    }
    const chunks = (await events(reply)).filter((chunk) => chunk.choices)
    for (const [at, id] of SIDES.entries()) {
      const mine = chunks.flatMap((chunk) => chunk.choices).filter((choice: any) => choice.index === at)
      const calls = mine.flatMap((choice: any) => choice.delta.tool_calls ?? [])
      t.equal(calls[0].function.name, `of_${id}`)
      t.equal(calls.map((call: any) => call.function.arguments).join(''), '{"a": 1}')
      t.ok(mine.some((choice: any) => choice.logprobs?.content?.[0]?.token))
      t.equal(mine.at(-1).finish_reason, 'tool_calls')
    }
  }
})

t.test('megabytes from both sides to a reader who dawdles arrive whole, each as on its record, and the experts wait meanwhile', async (t) => {
  const gateway = await build(t, { config: { limits: { readerBufferBytes: 64 * 1024 } } })
  const piece = 'words and words '.repeat(512)
  for (const id of SIDES) gateway.upstreams[id].reply(upstream.stream({ deltas: Array.from({ length: 1500 }, (_, at) => `${at} ${piece}`) }))
  const reply = await gateway.ask({ model: 'both', messages: QUESTION, stream: true })
  const record = reply.headers.get('x-audit-record')!
  await sleep(600)
  const sent = SIDES.map((id) => gateway.upstreams[id].last.sent)
  const pieces: Uint8Array[] = []
  for await (const bytes of reply.body!) pieces.push(bytes)
  t.ok(sent.every((frames) => frames < 1500), `${sent.join(' and ')} frames were taken before anybody read`)
  const answer = Buffer.concat(pieces)
  t.match(answer.subarray(-20).toString(), /\[DONE\]/)
  const ends = await until(async () => {
    const found = await gateway.services.audit.endsOf(record)
    return found.length === 2 && found
  })
  for (const end of ends) {
    const leaf = JSON.parse(end.leaf) as { choice: number, status: string, bytes_sent: number }
    t.equal(leaf.status, 'complete')
    const mine = committedBytes(answer, leaf.choice)
    t.ok(mine.length > 12_000_000)
    t.equal(mine.length, leaf.bytes_sent)
  }
})
