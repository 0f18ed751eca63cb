import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { NO_POSTGRES, startPostgres } from '../fixtures/postgres.ts'
import { NO_REDIS, startRedis } from '../fixtures/redis.ts'
import { answer, halfJson, rateLimited, slowHeaders } from '../fixtures/upstream.ts'
import { build, events, QUESTION, until, type Built, type Leaf } from '../helper.ts'

const [redis, postgres] = [await startRedis(t), await startPostgres(t)]

const ASK = { model: 'progressive', messages: QUESTION, temperature: 0 }
const statusOf = (response: Response): string | null => response.headers.get('cache-status')
/** The words, and that the reply is one. */
async function wordsOf (response: Response): Promise<unknown> {
  const body = await response.json() as any // eslint-disable-line typescript/no-explicit-any -- read member by member
  return body.choices?.[0]?.message?.content ?? body.error?.code
}
const endsOf = async (gateway: Built): Promise<Leaf[]> => (await gateway.leaves()).filter(({ type }) => type === 'completion.end')
const metric = async ({ url }: Built, name: string): Promise<number> => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(await (await fetch(`${url}/metrics`)).text())?.[1])

/** The same tests in one process and over Redis. */
const kinds: [name: string, skip: string | false, make: (t: Test) => Promise<Built>][] = [
  ['memory', false, (t) => build(t)],
  ['Redis', redis ? false : NO_REDIS, async (t) => {
    const gateway = await build(t, { env: { REDIS_URL: redis!.database() } })
    await until(() => gateway.services.cache.up())
    return gateway
  }],
]

