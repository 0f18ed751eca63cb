import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startUpstream } from '../fixtures/upstream.ts'
import { build, FIXTURES, QUESTION } from '../helper.ts'

t.test('what each perspective is can be read by everyone, without a key', async (t) => {
  const gateway = await build(t)
  const get = async (path: string) => (await fetch(`${gateway.url}${path}`)).json() as any
  const { data } = await get('/v1/perspectives')
  t.same(data.map((one: any) => [one.id, one.expert.available]), [['baseline', false], ['progressive', true], ['conservative', true]])
  t.match(data[0].expert.reason, /switched off/)
  const one = await get('/v1/perspectives/B')
  t.match(one, { id: 'conservative', object: 'perspective', notice: /favour conservative positions/, slant: 'not measured', sources: [{ licence: String }], card: '/v1/perspectives/conservative/card' })
  t.notMatch(JSON.stringify(data), new RegExp(`${FIXTURES}|upstream-secret|127\\.0\\.0\\.1`), 'neither paths nor upstreams')
  const card = await fetch(`${gateway.url}${one.card}`)
  t.match(card.headers.get('content-type'), /^text\/markdown/)
  t.equal(await card.text(), readFileSync(join(FIXTURES, 'perspectives/conservative/card.md'), 'utf8'))
  const unknown = await fetch(`${gateway.url}/v1/perspectives/nobody`)
  t.equal(unknown.status, 404)
  t.match(await unknown.json(), { error: { code: 'unknown_perspective', message: /progressive, conservative/ } })
})

t.test('every model that is listed can be asked for, every one that can be asked for can be looked up, and a released declaration is told at once', async (t) => {
  const baseline = await startUpstream()
  t.teardown(() => baseline.close())
  const gateway = await build(t, { experts: { baseline: { wire: 'openai', baseUrl: baseline.url, model: 'mock-base' } } })
  const get = async (path: string) => fetch(`${gateway.url}${path}`)
  const { data } = await (await get('/v1/models')).json() as any
  for (const { id } of data) {
    t.equal((await gateway.ask({ model: id, messages: QUESTION, ...(id === 'parallax' && { perspective: 'B' }) })).status, 200, id)
    t.same(await (await get(`/v1/models/${id}`)).json(), data.find((one: any) => one.id === id))
  }
  for (const id of ['mix-0.70', 'mix-progressive-0.70', 'mix-conservative-0.30', 'all', 'all-summary']) t.match(await (await get(`/v1/models/${id}`)).json(), { id, object: 'model', perspective: null })
  for (const id of ['mix-2', 'mix-nobody-0.5', 'nobody']) t.equal((await get(`/v1/models/${id}`)).status, 404)
  const { perspectives } = gateway.services
  perspectives.replace(perspectives.list().map((one) => one.id === 'baseline' ? one : { ...one, notice: `Released anew: ${one.id}.`, sha256: 'e'.repeat(64) }))
  for (const id of ['progressive', 'conservative']) {
    t.equal((await (await get('/v1/models')).json() as any).data.find((one: any) => one.id === id).perspective.notice, `Released anew: ${id}.`)
    const reply = await gateway.ask({ model: 'both-summary', messages: QUESTION })
    t.match(reply.headers.get('perspective-notice'), `Released anew: ${id}.`)
    t.match(await reply.text(), `Released anew: ${id}.`)
  }
})

t.test('the documentation is public, and its pages may run no foreign script', async (t) => {
  const gateway = await build(t)
  const page = await fetch(`${gateway.url}/docs/`)
  t.equal(page.status, 200)
  t.match(page.headers.get('content-security-policy'), /default-src 'self'/)
  const document = await (await fetch(`${gateway.url}/docs/json`)).json() as any
  t.ok(document.paths['/v1/chat/completions'])
})

t.test('metrics count answers by perspective, and are not for strangers', async (t) => {
  const gateway = await build(t)
  for (const model of ['A', 'B', 'B']) await (await gateway.ask({ model, messages: QUESTION })).arrayBuffer()
  const text = await (await fetch(`${gateway.url}/metrics`)).text()
  t.match(text, /parallax_answers_total\{perspective="progressive",mode="steerable",status="200"\} 1/)
  t.match(text, /parallax_answers_total\{perspective="conservative",mode="steerable",status="200"\} 2/)
  t.match(text, /parallax_tokens_total\{perspective="conservative",direction="out"\} 14/)
  t.match(text, /parallax_audit_up 1/)
  const proxied = await fetch(`${gateway.url}/metrics`, { headers: { 'x-forwarded-for': '203.0.113.9' } })
  t.equal(proxied.status, 401, 'what came through a proxy is not this machine')
  t.equal((await fetch(`${gateway.url}/metrics`, { headers: { 'x-forwarded-for': '203.0.113.9', authorization: `Bearer ${gateway.keys.admin}` } })).status, 200)
})

t.test('an exact question that may be cached is answered once, from its own side only, with a record each', async (t) => {
  const gateway = await build(t)
  const ask = async (model: string, more: object = {}) => {
    const reply = await gateway.ask({ model, messages: QUESTION, temperature: 0, ...more })
    return { status: reply.headers.get('cache-status'), answer: await reply.json() as any }
  }
  const first = await ask('progressive')
  t.equal(first.status, 'parallax; fwd=miss; stored')
  const second = await ask('A', { stream: false })
  t.match(second.status, /^parallax; hit; ttl=\d+$/)
  t.equal(gateway.upstreams.progressive.requests.length, 1)
  t.equal(second.answer.choices[0].message.content, first.answer.choices[0].message.content)
  t.not(second.answer.id, first.answer.id)
  t.equal(second.answer.usage.prompt_tokens_details.cached_tokens, 11)
  const other = await ask('conservative')
  t.equal(other.status, 'parallax; fwd=miss; stored', 'the other side was not answered from this one\'s')
  t.equal(gateway.upstreams.conservative.requests.length, 1)
  const ends = (await gateway.leaves()).filter((leaf) => leaf.type === 'completion.end')
  t.equal(ends[1]!['source'], ends[0]!.id, 'a hit names its source')
  t.same(ends[1]!['tokens'], [0, 0])
})

t.test('the policy is public: rules, fixed texts, how well it does, and the very file whose digest is on record', async (t) => {
  const gateway = await build(t)
  const reply = await fetch(`${gateway.url}/v1/policy`)
  t.equal(reply.status, 200)
  const policy = await reply.json() as any
  t.match(policy, { object: 'policy', version: String, sha256: /^[0-9a-f]{64}$/, election_windows: [], report: { held_out: { prompts: Number } } })
  t.same(policy.rules.map((one: any) => [one.id, one.kind, one.in_force]), [['bulk-generation', 'refuse', true], ['candidate-impersonation', 'refuse', true], ['targeted-persuasion', 'refuse', true], ['solicitation', 'refuse', true], ['voting-procedure', 'redirect', true], ['election-window', 'refuse', false]])
  t.same(Object.keys(policy.rules[4].texts), ['en', 'es', 'fr', 'de'])
  t.match(policy.rules[4].texts.en, /Germany: Die Bundeswahlleiterin, https:/)
  const file = Buffer.from(await (await fetch(`${gateway.url}${policy.file}`)).arrayBuffer())
  t.equal(hash('sha256', file), policy.sha256)
  const [configured] = (await gateway.leaves()).filter((leaf) => leaf.type === 'config.changed')
  t.match(configured, { policy: { version: policy.version, sha256: policy.sha256, election_windows: [] } })
})
