/** What others got wrong, by their own issue numbers: this gateway has none of it, and the same checks find all of it in a naive one. */
import { AssertionError } from 'node:assert'
import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { CHECKS, type Gateway, type Maker } from './contracts/known-failures.ts'
import { naiveGateways } from './fixtures/naive-gateway.ts'
import { NO_POSTGRES, startPostgres } from './fixtures/postgres.ts'
import { NO_REDIS, startRedis } from './fixtures/redis.ts'
import { build, until, type Built, type BuildOptions } from './helper.ts'

/** "Known failures of the others" of the design's api.md. */
const FAILURES = [
  'litellm 40128', 'litellm 42400', 'bifrost 5769', 'appstrate 436', 'tensorzero 1791', 'litellm PR 33736', 'bifrost 3003', 'bifrost 3164', 'bifrost PR 2042', 'litellm 38157', 'bifrost 5256',
  'bifrost 5546', 'Portkey streamHandler', 'litellm 40291', 'litellm 32202', 'llama.cpp 26207', '30129', '28674',
]

const file = t
const [redis, postgres] = [await startRedis(t), await startPostgres(t)]
const noPair = redis ? postgres ? false : NO_POSTGRES : NO_REDIS

async function underTest (gateway: Built, key?: string): Promise<Gateway> {
  const { services, upstreams } = gateway
  const secret = key ?? (await services.keys.create({ scopes: ['app'] }, null)).secret
  const other = await services.keys.create({ scopes: ['app'] }, null)
  return {
    ask: (body, headers, signal) => gateway.ask(body, { authorization: `Bearer ${secret}`, ...headers }, signal),
    askAsAnother: (body) => gateway.ask(body, { authorization: `Bearer ${other.secret}` }),
    authorization: secret, upstreams,
    recordOf: (reply) => reply.headers.get('x-audit-record')!,
    async rows () {
      const rows: string[] = []
      for await (const { leaf } of services.audit.stream({ type: 'completion.end' })) rows.push((JSON.parse(leaf) as { begin: string }).begin)
      return rows
    },
    async shutDown () {
      running = null
      services.chat.breakOff()
    },
  }
}

/** The one that most checks share, until one of them ends it. */
let running: Promise<Built> | null = null

const ours = (t: Test): Maker => ({
  async alone () {
    const gateway = await (running ??= build(file))
    for (const upstream of Object.values(gateway.upstreams)) upstream.reset()
    return underTest(gateway)
  },
  overLlama: async ({ url: baseUrl }) => {
    const expert = (speaking: number) => ({ wire: 'llama.cpp', baseUrl, lora: [0, 1].map((id) => ({ id, scale: id === speaking ? 1 : 0 })) })
    return underTest(await build(t, { config: { experts: { progressive: expert(0), conservative: expert(1) } } }))
  },
  async pair (requestsPerMinute) {
    const options: BuildOptions = { env: { REDIS_URL: redis!.database(), DATABASE_URL: await postgres!.database(), PARALLAX_KEK: randomBytes(32).toString('base64') } }
    const [one, two] = [await build(t, options), await build(t, options)]
    const { secret } = await one.services.keys.create({ scopes: ['app'], quota: { requestsPerMinute } }, null)
    await until(() => two.services.keys.find(secret))
    return [await underTest(one, secret), await underTest(two, secret)]
  },
})

t.test('every known failure of the others has its check', async (t) => {
  for (const failure of FAILURES) t.ok(CHECKS.some(({ name }) => name.includes(failure)), failure)
})

for (const { name, check } of CHECKS) {
  const replicated = name.includes('replicas')
  t.test(name, async (t) => {
    await t.test('not here', { skip: replicated && noPair }, async (t) => {
      await check(ours(t))
      t.pass('nothing was found')
    })
    await t.test('and the naive gateway is found to have it', async (t) => {
      const found = await check(naiveGateways(t)).then(() => null, (error: Error) => error)
      t.type(found, AssertionError, found?.message ?? 'nothing was found')
    })
  })
}
