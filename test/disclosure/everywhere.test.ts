import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseDictionary, parseItem, parseList, Token } from 'structured-headers'
import t from 'tap'
import * as upstream from '../fixtures/upstream.ts'
import { build, events, QUESTION, type Built } from '../helper.ts'

const { paths } = JSON.parse(readFileSync(fileURLToPath(new URL('../../openapi/openapi.json', import.meta.url)), 'utf8')) as { paths: Record<string, Record<string, unknown>> }
const ORIGIN = 'https://app.example'
const VOTING = [{ role: 'user', content: 'How do I register to vote?' }]

const dictionary = (reply: Response): Map<string, unknown> => new Map([...parseDictionary(reply.headers.get('ai-disclosure') ?? '')].map(([name, [value]]) => [name, value instanceof Token ? value.toString() : value]))

/** What every reply of the gateway carries. */
function everyReply (t: any, name: string, reply: Response): void {
  t.match(reply.headers.get('x-request-id'), /^[0-9a-f-]{36}$/, `${name}: request id`)
  t.equal(reply.headers.get('x-content-type-options'), 'nosniff', name)
  const exposed = (reply.headers.get('access-control-expose-headers') ?? '').toLowerCase().split(/, */)
  for (const header of ['ai-disclosure', 'perspective', 'perspective-notice', 'link', 'x-audit-record', 'x-request-id', 'retry-after', 'x-ratelimit-remaining-tokens', 'ratelimit', 'ratelimit-policy', 'idempotency-replayed']) t.ok(exposed.includes(header), `${name}: browsers may read ${header}`)
}

/** A model wrote it: who, how it leans, from which adapter, in headers that parse. */
function byModel (t: any, name: string, reply: Response, member: any, id: string): void {
  const said = dictionary(reply)
  t.equal(said.get('mode'), 'machine-generated', name)
  t.match(String(said.get('model')), new RegExp(`^${id}@`), name)
  t.equal(said.get('provider'), 'Parallax operator', name)
  t.ok(Math.abs((said.get('date') as Date).getTime() - Date.now()) < 60_000, name)
  const [[token, params]] = parseList(reply.headers.get('perspective')!) as any
  t.equal(token.toString(), id, name)
  t.equal(params.get('mode').toString(), 'steerable', name)
  const notice = parseItem(reply.headers.get('perspective-notice')!)[0]
  t.match(notice, new RegExp(`fine-tuned to favour ${id} positions`), name)
  t.equal(reply.headers.get('link'), `</v1/perspectives/${id}/card>; rel="describedby"`, name)
  t.equal(reply.headers.get('cache-control'), 'no-store', name)
  t.match(reply.headers.get('x-audit-record'), /^[0-9a-f-]{36}$/, name)
  t.match(member, { id, mode: 'steerable', notice, weights: { [id]: 1 }, draw: null, slant: 'not measured', watermark: 'none', card: `/v1/perspectives/${id}/card`, expert: { model: String } }, name)
}

function byNoModel (t: any, name: string, reply: Response): void {
  t.equal(reply.headers.get('ai-disclosure'), 'mode=none', name)
  t.equal(reply.headers.get('cache-control'), 'no-store', name)
}