for (const [kind, skip, make] of kinds) {
  t.test(`an answer kept in ${kind}`, { skip }, async (t) => {
    const gateway = await make(t)
    const { progressive, conservative } = gateway.upstreams
    let times = 0
    progressive.reply(() => answer({ content: `answer ${++times}` }))

    await t.test('is given again whatever the order of the JSON and the way the perspective is asked for, and says so', async (t) => {
      const first = await gateway.ask(ASK)
      t.equal(statusOf(first), 'parallax; fwd=miss; stored')
      t.equal(await wordsOf(first), 'answer 1')
      await until(async () => statusOf(await gateway.ask(ASK, { 'cache-control': 'only-if-cached' }))?.includes('hit'))
      for (const body of [`{"temperature":0,"messages":[{"content":${JSON.stringify(QUESTION[0]!.content)},"role":"user"}],"model":"progressive"}`, { ...ASK, model: 'parallax', perspective: 'progressive' }, { ...ASK, perspective: 'A' }]) {
        const hit = await gateway.ask(body)
        t.match(statusOf(hit), /^parallax; hit; ttl=(3600|35\d\d)$/)
        t.equal(await wordsOf(hit), 'answer 1')
      }
      t.equal(progressive.requests.length, 1)
    })

    await t.test('is streamed to whoever wants a stream, with its usage (tensorzero 1791), and each hit has records that name the source', async (t) => {
      const before = await endsOf(gateway)
      const chunks = await events(await gateway.ask({ ...ASK, stream: true, stream_options: { include_usage: true } }))
      t.equal(chunks.at(-1), '[DONE]')
      t.match(chunks.at(-2), { choices: [], usage: { prompt_tokens: 11, completion_tokens: 7, prompt_tokens_details: { cached_tokens: 11 } } })
      const ends = await endsOf(gateway)
      t.equal(ends.length, before.length + 1)
      t.match(ends.at(-1), { source: before[0]!.id, tokens: [0, 0] })
      t.equal(progressive.requests.length, 1)
    })

    await t.test('is not given to another tenant (bifrost 5769), another perspective, or for another value of any member (litellm 42400)', async (t) => {
      const { secret } = await gateway.services.keys.create({ scopes: ['app'] }, null)
      t.equal(await wordsOf(await gateway.ask(ASK, { authorization: `Bearer ${secret}` })), 'answer 2')
      t.not(await wordsOf(await gateway.ask({ ...ASK, model: 'conservative' })), 'answer 1')
      t.equal(conservative.requests.length, 1)
      for (const [at, change] of [{ temperature: 0.5, seed: 1 }, { max_tokens: 5 }, { stop: ['x'] }, { parameter_of_tomorrow: true }].entries()) {
        t.equal(await wordsOf(await gateway.ask({ ...ASK, ...change })), `answer ${3 + at}`, JSON.stringify(change))
      }
    })

    await t.test('is not given against Cache-Control, and 504 says that there is none', async (t) => {
      const calls = progressive.requests.length
      for (const [header, status, further] of [['no-cache', 'parallax; fwd=request; stored', 1], ['no-store', 'parallax; fwd=bypass', 2], ['max-age=0', 'parallax; fwd=request', 3]] as const) {
        t.equal(statusOf(await gateway.ask(ASK, { 'cache-control': header })), status, header)
        t.equal(progressive.requests.length, calls + further)
      }
      const none = await gateway.ask({ ...ASK, messages: [{ role: 'user', content: 'never asked' }] }, { 'cache-control': 'only-if-cached' })
      t.equal(none.status, 504)
      t.equal(await wordsOf(none), 'only_if_cached')
      t.equal(progressive.requests.length, calls + 3)
    })

    await t.test('is gone once its record is erased, also for whoever asked before', async (t) => {
      const hit = await gateway.ask(ASK)
      t.match(statusOf(hit), /hit/)
      await hit.arrayBuffer()
      const source = (await endsOf(gateway)).at(-1)!['source'] as string
      await gateway.services.retention.erase({ record: source }, { by: null, reason: 'asked for' })
      t.match(statusOf(await gateway.ask(ASK)), /fwd=miss/)
    })
  })

  t.test(`a failure is not kept in ${kind}: a 429 is not answered again (appstrate 436), nor what broke off or has no end`, { skip }, async (t) => {
    const gateway = await make(t)
    const { progressive } = gateway.upstreams
    progressive.replyNext(halfJson())
    t.equal((await gateway.ask(ASK)).status, 502)
    progressive.replyNext({ name: 'no end', play: ({ response }) => { response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ choices: [{ index: 0, message: { role: 'assistant', content: 'cut' }, finish_reason: null }] })) } })
    const cut = await gateway.ask(ASK)
    t.notMatch(statusOf(cut), /stored/)
    await cut.arrayBuffer()
    progressive.replyNext(rateLimited('1'))
    t.equal((await gateway.ask(ASK)).status, 429)
    progressive.reply(answer({ content: 'well' }))
    // the expert had asked for a second's rest
    const well = await until(async () => { const reply = await gateway.ask(ASK); return reply.status === 200 && reply })
    t.equal(await wordsOf(well), 'well')
    t.equal(statusOf(well), 'parallax; fwd=miss; stored')
  })

  t.test(`two hundred who ask the same at once, with ${kind}: one upstream call, two hundred equal answers, two hundred records`, { skip }, async (t) => {
    const gateway = await make(t)
    gateway.upstreams.progressive.reply(slowHeaders(150, answer({ content: 'one for all' })))
    const replies = await Promise.all(Array.from({ length: 200 }, async (_, at) => {
      const response = await gateway.ask({ ...ASK, stream: at % 2 === 1 })
      const words = at % 2 ? (await events(response)).map((chunk) => chunk.choices?.[0]?.delta?.content ?? '').join('') : await wordsOf(response)
      return { words, record: response.headers.get('x-audit-record') }
    }))
    t.equal(gateway.upstreams.progressive.requests.length, 1)
    t.same([...new Set(replies.map(({ words }) => words))], ['one for all'])
    t.equal(new Set(replies.map(({ record }) => record)).size, 200)
    const ends = await endsOf(gateway)
    t.equal(ends.filter(({ status }) => status === 'complete').length, 200)
    t.equal(ends.filter(({ tokens }) => (tokens as number[])[1]! > 0).length, 1, 'the tokens were spent once')
    t.equal(await metric(gateway, 'parallax_cache_calls_total'), 1)
    t.ok(await metric(gateway, 'parallax_cache_collapsed_total') > 0)
    t.equal(await metric(gateway, 'parallax_cache_kept_total'), 1)
    t.equal(await metric(gateway, 'parallax_cache_up'), 1)
  })
}

