import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import * as upstream from './fixtures/upstream.ts'
import { build, events, QUESTION, until } from './helper.ts'

/** What others got wrong, by their own issue numbers: each has a test by that name somewhere. */
const FAILURES = [
  'litellm 40128', 'litellm 42400', 'bifrost 5769', 'appstrate 436', 'tensorzero 1791', 'litellm PR 33736', 'bifrost 3003', 'bifrost 3164', 'bifrost PR 2042', 'litellm 38157', 'bifrost 5256',
  'bifrost 5546', 'Portkey streamHandler', 'litellm 40291', 'litellm 32202', 'llama.cpp 26207', '30129', '28674',
]

t.test('every known failure of the others is a test by its name', async (t) => {
  const folder = fileURLToPath(new URL('.', import.meta.url))
  const titles = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts') && !name.startsWith('known-failures'))
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n').filter((line) => /t\.test\(|^ {2}\[/.test(line)))
  const own = readFileSync(fileURLToPath(import.meta.url), 'utf8').split('\n').filter((line) => line.startsWith('t.test('))
  for (const failure of FAILURES) t.ok([...titles, ...own].some((title) => title.includes(failure)), failure)
})

t.test('a client that disconnects leaves its log row, with what it was sent (litellm PR 33736, bifrost 3003)', async (t) => {
  const gateway = await build(t)
  gateway.upstreams.progressive.reply(upstream.endless(2))
  gateway.upstreams.conservative.reply(upstream.endless(2))
  const sent: number[] = []
  for (const model of ['A', 'B', 'both']) {
    const leaving = new AbortController()
    const reader = (await gateway.ask({ model, messages: QUESTION, stream: true }, {}, leaving.signal)).body!.getReader()
    let bytes = 0
    while (bytes < 2000) bytes += (await reader.read()).value!.length
    sent.push(bytes)
    leaving.abort()
  }
  const ends = await until(async () => {
    const all = (await gateway.leaves()).filter((leaf) => leaf.type === 'completion.end')
    return all.length === 4 && all
  })
  t.ok(ends.every((leaf) => leaf['status'] === 'client_abort'))
  const total = ends.reduce((sum, leaf) => sum + (leaf['bytes_sent'] as number), 0)
  t.ok(total >= sent.reduce((sum, bytes) => sum + bytes - ': parallax\n\n'.length, 0), `${total} bytes on record`)
})

t.test('no row is lost when more comes than the queue holds, or on shutdown (bifrost PR 2042, litellm 38157)', async (t) => {
  const gateway = await build(t)
  const replies = await Promise.all(Array.from({ length: 400 }, (_, at) => gateway.ask({ model: at % 2 ? 'A' : 'B', messages: [{ role: 'user', content: `question ${at}` }] })))
  const told = await Promise.all(replies.map(async (reply) => [reply.status, (await reply.json() as any).audit?.record] as const))
  const answered = told.filter(([status]) => status === 200).map(([, record]) => record as string)
  t.ok(answered.length > 0 && told.every(([status]) => status === 200 || status === 503))
  gateway.upstreams.progressive.reply(upstream.endless(2))
  const open = await gateway.ask({ model: 'A', messages: QUESTION, stream: true })
  const running = open.headers.get('x-audit-record')!
  const chunks = events(open)
  gateway.services.chat.breakOff()
  t.match((await chunks).at(-1), { error: { code: 'shutting_down' } })
  const ends = new Map((await (async () => {
    const all = []
    for await (const one of gateway.services.audit.stream({ type: 'completion.end' })) all.push(JSON.parse(one.leaf) as Record<string, string>)
    return all
  })()).map((leaf) => [leaf['begin'], leaf['status']]))
  t.same(answered.filter((record) => ends.get(record) !== 'complete'), [])
  t.equal(ends.get(running), 'upstream_error')
})

t.test('concurrent requests with one trace id keep a row each (bifrost 5256)', async (t) => {
  const gateway = await build(t)
  const trace = { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', 'x-request-id': 'the-same', 'x-trace-id': 'the-same' }
  const replies = await Promise.all(Array.from({ length: 50 }, (_, at) => gateway.ask({ model: at % 2 ? 'A' : 'B', messages: [{ role: 'user', content: `question ${at}` }] }, trace)))
  const records = replies.map((reply) => reply.headers.get('x-audit-record'))
  t.equal(new Set(records).size, 50)
  t.equal(new Set(replies.map((reply) => reply.headers.get('x-request-id'))).size, 50)
  await Promise.all(replies.map((reply) => reply.arrayBuffer()))
  const leaves = await gateway.leaves()
  t.equal(leaves.filter((leaf) => leaf.type === 'completion.begin' && records.includes(leaf.id)).length, 50)
  t.equal(leaves.filter((leaf) => leaf.type === 'completion.end' && records.includes(leaf['begin'])).length, 50)
})

t.test('an upstream that dies in the middle of a stream is an error, never a silent end (Portkey streamHandler)', async (t) => {
  for (const dies of [upstream.halfFrame(), upstream.stopsUnfinished()]) {
    const gateway = await build(t)
    gateway.upstreams.conservative.reply(dies)
    const chunks = await events(await gateway.ask({ model: 'B', messages: QUESTION, stream: true }))
    t.match(chunks.at(-1), { error: { type: String, code: /^expert_/ } }, dies.name)
  }
})
