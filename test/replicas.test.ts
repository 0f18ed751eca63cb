/** Two gateways on one Redis and one PostgreSQL, as their clients meet them: one key, one limit, one conversation, one answer a key. */
import { randomBytes, randomUUID } from 'node:crypto'
import t from 'tap'
import * as upstream from './fixtures/upstream.ts'
import { NO_POSTGRES, startPostgres } from './fixtures/postgres.ts'
import { NO_REDIS, startRedis } from './fixtures/redis.ts'
import { build, QUESTION, until, type Built } from './helper.ts'

const redis = await startRedis(t)
const postgres = await startPostgres(t)
const skip = redis ? postgres ? false : NO_POSTGRES : NO_REDIS

async function two (t: any, config: Record<string, unknown> = {}): Promise<{ ask: (at: number, body: unknown, headers?: Record<string, string>) => Promise<Response>, gateways: [Built, Built], asked: () => number }> {
  const env = { REDIS_URL: redis!.database(), DATABASE_URL: await postgres!.database(), PARALLAX_KEK: randomBytes(32).toString('base64') }
  const gateways: [Built, Built] = [await build(t, { env, config }), await build(t, { env, config })]
  await until(() => gateways.every(({ services }) => services.cache.up()))
  const { secret } = await gateways[0].services.keys.create({ scopes: ['app'], name: 'shared' }, null)
  const ask = (at: number, body: unknown, headers: Record<string, string> = {}): Promise<Response> => gateways[at % 2]!.ask(body, { authorization: `Bearer ${secret}`, ...headers })
  await until(async () => (await ask(1, { model: 'A', messages: QUESTION })).status === 200)
  const asked = (): number => gateways.reduce((sum, { upstreams }) => sum + upstreams.progressive.requests.length + upstreams.conservative.requests.length, 0)
  return { ask, gateways, asked }
}

t.test('a limit of L is L over both, within one request', { skip }, async (t) => {
  const { ask, gateways: [one] } = await two(t)
  const { secret } = await one.services.keys.create({ scopes: ['app'], quota: { requestsPerMinute: 20 } }, null)
  const key = { authorization: `Bearer ${secret}` }
  let probes = 0
  await until(async () => { probes++; return (await ask(1, { model: 'B', messages: QUESTION }, key)).status === 200 })
  const statuses = await Promise.all(Array.from({ length: 60 }, async (_, at) => (await ask(at, { model: at % 3 ? 'A' : 'B', messages: QUESTION }, key)).status))
  t.equal(statuses.filter((status) => status === 200).length, 19, `one of the 20 was spent on finding the key (${probes} tries, the others 401)`)
  t.equal(statuses.filter((status) => status === 429).length, 41)
})

t.test('200 at once who ask the same: one upstream call, 200 equal answers, 200 records', { skip }, async (t) => {
  const { ask, gateways, asked } = await two(t)
  for (const { upstreams } of gateways) upstreams.conservative.reply(upstream.slowHeaders(300, upstream.answer({ content: 'one for all' })))
  const before = asked()
  const answers = await Promise.all(Array.from({ length: 200 }, async (_, at) => (await (await ask(at, { model: 'B', messages: QUESTION, temperature: 0 })).json() as any).choices[0].message.content as string))
  t.same([...new Set(answers)], ['one for all'])
  t.equal(asked() - before, 1)
  const count = async (type: 'completion.begin' | 'completion.end'): Promise<number> => {
    let records = 0
    for await (const _one of gateways[0].services.audit.stream({ type, perspective: 'conservative' })) records++
    return records
  }
  await until(async () => await count('completion.end') >= 200)
  t.same([await count('completion.begin'), await count('completion.end')], [200, 200])
})

t.test('a sticky conversation has one side, whichever gateway is asked', { skip }, async (t) => {
  const { ask } = await two(t)
  for (let conversation = 0; conversation < 6; conversation++) {
    const ids = new Set<string>()
    for (let turn = 0; turn < 4; turn++) {
      const reply = await ask(turn, { model: 'parallax', perspective: { weights: { A: 1, B: 1 }, sticky: `conv-${conversation}` }, messages: [{ role: 'user', content: `turn ${turn}` }] })
      ids.add((await reply.json() as any).perspective.id)
    }
    t.equal(ids.size, 1)
  }
})

t.test('the first answer comes again from the other gateway', { skip }, async (t) => {
  const { ask, asked } = await two(t)
  for (const model of ['progressive', 'conservative']) {
    const key = { 'idempotency-key': randomUUID() }
    const first = await (await ask(0, { model, messages: QUESTION }, key)).text()
    const before = asked()
    const again = await ask(1, { model, messages: QUESTION }, key)
    t.equal(await again.text(), first)
    t.equal(again.headers.get('idempotency-replayed'), 'true')
    t.equal(asked(), before)
  }
})
