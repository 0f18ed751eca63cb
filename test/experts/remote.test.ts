/** Remote experts as an operator configures them, behind the whole gateway. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ConfigError, loadConfig } from '../../src/config.ts'
import * as up from '../fixtures/upstream.ts'
import { build, events, QUESTION, temporary, until } from '../helper.ts'

const DIGEST = 'a'.repeat(64)

function problems (t: Test, progressive: object, env: Record<string, string> = {}): string[] {
  const file = join(temporary(t), 'parallax.json')
  writeFileSync(file, JSON.stringify({ experts: { progressive } }))
  try { loadConfig({ PARALLAX_MODEL: 'none', PARALLAX_CONFIG: file, ...env }) } catch (error) {
    if (error instanceof ConfigError) return [...error.problems]
    throw error
  }
  return []
}

t.test('one address or several: what is written is checked, and every mistake is named', async (t) => {
  const at = (more: object = {}) => ({ baseUrl: 'http://a/v1', ...more })
  t.same(problems(t, { wire: 'openai', model: 'm', baseUrl: 'http://a/v1' }), [])
  t.same(problems(t, { wire: 'openai', endpoints: [at({ model: 'm' }), at({ model: 'm', name: 'east', weight: 2, adapterSha256: DIGEST })], pool: { retries: 2, hedgeMs: 900, breaker: { failures: 3 }, health: {} } }), [])
  const cases: [object, RegExp][] = [
    [{ wire: 'openai', model: 'm' }, /baseUrl: wanted an address here, or several in "endpoints"/],
    [{ wire: 'openai', model: 'm', baseUrl: 'http://a/v1', endpoints: [at()] }, /set both here and in "endpoints"/],
    [{ wire: 'openai', model: 'm', endpoints: [] }, /endpoints/],
    [{ wire: 'openai', endpoints: [at({ model: 'm' }), at({ model: 'n' })] }, /model: .*the one that is to be disclosed/],
    [{ wire: 'openai', endpoints: [at()] }, /model: wanted/],
    [{ wire: 'openai', model: 'm', endpoints: [at({ adapterSha256: DIGEST }), at({ adapterSha256: 'b'.repeat(64) })] }, /endpoints\.1\.adapterSha256: another adapter/],
    [{ wire: 'openai', model: 'm', adapterSha256: DIGEST, endpoints: [at({ adapterSha256: 'b'.repeat(64) })] }, /endpoints\.0\.adapterSha256: another adapter/],
    [{ wire: 'openai', model: 'm', apiKey: 'k', endpoints: [at()] }, /apiKey: set beside "endpoints"/],
    [{ wire: 'openai', model: 'm', endpoints: [at({ apiKeyEnv: 'NOT_SET' })] }, /endpoints\.0\.apiKeyEnv: the environment has no NOT_SET/],
    [{ wire: 'openai', model: 'm', endpoints: [at({ name: '2' }), at()] }, /two have the same name/],
    [{ wire: 'openai', model: 'm', baseUrl: 'http://a/v1', pool: { retries: 3 } }, /pool\.retries/],
    [{ wire: 'openai', model: 'm', baseUrl: 'http://a/v1', lora: [] }, /lora/],
    [{ wire: 'vllm', model: 'm', endpoints: [at({ model: 'x' })] }, /endpoints\.0\.model: what is asked for there is the "adapter"/],
    [{ wire: 'smoke', model: 'm', baseUrl: 'http://a/v1' }, /wire/],
  ]
  for (const [written, words] of cases) t.ok(problems(t, written).some((line) => words.test(line)), `${words} in:\n${problems(t, written).join('\n')}`)
})

t.test('a perspective with two endpoints outlives one of them; the disclosure is the same from either, and the other perspective is never asked', async (t) => {
  const [east, west] = [await up.startUpstream(), await up.startUpstream()]
  t.teardown(() => Promise.all([east.close(), west.close()]))
  const gateway = await build(t, {
    config: {
      experts: {
        progressive: { wire: 'openai', model: 'tune', adapter: 'progressive-9', adapterSha256: DIGEST, endpoints: [{ baseUrl: east.url, name: 'east', apiKey: 'key-east', model: 'tune-east' }, { baseUrl: west.url, name: 'west', apiKeyEnv: 'WEST_KEY' }], pool: { breaker: { failures: 2, openMs: 60_000 } } },
        conservative: { wire: 'openai', model: 'other', baseUrl: 'http://127.0.0.1:9/v1' },
      },
    },
    env: { WEST_KEY: 'key-west' },
  })
  const ask = (stream = false) => gateway.ask({ model: 'progressive', messages: QUESTION, stream })
  const told = new Set<string>()
  for (let call = 0; call < 4; call++) {
    const reply = await ask()
    t.equal(reply.status, 200)
    told.add(JSON.stringify((await reply.json() as any).perspective.expert))
  }
  t.same([...told], [JSON.stringify({ model: 'tune', adapter: 'progressive-9', adapter_sha256: DIGEST })])
  t.match(east.last, { headers: { authorization: 'Bearer key-east' }, body: { model: 'tune-east' } })
  t.match(west.last, { headers: { authorization: 'Bearer key-west' }, body: { model: 'tune' } })

  await east.close()
  for (let call = 0; call < 6; call++) t.equal((await events(await ask(true))).at(-1), '[DONE]')
  const readyz = await (await fetch(`${gateway.url}/readyz`)).json() as any
  t.same(readyz.checks.experts.progressive, { ok: true, endpoints: { up: 1, of: 2 } })
  t.notMatch(JSON.stringify(readyz), /127\.0\.0\.1/)
  const metrics = await (await fetch(`${gateway.url}/metrics`)).text()
  t.match(metrics, /parallax_endpoint_up\{perspective="progressive",endpoint="east"\} 0/)
  t.match(metrics, /parallax_endpoint_up\{perspective="progressive",endpoint="west"\} 1/)
  t.match(metrics, /parallax_endpoint_opened_total\{perspective="progressive",endpoint="east"\} 1/)
  t.match(metrics, /parallax_endpoint_retries_total\{perspective="progressive",endpoint="west"\} 2/)

  await west.close()
  await until(async () => (await ask()).status === 503)
  const refused = await (await ask()).json() as any
  t.equal(refused.error.code, 'expert_unavailable')
  t.match(refused.error.message, /No other perspective is used instead/)
  t.notMatch(refused.error.message, /127\.0\.0\.1|key-/)
})

t.test('the caller\'s Authorization is never forwarded upstream, and no other header is (litellm 32202)', async (t) => {
  const gateway = await build(t)
  const sent = { 'x-api-key': 'callers', cookie: 'session=1', 'openai-organization': 'org', traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }
  for (const stream of [false, true]) {
    const reply = await gateway.ask({ model: 'progressive', messages: QUESTION, stream }, sent)
    await reply.text()
    const { headers } = gateway.upstreams.progressive.last
    t.equal(headers.authorization, 'Bearer upstream-secret-a')
    t.notMatch(JSON.stringify(headers), new RegExp(`${gateway.keys.app}|callers|session|"org"`))
    t.same(Object.keys(headers).toSorted(), ['accept', 'authorization', 'connection', 'content-length', 'content-type', 'host'])
  }
})

t.test('a client that leaves ends the call of whichever endpoint answers it, hedged or not (bifrost 3164)', async (t) => {
  const two = [await up.startUpstream(), await up.startUpstream()]
  t.teardown(() => Promise.all(two.map((one) => one.close())))
  const gateway = await build(t, { config: { experts: { progressive: { wire: 'openai', model: 'm', endpoints: two.map(({ url }) => ({ baseUrl: url })), pool: { hedgeMs: 30 } } } } })
  for (const one of two) one.reply(up.slowHeaders(100, up.endless(5)))
  const leaving = new AbortController()
  const reply = await gateway.ask({ model: 'progressive', messages: QUESTION, stream: true }, {}, leaving.signal)
  await reply.body!.getReader().read()
  const left = Date.now()
  leaving.abort()
  await until(() => two.every(({ last }) => last.aborted))
  for (const { last } of two) t.ok(last.abortedAt! - left < 1000)
})

t.test('an endpoint\'s death in the middle of a stream is an error and never a clean [DONE], and no other goes on for it (bifrost 5546)', async (t) => {
  const two = [await up.startUpstream(), await up.startUpstream()]
  t.teardown(() => Promise.all(two.map((one) => one.close())))
  const gateway = await build(t, { config: { experts: { progressive: { wire: 'openai', model: 'm', endpoints: two.map(({ url }) => ({ baseUrl: url })) } } } })
  for (const behaviour of [up.halfFrame(), up.stopsUnfinished(), up.errorFrame()]) {
    for (const one of two) { one.reset(); one.reply(behaviour) }
    const chunks = await events(await gateway.ask({ model: 'progressive', messages: QUESTION, stream: true }))
    t.equal(chunks.at(-1).error.code, 'expert_failed', behaviour.name)
    t.notOk(chunks.includes('[DONE]'))
    t.equal(two[0]!.requests.length + two[1]!.requests.length, 1)
  }
})
