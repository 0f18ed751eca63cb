/**
 * What other gateways got wrong, by their own issue numbers, as checks of any gateway through its wire, its upstreams and its log.
 * A check throws an AssertionError where the gateway under test has the failure. Knows nothing of how a gateway is made.
 */
import assert from 'node:assert/strict'
import * as upstream from '../fixtures/upstream.ts'
import { events, QUESTION } from '../helper.ts'

export interface Gateway {
  /** POSTs a chat request as one tenant; the models are "progressive" and "conservative", each behind its own upstream. */
  ask (body: unknown, headers?: Record<string, string>, signal?: AbortSignal): Promise<Response>
  askAsAnother (body: unknown): Promise<Response>
  /** Authorization of `ask`. */
  readonly authorization: string
  readonly upstreams: { readonly progressive: upstream.Upstream, readonly conservative: upstream.Upstream }
  /** Under which name this answer is in the log. */
  recordOf (reply: Response): string
  /** The names of all answers whose end, whatever it was, is in the log. */
  rows (): Promise<readonly string[]>
  /** Ends what runs, as on shutdown; the log can still be read. */
  shutDown (): Promise<void>
}

export interface Maker {
  /** One whose upstreams were asked nothing yet, and whose tenants nobody was before. */
  alone (): Promise<Gateway>
  /** Both models are adapters of one llama.cpp server: progressive is number 0, conservative number 1. */
  overLlama (server: upstream.Upstream): Promise<Gateway>
  /** Two replicas that share what such gateways share, with one limit. */
  pair (requestsPerMinute: number): Promise<readonly [Gateway, Gateway]>
}

export interface Check { readonly name: string, readonly check: (make: Maker) => Promise<void> }

const ASK = { model: 'progressive', messages: QUESTION, temperature: 0 }
const MODELS = ['progressive', 'conservative'] as const

const wordsOf = async (reply: Response): Promise<unknown> => {
  const body = await reply.json() as any // eslint-disable-line typescript/no-explicit-any -- read member by member
  return body.choices?.[0]?.message?.content ?? null
}

/** What has to come about within a while. */
async function comesAbout (what: () => Promise<boolean> | boolean, message: string, ms = 2000): Promise<void> {
  for (const end = Date.now() + ms; ; await new Promise((resolve) => setTimeout(resolve, 20))) {
    if (await what()) return
    if (Date.now() > end) assert.fail(message)
  }
}

async function onRecord (gateway: Gateway, records: readonly string[]): Promise<void> {
  let missing = records
  await comesAbout(async () => {
    const rows = new Set(await gateway.rows())
    missing = records.filter((record) => !rows.has(record))
    return missing.length === 0
  }, `no row of ${missing.length} of ${records.length}`)
}

/** Leaves a stream that goes on for ever, after some of it came. */
async function leaveStream (gateway: Gateway, model: typeof MODELS[number]): Promise<string> {
  gateway.upstreams[model].reply(upstream.endless(2))
  const leaving = new AbortController()
  const reply = await gateway.ask({ model, messages: QUESTION, stream: true }, {}, leaving.signal)
  const reader = reply.body!.getReader()
  for (let bytes = 0; bytes < 1000;) bytes += (await reader.read()).value!.length
  leaving.abort()
  return gateway.recordOf(reply)
}

const different = (gateway: Gateway, count: number, headers?: Record<string, string>): Promise<Response[]> =>
  Promise.all(Array.from({ length: count }, (_, at) => gateway.ask({ model: MODELS[at % 2], messages: [{ role: 'user', content: `question ${at}` }] }, headers)))

/** What both sides say in turn to the same question, over one llama.cpp server: each its own words, or none. */
async function inTurn (gateway: Gateway): Promise<number> {
  let answered = 0
  for (const model of ['progressive', 'conservative', 'conservative', 'progressive']) {
    const reply = await gateway.ask({ model, messages: QUESTION })
    const words = await wordsOf(reply)
    if (reply.status !== 200) continue
    answered++
    assert.equal(words, model === 'progressive' ? 'I speak as 0*1.' : 'I speak as 1*1.', `the words of ${model}`)
  }
  return answered
}

