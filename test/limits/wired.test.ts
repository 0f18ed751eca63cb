import t from 'tap'
import { build, events, QUESTION, until } from '../helper.ts'
import { NO_REDIS, startRedis } from '../fixtures/redis.ts'

const redis = await startRedis(t)

const question = { model: 'progressive', messages: QUESTION, max_tokens: 20 }

t.test('a key that has used what it may is told so in OpenAI\'s headers and in the draft\'s, and no record is made', async (t) => {
  const built = await build(t, { config: { quota: { requestsPerMinute: 2, tokensPerMinute: 1000 } } })
  const first = await built.ask(question)
  t.equal(first.status, 200)
  t.match(Object.fromEntries(first.headers), { 'x-ratelimit-limit-requests': '2', 'x-ratelimit-remaining-requests': '1', 'x-ratelimit-limit-tokens': '1000', 'x-ratelimit-reset-tokens': /^1m[01]s$/, 'ratelimit-policy': /^"requests";q=2;w=60/ })
  await first.text()
  t.equal((await built.ask({ ...question, model: 'conservative' })).status, 200)
  const leaves = (await built.leaves()).length
  const refused = await built.ask(question)
  t.equal(refused.status, 429)
  t.match(Object.fromEntries(refused.headers), { 'x-ratelimit-remaining-requests': '0', ratelimit: /^"requests";r=0;t=\d+/, 'x-should-retry': 'true' })
  const wait = Number(refused.headers.get('retry-after'))
  t.ok(wait > 50 && wait <= 60)
  t.match(await refused.json(), { error: { type: 'rate_limit_error', code: 'rate_limit_exceeded', limit: 'requests' } })
  t.notOk(refused.headers.has('x-audit-record'))
  t.equal((await built.leaves()).length, leaves)
})

t.test('what an answer did not cost comes back when it has ended; a request larger than its limit is refused for good', async (t) => {
  const built = await build(t, { config: { quota: { tokensPerMinute: 200 } } })
  for (const model of ['progressive', 'conservative', 'progressive']) {
    const reply = await built.ask({ ...question, model, max_tokens: 150, stream: true })
    t.equal(reply.status, 200)
    t.equal((await events(reply)).at(-1), '[DONE]')
    t.ok(Number(reply.headers.get('x-ratelimit-remaining-tokens')) < 50, 'reserved')
  }
  const refused = await built.ask({ ...question, max_tokens: 500 })
  t.equal(refused.status, 429)
  t.equal(refused.headers.get('x-should-retry'), 'false')
  t.notOk(refused.headers.has('retry-after'))
  t.match(await refused.json(), { error: { code: 'request_exceeds_quota' } })
})

t.test('a key\'s own limits count, and are its own', async (t) => {
  const built = await build(t, { config: { quota: { requestsPerMinute: 1 } } })
  const { secret } = await built.services.keys.create({ scopes: ['app'], quota: { requestsPerMinute: null } }, null)
  for (let sent = 0; sent < 3; sent++) {
    const reply = await built.ask(question, { authorization: `Bearer ${secret}` })
    t.equal(reply.status, 200)
    t.notOk(reply.headers.has('ratelimit'))
  }
  t.equal((await built.ask(question)).status, 200)
  t.equal((await built.ask(question)).status, 429)
})

t.test('two gateways on one Redis; without it a limited key is refused, off the record, and one without limits is answered', { skip: redis === null && NO_REDIS }, async (t) => {
  const server = redis!
  const options = { config: { quota: { requestsPerMinute: 3 }, audit: { origin: 'limits.example/log' } }, env: { REDIS_URL: server.database() } }
  const [one, other] = [await build(t, options), await build(t, options)]
  const secret = one.keys.app
  // two logs, so two stores of keys: the same pseudonym is what replicas of one store have
  const { key } = one.services.keys.find(secret)!
  const quota = one.services.keys.find(secret)!.quota
  await other.services.limits.admit({ key, quota, tokens: 1, stream: false })
  const reply = await one.ask(question)
  t.equal(reply.headers.get('x-ratelimit-remaining-requests'), '1')
  await reply.text()

  await server.stop()
  const leaves = (await one.leaves()).length
  const refused = await one.ask(question)
  t.equal(refused.status, 503)
  t.match(await refused.json(), { error: { code: 'limits_unavailable', type: 'server_error' } })
  t.equal(refused.headers.get('retry-after'), '2')
  t.equal((await one.leaves()).length, leaves, 'a flood of refusals writes nothing')
  const unlimited = (await one.services.keys.create({ scopes: ['app'], quota: { requestsPerMinute: null } }, null)).secret
  t.equal((await one.ask(question, { authorization: `Bearer ${unlimited}` })).status, 200)
  await server.start()
  t.ok(await until(async () => (await one.ask(question)).status === 200))
})
