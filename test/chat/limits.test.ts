import t from 'tap'
import * as upstream from '../fixtures/upstream.ts'
import { build, events, QUESTION, until } from '../helper.ts'

t.test('a limit is told before, charged once, and refused whole, in the shape that OpenAI\'s clients read; a refusal is no record', async (t) => {
  const gateway = await build(t, { config: { quota: { requestsPerMinute: 3 } } })
  for (let left = 2; left >= 0; left--) {
    const reply = await gateway.ask({ model: left % 2 ? 'A' : 'B', messages: QUESTION })
    t.equal(reply.status, 200)
    t.equal(reply.headers.get('x-ratelimit-limit-requests'), '3')
    t.equal(reply.headers.get('x-ratelimit-remaining-requests'), String(left))
  }
  const size = gateway.services.audit.size()
  const refused = await gateway.ask({ model: 'A', messages: QUESTION })
  t.equal(refused.status, 429)
  t.match(await refused.json(), { error: { code: 'rate_limit_exceeded', type: 'rate_limit_error' } })
  const wait = Number(refused.headers.get('retry-after'))
  t.ok(wait >= 1 && wait <= 60)
  t.equal(gateway.services.audit.size(), size)
  t.equal(gateway.upstreams.progressive.requests.length + gateway.upstreams.conservative.requests.length, 3)
})

t.test('tokens are reserved before and settled by what the experts counted: side by side both count, a cached answer costs none', async (t) => {
  const gateway = await build(t, { config: { quota: { tokensPerMinute: 10_000 } } })
  const left = async (body: object): Promise<number> => {
    const reply = await gateway.ask({ messages: QUESTION, max_tokens: 100, ...body })
    await reply.arrayBuffer()
    return Number((await gateway.ask({ messages: QUESTION, max_tokens: 1, model: 'A', temperature: 0 })).headers.get('x-ratelimit-remaining-tokens'))
  }
  const start = await left({ model: 'A', temperature: 0, max_tokens: 1 })
  const after = await left({ model: 'B' })
  t.equal(start - after, 18, 'as the expert counted')
  t.equal(after - await left({ model: 'both' }), 36)
  t.equal(await left({ model: 'A', temperature: 0, max_tokens: 1 }), after - 36, 'from the cache')
  gateway.upstreams.conservative.replyNext(upstream.badRequest())
  t.equal(await left({ model: 'B' }), after - 36, 'what failed costs nothing')
})

t.test('streams at a time are counted until their end, and a client that leaves frees its place', async (t) => {
  const gateway = await build(t, { config: { quota: { streams: 2 } } })
  gateway.upstreams.progressive.reply(upstream.endless(5))
  const open = async (leaving: AbortController) => gateway.ask({ model: 'A', messages: QUESTION, stream: true }, {}, leaving.signal)
  const leavers = [new AbortController(), new AbortController()]
  for (const leaver of leavers) t.equal((await open(leaver)).status, 200)
  t.equal((await open(new AbortController())).status, 429)
  t.equal((await gateway.ask({ model: 'B', messages: QUESTION })).status, 200, 'a whole answer is no stream')
  leavers[0]!.abort()
  const next = new AbortController()
  await until(async () => (await open(next)).status === 200)
  for (const leaver of [leavers[1]!, next]) leaver.abort()
  await until(async () => {
    const reply = await gateway.ask({ model: 'B', messages: QUESTION, stream: true })
    return reply.status === 200 && (await events(reply)).at(-1) === '[DONE]'
  })
})