/** Every kind of reply that the chat gives. */
async function chat (t: any, gateway: Built): Promise<void> {
  const headers = { origin: ORIGIN }
  for (const id of ['progressive', 'conservative'] as const) {
    const expert = gateway.upstreams[id]
    const ask = { model: id, messages: QUESTION }
    const whole = await gateway.ask(ask, headers)
    everyReply(t, `${id} whole`, whole)
    byModel(t, `${id} whole`, whole, (await whole.json() as any).perspective, id)

    const streamed = await gateway.ask({ ...ask, stream: true }, headers)
    everyReply(t, `${id} streamed`, streamed)
    const chunks = await events(streamed)
    byModel(t, `${id} streamed`, streamed, chunks[0].perspective, id)

    const cacheable = { ...ask, temperature: 0 }
    await (await gateway.ask(cacheable)).arrayBuffer()
    for (const stream of [false, true]) {
      const cached = await gateway.ask({ ...cacheable, stream }, headers)
      everyReply(t, `${id} cached`, cached)
      t.match(cached.headers.get('cache-status'), /^parallax; hit; ttl=\d+$/)
      byModel(t, `${id} cached`, cached, stream ? (await events(cached))[0].perspective : (await cached.json() as any).perspective, id)
    }

    expert.replyNext(upstream.stopsUnfinished())
    const broken = await gateway.ask({ ...ask, stream: true }, headers)
    everyReply(t, `${id} broken stream`, broken)
    byModel(t, `${id} broken stream`, broken, (await events(broken))[0].perspective, id)

    for (const behaviour of [upstream.htmlError(500), upstream.rateLimited(), upstream.badRequest()]) {
      for (const stream of [false, true]) {
        expert.replyNext(behaviour)
        const failed = await gateway.ask({ ...ask, stream }, headers)
        const name = `${id} ${behaviour.name}`
        everyReply(t, name, failed)
        byNoModel(t, name, failed)
        t.match(failed.headers.get('perspective'), new RegExp(`^${id};mode=steerable`), `${name}: who had been asked`)
        t.ok(failed.headers.get('x-audit-record'), name)
      }
    }
  }
  for (const stream of [false, true]) {
    const fixed = await gateway.ask({ model: 'A', messages: VOTING, stream }, headers)
    everyReply(t, 'policy', fixed)
    byNoModel(t, 'policy', fixed)
    t.match(fixed.headers.get('perspective'), /^policy;mode=policy;rule=voting-procedure;asked=progressive$/)
    t.equal((stream ? (await events(fixed))[0] : await fixed.json() as any).perspective.id, 'policy')
  }
  const refusals: [string, unknown, Record<string, string>, number][] = [
    ['no key', {}, { authorization: '' }, 401], ['wrong scope', {}, { authorization: `Bearer ${gateway.keys.admin}` }, 403], ['no JSON', '{', {}, 400], ['not readable', {}, {}, 400],
    ['unknown model', { model: 'x', messages: QUESTION }, {}, 404], ['no perspective', { model: 'parallax', messages: QUESTION }, {}, 400], ['no expert', { model: 'baseline', messages: QUESTION }, {}, 503],
    ['too large', 'x'.repeat(5_000_000), {}, 413], ['another type', 'x', { 'content-type': 'text/plain' }, 415], ['only if cached', { model: 'A', messages: [{ role: 'user', content: 'new' }], temperature: 0 }, { 'cache-control': 'only-if-cached' }, 504],
  ]
  for (const [name, body, more, status] of refusals) {
    const reply = await gateway.ask(body, { ...headers, ...more })
    t.equal(reply.status, status, name)
    everyReply(t, name, reply)
    byNoModel(t, name, reply)
    await reply.arrayBuffer()
  }
}

t.test('the disclosure is on every reply of every route, in every kind', async (t) => {
  const gateway = await build(t, { config: { corsOrigins: [ORIGIN] } })
  for (const [path, methods] of Object.entries(paths)) {
    if (path === '/v1/chat/completions') { await chat(t, gateway); continue }
    for (const method of Object.keys(methods)) {
      const url = `${gateway.url}${path.replace('{id}', path.startsWith('/v1') ? 'progressive' : '01900000-0000-7000-8000-000000000000')}`
      const key = path.startsWith('/admin') ? gateway.keys.admin : gateway.keys.auditor
      for (const authorization of [`Bearer ${key}`, '']) {
        const reply = await fetch(url, { method: method.toUpperCase(), headers: { origin: ORIGIN, authorization, ...(method === 'post' && { 'content-type': 'application/json' }) }, ...(method === 'post' && { body: '{}' }) })
        const name = `${method} ${path} ${authorization ? 'with' : 'without'} a key: ${reply.status}`
        everyReply(t, name, reply)
        t.equal(reply.headers.get('ai-disclosure'), null, `${name}: nothing of a model's`)
        t.ok(reply.status < 500, name)
        await reply.arrayBuffer()
      }
    }
  }
  const missing = await fetch(`${gateway.url}/v1/nothing`, { headers: { origin: ORIGIN } })
  everyReply(t, 'no such path', missing)
})

t.test('a page of another origin gets no leave to read', async (t) => {
  const gateway = await build(t, { config: { corsOrigins: [ORIGIN] } })
  const reply = await gateway.ask({ model: 'A', messages: QUESTION }, { origin: 'https://evil.example' })
  t.not(reply.headers.get('access-control-allow-origin'), 'https://evil.example')
  t.not(reply.headers.get('access-control-allow-origin'), '*')
  const preflight = await fetch(`${gateway.url}/v1/chat/completions`, { method: 'OPTIONS', headers: { origin: ORIGIN, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' } })
  t.equal(preflight.headers.get('access-control-allow-origin'), ORIGIN)
})