async function llamaServer (behaviour: Parameters<upstream.Upstream['reply']>[0], check: (server: upstream.Upstream) => Promise<void>): Promise<void> {
  const server = await upstream.startUpstream()
  server.reply(behaviour)
  try { await check(server) } finally { await server.close() }
}

export const CHECKS: readonly Check[] = [
  { name: 'JSON key order misses the cache (litellm 40128)', async check (make) {
    const gateway = await make.alone()
    const { requests } = gateway.upstreams.progressive
    await (await gateway.ask(ASK)).text()
    await (await gateway.ask(`{"temperature":0,"messages":[{"content":${JSON.stringify(QUESTION[0]!.content)},"role":"user"}],"model":"progressive"}`)).text()
    assert.equal(requests.length, 1, 'calls for one question')
  } },
  { name: 'an unkeyed parameter gets the wrong answer (litellm 42400)', async check (make) {
    const gateway = await make.alone()
    let times = 0
    gateway.upstreams.progressive.reply(() => upstream.answer({ content: `answer ${++times}` }))
    for (const [at, change] of [{}, { stop: ['x'] }, { max_tokens: 5 }, { parameter_of_tomorrow: true }].entries()) {
      assert.equal(await wordsOf(await gateway.ask({ ...ASK, ...change })), `answer ${at + 1}`, JSON.stringify(change))
    }
  } },
  { name: 'cross-tenant hit (bifrost 5769)', async check (make) {
    const gateway = await make.alone()
    let times = 0
    gateway.upstreams.progressive.reply(() => upstream.answer({ content: `answer ${++times}` }))
    assert.equal(await wordsOf(await gateway.ask(ASK)), 'answer 1')
    assert.equal(await wordsOf(await gateway.askAsAnother(ASK)), 'answer 2')
  } },
  { name: 'cached 429 replayed (appstrate 436)', async check (make) {
    const gateway = await make.alone()
    gateway.upstreams.progressive.replyNext(upstream.rateLimited('1'))
    assert.equal((await gateway.ask(ASK)).status, 429)
    // the expert had asked for a second's rest
    await comesAbout(async () => (await gateway.ask(ASK)).status === 200, 'the 429 is answered again and again')
  } },
  { name: 'cached stream without usage (tensorzero 1791)', async check (make) {
    const gateway = await make.alone()
    await (await gateway.ask(ASK)).text()
    const chunks = await events(await gateway.ask({ ...ASK, stream: true, stream_options: { include_usage: true } }))
    assert.equal(gateway.upstreams.progressive.requests.length, 1, 'it was a hit')
    assert.equal(chunks.find((chunk) => chunk.usage)?.usage.completion_tokens, 7)
  } },
  { name: 'disconnect leaves no log row (litellm PR 33736, bifrost 3003)', async check (make) {
    const gateway = await make.alone()
    const left = []
    for (const model of MODELS) left.push(await leaveStream(gateway, model))
    await onRecord(gateway, left)
  } },
  { name: 'disconnect lets the model run on (bifrost 3164)', async check (make) {
    const gateway = await make.alone()
    for (const model of MODELS) {
      await leaveStream(gateway, model)
      const { last } = gateway.upstreams[model]
      await comesAbout(() => last.aborted, 'the model runs on a second after everybody left', 1000)
    }
  } },
  { name: 'rows lost when a queue is full (bifrost PR 2042)', async check (make) {
    const gateway = await make.alone()
    const replies = await different(gateway, 400)
    await Promise.all(replies.map((reply) => reply.arrayBuffer()))
    const answered = replies.filter(({ status }) => status === 200)
    assert.ok(answered.length > 0 && replies.every(({ status }) => status === 200 || status === 503), 'answered, or told that there is no room')
    await onRecord(gateway, answered.map((reply) => gateway.recordOf(reply)))
  } },
  { name: 'rows lost on shutdown (litellm 38157)', async check (make) {
    const gateway = await make.alone()
    const answered = await different(gateway, 4)
    await Promise.all(answered.map((reply) => reply.arrayBuffer()))
    gateway.upstreams.progressive.reply(upstream.endless(2))
    const running = await gateway.ask({ model: 'progressive', messages: QUESTION, stream: true })
    const read = running.text().catch(() => '')
    await gateway.shutDown()
    await onRecord(gateway, [...answered, running].map((reply) => gateway.recordOf(reply)))
    await read
  } },
  { name: 'concurrent requests with one trace id overwrite each other\'s rows (bifrost 5256)', async check (make) {
    const gateway = await make.alone()
    const trace = { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', 'x-request-id': 'the-same', 'x-trace-id': 'the-same' }
    const replies = await different(gateway, 20, trace)
    await Promise.all(replies.map((reply) => reply.arrayBuffer()))
    const records = replies.map((reply) => gateway.recordOf(reply))
    assert.equal(new Set(records).size, 20)
    await onRecord(gateway, records)
  } },
  ...([['upstream death turned into a clean [DONE] (bifrost 5546)', upstream.stopsUnfinished()], ['upstream death turned into a silent end (Portkey streamHandler)', upstream.halfFrame()]] as const).map(([name, dies]): Check => ({ name, async check (make) {
    const gateway = await make.alone()
    for (const model of MODELS) {
      gateway.upstreams[model].reply(dies)
      const text = await (await gateway.ask({ model, messages: QUESTION, stream: true })).text()
      assert.ok(!text.includes('[DONE]'), 'it says [DONE]')
      assert.match(text, /\ndata: \{"error":\{[^\n]+\n\n$/, 'it ends without a word')
    }
  } })),
  { name: 'limit times replicas (litellm 40291)', async check (make) {
    const pair = await make.pair(10)
    const statuses = await Promise.all(Array.from({ length: 40 }, async (_, at) => {
      const reply = await pair[at % 2]!.ask({ model: MODELS[at % 4 >> 1], messages: QUESTION })
      await reply.arrayBuffer()
      return reply.status
    }))
    assert.deepEqual([200, 429].map((status) => statuses.filter((one) => one === status).length), [10, 30])
  } },
  { name: 'the proxy\'s own Authorization forwarded upstream (litellm 32202)', async check (make) {
    const gateway = await make.alone()
    for (const model of MODELS) {
      await (await gateway.ask({ model, messages: QUESTION }, { 'x-api-key': 'callers-own', cookie: 'session=1' })).text()
      const sent = JSON.stringify(gateway.upstreams[model].last.headers)
      for (const secret of [gateway.authorization, 'callers-own', 'session=1']) assert.ok(!sent.includes(secret), sent)
    }
  } },
  { name: 'llama.cpp reuses A\'s KV cache for B unless told not to (llama.cpp 26207, 30129, 28674)', check: (make) => llamaServer(upstream.reusesPrompts(), async (server) => {
    const gateway = await make.overLlama(server)
    await comesAbout(async () => await inTurn(gateway) === 4, 'both are answered')
  }) },
  { name: 'llama.cpp leaves an adapter in effect that the request does not name (llama.cpp 26207, 30129, 28674)', check: (make) => llamaServer(upstream.inheritsScales(), async (server) => {
    const gateway = await make.overLlama(server)
    await comesAbout(async () => await inTurn(gateway) === 4, 'both are answered')
  }) },
  { name: 'a llama.cpp that reuses A\'s KV cache for B whatever it is told is served from (llama.cpp 26207, 30129, 28674)', check: (make) => llamaServer(upstream.reusesPrompts({ stubborn: true }), async (server) => {
    const gateway = await make.overLlama(server)
    // refused before it was found out, and after
    for (const end = Date.now() + 700; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 50))) await inTurn(gateway)
    assert.ok(server.requests.length > 0, 'it was asked something: to find it out, or for an answer')
  }) },
]
