import { rmSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { makeAdapters } from '../../src/adapters.ts'
import { loadConfig } from '../../src/config.ts'
import { ParallaxError } from '../../src/errors.ts'
import { makeExchanges } from '../../src/exchanges.ts'
import { remoteExperts } from '../../src/remote.ts'
import * as up from '../fixtures/upstream.ts'
import { build, events, QUESTION, temporary, until, type Built } from '../helper.ts'

const OLD = 'a'.repeat(64)
const NEW = 'b'.repeat(64)
const NEXT = { adapter: 'progressive-2', path: '/adapters/progressive-2', sha256: NEW }

async function servers (t: Test, count: number) {
  const fakes = []
  for (let at = 0; at < count; at++) {
    const upstream = await up.startUpstream()
    t.teardown(() => upstream.close())
    const fake = up.vllm('base-7b', { 'progressive-1': '/adapters/progressive-1', 'conservative-1': '/adapters/conservative-1' })
    upstream.reply(fake.reply)
    upstream.page('/v1/models', fake.models)
    fakes.push({ upstream, fake })
  }
  return fakes
}

const experts = (fakes: readonly { upstream: up.Upstream }[], adapter = 'progressive-1', adapterSha256 = OLD) => {
  const endpoints = fakes.map(({ upstream }) => ({ baseUrl: upstream.url }))
  return {
    progressive: { wire: 'vllm', model: 'base-7b', adapter, adapterSha256, endpoints },
    conservative: { wire: 'vllm', model: 'base-7b', adapter: 'conservative-1', endpoints },
    baseline: { wire: 'vllm', model: 'base-7b', endpoints },
  }
}

async function exchange (gateway: Built, body: object = NEXT, perspective = 'progressive', key = gateway.keys.admin) {
  const reply = await fetch(`${gateway.url}/admin/v1/experts/${perspective}/switch`, { method: 'POST', headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' }, body: JSON.stringify(body) })
  return { status: reply.status, body: await reply.json() as any }
}
const overview = async (gateway: Built) => await (await fetch(`${gateway.url}/admin/v1/experts`, { headers: { authorization: `Bearer ${gateway.keys.admin}` } })).json() as any
const ask = async (gateway: Built, model = 'progressive') => {
  const reply = await gateway.ask({ model, messages: QUESTION })
  const body = await reply.json() as any
  return { said: body.choices?.[0].message.content, disclosed: body.perspective?.expert, error: body.error }
}

t.test('an adapter is exchanged under running requests: each is answered by what it was told, and the old one goes when nothing runs on it', async (t) => {
  const fakes = await servers(t, 2)
  const gateway = await build(t, { config: { experts: experts(fakes) } })
  t.match(await ask(gateway), { said: 'I am progressive-1.', disclosed: { model: 'base-7b', adapter: 'progressive-1', adapter_sha256: OLD } })
  t.match(await ask(gateway, 'baseline'), { said: 'I am base-7b.', disclosed: { adapter: null } })

  for (const { fake } of fakes) fake.speaks.set('progressive-1', up.stream({ deltas: Array.from({ length: 30 }, (_, at) => `old${at} `), delay: 100 }))
  const streaming = await gateway.ask({ model: 'progressive', messages: QUESTION, stream: true })
  t.match(await exchange(gateway), { status: 200, body: { perspective: 'progressive', adapter: 'progressive-2', adapter_sha256: NEW, replaced: 'progressive-1', unloading: true } })
  t.match(await ask(gateway), { said: 'I am progressive-2.', disclosed: { model: 'base-7b', adapter: 'progressive-2', adapter_sha256: NEW } })
  t.match((await overview(gateway)).draining, [{ perspective: 'progressive', adapter: 'progressive-1', running: 1 }])
  for (const { fake } of fakes) t.ok(fake.loaded.has('progressive-1'), 'not unloaded while a stream runs on it')

  const chunks = await events(streaming)
  t.equal(chunks.at(-1), '[DONE]')
  t.match(chunks[0].perspective.expert, { adapter: 'progressive-1', adapter_sha256: OLD })
  t.match(chunks.map((chunk) => chunk.choices?.[0]?.delta.content ?? '').join(''), /^old0 .*old29 $/)
  await until(() => fakes.every(({ fake }) => !fake.loaded.has('progressive-1')))
  for (const { fake } of fakes) t.same(fake.calls, ['load progressive-2', 'unload progressive-1'])
  await until(async () => (await overview(gateway)).draining.length === 0)
  t.match(await ask(gateway, 'conservative'), { said: 'I am conservative-1.' })

  const leaves = await gateway.leaves()
  const loaded = leaves.findIndex(({ type }) => type === 'model.loaded')
  t.match(leaves[loaded], { adapters: [{ perspective: 'progressive', adapter: 'progressive-2', adapter_sha256: NEW }], replaces: { adapter: 'progressive-1', adapter_sha256: OLD } })
  t.ok(leaves[loaded]!['key'], 'by whom')
  const changed = leaves.findLastIndex(({ type }) => type === 'config.changed')
  t.match(leaves[changed]!['perspectives'].find(({ id }: any) => id === 'progressive'), { served_by: 'vllm', adapter: 'progressive-2', adapter_sha256: NEW })
  const first = leaves.findIndex((leaf) => leaf.type === 'completion.begin' && JSON.stringify(leaf).includes('progressive-2'))
  t.ok(loaded < changed && changed < first, `${loaded} < ${changed} < ${first}: on record before anything was answered by it`)
})

t.test('what was exchanged outlives a restart, until the configuration names another adapter', async (t) => {
  const fakes = await servers(t, 1)
  const dataDir = join(temporary(t), 'data')
  const first = await build(t, { dataDir, config: { experts: experts(fakes) } })
  t.equal((await exchange(first)).status, 200)
  await first.app.close()
  await first.services.close()
  const start = async (config: object): Promise<Built> => await build(t, { dataDir, config: { experts: config } })
  const again = await start(experts(fakes))
  t.match(await ask(again), { said: 'I am progressive-2.', disclosed: { adapter: 'progressive-2', adapter_sha256: NEW } })
  t.equal((await again.leaves()).filter(({ type }) => type === 'config.changed').length, 2, 'at the first start and at the exchange, not at the second')
  t.match(await exchange(again, { ...NEXT, adapter: 'progressive-1' }), { status: 409, body: { code: 'adapter_conflict', detail: /has meant other weights/ } }, 'a name keeps its meaning')
  await again.app.close()
  await again.services.close()
  fakes[0]!.fake.loaded.set('progressive-3', '/adapters/progressive-3')
  t.match(await ask(await start(experts(fakes, 'progressive-3', 'c'.repeat(64)))), { said: 'I am progressive-3.' })
})

const FAILURES: [string, (fake: up.FakeVllm) => void, RegExp][] = [
  ['vLLM refuses to load it', (fake) => { fake.breakLoad = up.refusal(400, { message: 'rank 64 is greater than max_lora_rank 16' }) }, /max_lora_rank 16/],
  ['vLLM dies while it loads', (fake) => { fake.breakLoad = up.resets() }, /connection to the expert broke/],
  ['the loaded adapter does not answer', (fake) => { fake.speaks.set('progressive-2', up.htmlError(500)) }, /status 500/],
  ['the loaded adapter answers as another', (fake) => { fake.speaks.set('progressive-2', up.json({ extra: { model: 'base-7b' } })) }, /answers as "base-7b"/],
  ['it has the name for other weights', (fake) => { fake.loaded.set('progressive-2', '/elsewhere') }, /has this name already, for other weights/],
  ['vLLM may not exchange adapters', (fake) => { fake.breakLoad = up.refusal(404, { message: 'Not Found' }) }, /does not know/],
]
for (const [name, breaks, words] of FAILURES) {
  t.test(`where ${name} on the second of two endpoints, the old adapter goes on everywhere and nothing is left behind`, async (t) => {
    const fakes = await servers(t, 2)
    const gateway = await build(t, { config: { experts: experts(fakes) } })
    const before = fakes.map(({ fake }) => [...fake.loaded.keys()])
    breaks(fakes[1]!.fake)
    if (name.includes('name')) before[1]!.push('progressive-2')
    const leaves = (await gateway.leaves()).length
    const { status, body } = await exchange(gateway)
    t.equal(status, 502)
    t.match(body, { code: 'adapter_not_switched', detail: words })
    t.match(body.detail, /endpoint "2".*goes on/)
    t.notMatch(JSON.stringify(body), /127\.0\.0\.1/)
    for (let call = 0; call < 2; call++) t.match(await ask(gateway), { said: 'I am progressive-1.', disclosed: { adapter: 'progressive-1' } })
    t.same(fakes.map(({ fake }) => [...fake.loaded.keys()]), before)
    t.equal((await gateway.leaves()).slice(leaves).filter(({ type }) => ['model.loaded', 'config.changed'].includes(type)).length, 0)
  })
}

t.test('where the log cannot record it, the old adapter goes on, also after a restart', async (t) => {
  const [one] = await servers(t, 1)
  const dataDir = temporary(t)
  const config = { ...loadConfig({ PARALLAX_MODEL: 'none', DATA_DIR: dataDir }), experts: {} as any }
  config.experts = { progressive: { wire: 'vllm', drainMs: 1000, model: 'base-7b', adapter: 'progressive-1', adapterSha256: OLD, pool: { retries: 0, breaker: { failures: 5, openMs: 1000 } }, endpoints: [{ name: '1', baseUrl: one!.upstream.url, apiKey: undefined, servedAs: 'progressive-1', weight: 1 }] } }
  const all = remoteExperts(config, () => {})
  t.teardown(() => all.get('progressive')!.close())
  const refuse = async (): Promise<never> => { throw new ParallaxError('audit_unavailable', 'The disk is full.') }
  {
    const experts = new Map<string, any>(all)
    const adapters = makeAdapters({ config, experts, exchanges: makeExchanges(() => {}), recordChange: refuse, log: () => {} })
    await t.rejects(adapters.exchange('progressive', { name: NEXT.adapter, path: NEXT.path, sha256: NEW }, { by: 'k_0', unload: true }), { code: 'audit_unavailable' })
    t.equal(experts.get('progressive'), all.get('progressive'))
    t.notOk(one!.fake.loaded.has('progressive-2'), 'unloaded again')
    const { withExchanged } = await import('../../src/adapters.ts')
    t.equal(withExchanged(config)['progressive']!.adapter, 'progressive-1')
  }
})

t.test('what cannot be exchanged is refused with the reason', async (t) => {
  const fakes = await servers(t, 1)
  const gateway = await build(t, { config: { experts: { ...experts(fakes), conservative: { wire: 'openai', model: 'm', baseUrl: fakes[0]!.upstream.url } } } })
  const cases: [object, string, number, string, RegExp][] = [
    [NEXT, 'conservative', 400, 'invalid_request', /Only a perspective whose expert has "wire": "vllm"/],
    [NEXT, 'baseline', 400, 'invalid_request', /Only a perspective/],
    [NEXT, 'nobody', 404, 'unknown_perspective', /"nobody"/],
    [{ ...NEXT, adapter: 'progressive-1' }, 'progressive', 409, 'adapter_conflict', /other weights/],
    [{ ...NEXT, adapter: 'base-7b' }, 'progressive', 409, 'adapter_conflict', /base model/],
    [{ ...NEXT, sha256: 'x' }, 'progressive', 400, 'invalid_request', /sha256/],
    [{ ...NEXT, adapter: 'a b' }, 'progressive', 400, 'invalid_request', /adapter/],
  ]
  for (const [body, perspective, status, code, words] of cases) {
    const found = await exchange(gateway, body, perspective)
    t.match(found, { status, body: { code } }, JSON.stringify(found))
    t.match(found.body.detail, words)
  }
  t.equal((await exchange(gateway, NEXT, 'progressive', gateway.keys.app)).status, 403)
  t.equal((await exchange(gateway, NEXT, 'progressive', gateway.keys.auditor)).status, 403)
  t.same(fakes[0]!.fake.calls, [])

  const [one, two] = await Promise.all([exchange(gateway), exchange(gateway, { ...NEXT, adapter: 'progressive-7' })])
  t.same([one.status, two.status].toSorted((a, b) => a - b), [200, 409], 'one at a time')
})

t.test('the same name again loads it where vLLM has lost it, and a replica may leave the old one to another', async (t) => {
  const fakes = await servers(t, 2)
  const gateway = await build(t, { config: { experts: experts(fakes) } })
  fakes[1]!.fake.loaded.delete('progressive-1')
  t.match(await exchange(gateway, { adapter: 'progressive-1', path: '/adapters/progressive-1', sha256: OLD }), { status: 200, body: { replaced: null, unloading: false } })
  t.same(fakes.map(({ fake }) => fake.calls), [[], ['load progressive-1']])
  t.equal((await gateway.leaves()).filter(({ type }) => type === 'model.loaded').length, 0, 'nothing has changed')

  for (const { fake } of fakes) fake.loaded.set('progressive-2', '/adapters/progressive-2')
  t.match(await exchange(gateway, { ...NEXT, unload: false }), { status: 200, body: { replaced: 'progressive-1', unloading: false } }, 'loaded by another replica')
  t.match(await ask(gateway), { said: 'I am progressive-2.' })
  for (const { fake } of fakes) t.ok(fake.loaded.has('progressive-1'))
})

t.test('an unload that fails is told to the operator, and the new adapter goes on', async (t) => {
  const fakes = await servers(t, 1)
  fakes[0]!.fake.breakUnload = up.htmlError(500)
  const gateway = await build(t, { config: { experts: experts(fakes) } })
  t.equal((await exchange(gateway)).status, 200)
  await until(async () => (await overview(gateway)).draining.length === 0)
  t.match(await ask(gateway), { said: 'I am progressive-2.' })
})

t.test('a data directory without the file of exchanges starts as configured', async (t) => {
  const fakes = await servers(t, 1)
  const dataDir = join(temporary(t), 'data')
  const gateway = await build(t, { dataDir, config: { experts: experts(fakes) } })
  t.equal((await exchange(gateway)).status, 200)
  await gateway.app.close()
  await gateway.services.close()
  rmSync(join(dataDir, 'adapters.json'))
  fakes[0]!.fake.loaded.set('progressive-1', '/adapters/progressive-1')
  t.match(await ask(await build(t, { dataDir, config: { experts: experts(fakes) } })), { said: 'I am progressive-1.' })
})