t.test('a client that leaves does not take the others\' answer with it, and the last one ends the upstream call', async (t) => {
  const gateway = await build(t)
  const { progressive } = gateway.upstreams
  progressive.reply(answer({ content: 'for those who stay', delay: 60 }))
  const leaving = new AbortController()
  const gone = gateway.ask({ ...ASK, stream: true }, {}, leaving.signal).then((response) => response.text())
  gone.catch(() => {})
  await progressive.received(1)
  const staying = gateway.ask(ASK)
  await new Promise((resolve) => setTimeout(resolve, 60))
  leaving.abort()
  await t.rejects(gone)
  t.equal(await wordsOf(await staying), 'for those who stay')
  t.equal(progressive.requests.length, 1)
  const alone = new AbortController()
  const last = gateway.ask({ ...ASK, seed: 2, stream: true }, {}, alone.signal).then((response) => response.text())
  last.catch(() => {})
  await progressive.received(2)
  alone.abort()
  await until(() => progressive.last.aborted)
})

t.test('two gateways on one Redis and one PostgreSQL: one upstream call, every answer on record; without Redis they answer on', { skip: redis ? postgres ? false : NO_POSTGRES : NO_REDIS }, async (t) => {
  const server = (await startRedis(t))!
  const env = { REDIS_URL: server.database(), DATABASE_URL: await postgres!.database(), PARALLAX_KEK: randomBytes(32).toString('base64') }
  const [one, two] = [await build(t, { env }), await build(t, { env })]
  await until(() => one.services.cache.up() && two.services.cache.up())
  const tenant = one.services.keys.find(one.keys.app)!.tenant
  const { secret } = await two.services.keys.create({ scopes: ['app'], tenant }, null)
  const ask = (at: number, body: object = ASK): Promise<Response> => at % 2 ? two.ask(body, { authorization: `Bearer ${secret}` }) : one.ask(body)
  for (const { upstreams } of [one, two]) upstreams.progressive.reply(slowHeaders(150, answer({ content: 'one for all' })))
  const replies = await Promise.all(Array.from({ length: 60 }, async (_, at) => wordsOf(await ask(at))))
  t.same([...new Set(replies)], ['one for all'])
  t.equal(one.upstreams.progressive.requests.length + two.upstreams.progressive.requests.length, 1)
  await until(async () => (await endsOf(one)).length === 60)
  t.match(statusOf(await ask(0)), /hit/)
  t.match(statusOf(await ask(1)), /hit/)
  // erased by one, served by neither
  const source = (await endsOf(one)).find(({ tokens }) => (tokens as number[])[1]! > 0)!
  const kept = (await endsOf(one)).find((end) => typeof end['source'] === 'string')?.['source'] as string
  for (const record of new Set([source.id, kept])) await two.services.retention.erase({ record }, { by: null, reason: 'asked for' })
  t.match(statusOf(await ask(0)), /fwd=miss/)
  await server.stop()
  for (const at of [0, 1]) {
    const response = await ask(at, { ...ASK, seed: 3 })
    t.equal(await wordsOf(response), 'one for all', 'Redis is down')
    t.match(statusOf(response), /^parallax; fwd=miss$/)
  }
})

t.test('an answer that came as a stream is told as JSON with every member that OpenAI\'s has', async (t) => {
  const gateway = await build(t)
  for (const model of ['progressive', 'conservative']) {
    await events(await gateway.ask({ ...ASK, model, stream: true }))
    const hit = await until(async () => { const reply = await gateway.ask({ ...ASK, model }); return statusOf(reply)?.includes('hit') && reply })
    t.match(await hit.json(), { choices: [{ message: { role: 'assistant', content: String, refusal: null }, logprobs: null, finish_reason: 'stop' }] })
  }
})
