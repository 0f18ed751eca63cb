import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { build, QUESTION, until, type Built } from '../helper.ts'

const ok = { model: 'progressive', messages: QUESTION }

/** The service still answers, and the side that was asked did not get lost. */
async function stillServes (t: any, gateway: Built): Promise<void> {
  const reply = await gateway.ask(ok)
  t.equal(reply.status, 200, 'still serves')
  await reply.arrayBuffer()
}

/** An error in OpenAI's shape, with all four members, its request id and the disclosure that no model wrote it. */
async function refused (t: any, reply: Response, status: number, code: string, param?: string): Promise<any> {
  t.equal(reply.status, status, code)
  const { error } = await reply.json() as any
  t.equal(error.code, code)
  for (const member of ['message', 'type', 'param', 'code']) t.ok(member in error, member)
  if (param !== undefined) t.equal(error.param, param)
  t.match(reply.headers.get('x-request-id'), /^[0-9a-f-]{36}$/)
  t.equal(reply.headers.get('ai-disclosure'), 'mode=none')
  t.ok(['true', 'false'].includes(reply.headers.get('x-should-retry') ?? ''))
  return error
}

t.test('no key and a wrong key are told apart, cost no record, and nothing is forwarded', async (t) => {
  const gateway = await build(t)
  const before = gateway.services.audit.size()
  for (const authorization of ['', 'Bearer', 'Bearer plx_', 'Bearer sk-123', `Basic ${gateway.keys.app}`, gateway.keys.app, `Bearer ${gateway.keys.app.slice(0, -1)}`, `Bearer ${'x'.repeat(500)}`]) {
    const error = await refused(t, await gateway.ask(ok, { authorization }), 401, 'invalid_api_key')
    t.notMatch(error.message, /sk-123|plx_[0-9A-Za-z]/)
    t.match(error.message, /^Bearer \S/.test(authorization) ? /is not valid here/ : authorization === '' ? /No API key came/ : /has to be "Bearer", a space, and the key/)
  }
  const bare = await fetch(`${gateway.url}/v1/chat/completions`, { method: 'POST', body: JSON.stringify(ok), headers: { 'content-type': 'application/json' } })
  t.equal(bare.headers.get('www-authenticate'), 'Bearer realm="parallax"')
  await refused(t, bare, 401, 'invalid_api_key')
  t.equal(gateway.services.audit.size(), before)
  t.equal(gateway.upstreams.progressive.requests.length, 0)
})

t.test('an auditor\'s or admin\'s key cannot chat, and the refusal is on record', async (t) => {
  const gateway = await build(t)
  for (const key of [gateway.keys.auditor, gateway.keys.admin]) {
    const reply = await gateway.ask(ok, { authorization: `Bearer ${key}` })
    t.ok(reply.headers.get('x-audit-record'))
    await refused(t, reply, 403, 'insufficient_scope')
  }
  t.equal((await gateway.leaves()).filter((leaf) => leaf.type === 'completion.refused' && leaf['error'] === 'insufficient_scope').length, 2)
})

t.test('bodies that cannot be used are refused with the member at fault, on record, and the service goes on', async (t) => {
  const gateway = await build(t)
  const cases: [unknown, string, string?][] = [
    ['', 'invalid_json'], ['{', 'invalid_json'], ['not json', 'invalid_json'], ['{"model":"A","messages":[{"role":"user","content":NaN}]}', 'invalid_json'],
    ['{"__proto__":{"x":1},"model":"A","messages":[]}', 'invalid_json'], ['{"model":"A","messages":[{"role":"user","content":"x","constructor":{"prototype":{"a":1}}}]}', 'invalid_json'],
    ['[]', 'invalid_request'], ['null', 'invalid_request'], ['"text"', 'invalid_request'], ['7', 'invalid_request'],
    [{}, 'invalid_request', 'model'], [{ model: 'A' }, 'invalid_request', 'messages'], [{ messages: QUESTION }, 'invalid_request', 'model'],
    [{ ...ok, messages: [] }, 'invalid_request', 'messages'], [{ ...ok, messages: 'hello' }, 'invalid_request', 'messages'], [{ ...ok, messages: [null] }, 'invalid_request', 'messages'],
    [{ ...ok, messages: [{ role: 'wizard', content: 'x' }] }, 'invalid_request', 'messages'], [{ ...ok, messages: [{ role: 'user', content: '' }] }, 'invalid_request', 'messages'],
    [{ ...ok, messages: [{ role: 'user' }] }, 'invalid_request', 'messages'], [{ ...ok, messages: [{ role: 'user', content: 5 }] }, 'invalid_request', 'messages'], [{ ...ok, messages: [{ role: 'user', content: [] }] }, 'invalid_request', 'messages'],
    [{ ...ok, messages: Array.from({ length: 10_000 }, () => QUESTION[0]) }, 'invalid_request', 'messages'],
    [{ ...ok, model: '' }, 'invalid_request', 'model'], [{ ...ok, model: 7 }, 'invalid_request', 'model'], [{ ...ok, stream: 'yes' }, 'invalid_request', 'stream'],
    ['{"model":"A","messages":[{"role":"user","content":"x"}],"temperature":1e999}', 'invalid_request', 'temperature'], [{ ...ok, temperature: -1 }, 'invalid_request', 'temperature'],
    [{ ...ok, max_tokens: 1e300 }, 'invalid_request', 'max_tokens'], [{ ...ok, max_tokens: 1.5 }, 'invalid_request', 'max_tokens'], [{ ...ok, n: 0 }, 'invalid_request', 'n'], [{ ...ok, n: 1000 }, 'invalid_request', 'n'],
    [{ ...ok, seed: 'x' }, 'invalid_request', 'seed'], [{ ...ok, stop: [[]] }, 'invalid_request', 'stop'], [{ ...ok, tools: 'all' }, 'invalid_request', 'tools'],
    [{ model: 'parallax', messages: QUESTION }, 'perspective_required', 'perspective'], [{ ...ok, perspective: 'B' }, 'perspective_conflict', 'perspective'],
    ...[
      7, true, [], ['progressive', 'conservative'], {}, { id: 7 }, { id: 'progressive', summary: true }, { id: 'both', summary: 'yes' }, { id: 'both', colour: 'red' },
      { weights: null }, { weights: [0.5, 0.5] }, { weights: {} }, { weights: { progressive: 0, conservative: 0 } }, { weights: { progressive: -1, conservative: 2 } }, { weights: { progressive: '1' } },
      { weights: { A: 0.5, progressive: 0.5 } }, { weights: { A: 1, B: 1 }, mixture: 'average' }, { weights: { A: 1, B: 1 }, sticky: '' }, { weights: { A: 1, B: 1 }, sticky: 'x'.repeat(257) },
      { weights: { A: 1, B: 1 }, seed: 1.5 }, { weights: { A: 1, B: 1 }, strange: 1 }, { weights: { A: 1, B: 1 }, mixture: 'blend', seed: 1 },
    ].map((perspective): [unknown, string, string] => [{ model: 'parallax', messages: QUESTION, perspective }, 'invalid_request', 'perspective']),
    [{ model: 'parallax', messages: QUESTION, perspective: { weights: { A: 1, B: 1 }, mixture: 'blend' } }, 'mixture_unsupported', 'perspective'],
    [{ model: 'both', messages: QUESTION, n: 2 }, 'invalid_request', 'n'],
    [{ model: 'mix-baseline-0.5', messages: QUESTION }, 'mixture_unsupported', 'perspective'], [{ model: 'mix-0.70', messages: QUESTION, perspective: 'B' }, 'perspective_conflict', 'perspective'],
  ]
  for (const [body, code, param] of cases) {
    const before = gateway.services.audit.size()
    const reply = await gateway.ask(body)
    const error = await refused(t, reply, 400, code, param)
    t.ok(reply.headers.get('x-audit-record'), `on record: ${error.message}`)
    t.equal(gateway.services.audit.size(), before + 1)
  }
  for (const model of ['gpt-4o', 'toString', '../progressive', 'progressive ', '\u0000']) await refused(t, await gateway.ask({ ...ok, model }), 404, 'model_not_found', 'model')
  await refused(t, await gateway.ask({ model: 'parallax', messages: QUESTION, perspective: 'centrist' }), 404, 'unknown_perspective', 'perspective')
  t.equal(gateway.upstreams.progressive.requests.length + gateway.upstreams.conservative.requests.length, 0)
  await stillServes(t, gateway)
})

t.test('a choice in the wrong place is refused with the place that is right, for nothing would be made of it', async (t) => {
  const gateway = await build(t)
  const cases: [object, string, RegExp][] = [
    [{ model: 'both', summary: true }, 'summary', /belongs inside "perspective".+\{"id": "both", "summary": true\}/],
    [{ model: 'mix-0.5', sticky: 'x', seed: 7 }, 'sticky', /belongs inside "perspective"/],
    [{ model: 'conservative', weights: { A: 1, B: 1 } }, 'weights', /belongs inside "perspective"/],
    [{ model: 'progressive', mixture: 'blend' }, 'mixture', /belongs inside "perspective"/],
    [{ model: 'progressive', Perspective: 'conservative' }, 'Perspective', /"perspective", in lower case/],
  ]
  for (const [members, param, words] of cases) t.match((await refused(t, await gateway.ask({ messages: QUESTION, ...members }), 400, 'invalid_request', param)).message, words)
  for (const members of [{ model: 'progressive', sticky: null }, { model: 'conservative', top_k: 5, safe_prompt: true }]) t.equal((await gateway.ask({ messages: QUESTION, ...members })).status, 200, 'the rest is the expert\'s')
})

t.test('who shall answer is said once: of two members of one name none is chosen', async (t) => {
  const gateway = await build(t)
  const messages = JSON.stringify(QUESTION)
  for (const [body, param] of [
    [`{"model":"parallax","perspective":"progressive","perspective":"conservative","messages":${messages}}`, 'perspective'],
    [`{"model" : "conservative","messages":${messages},\n"model"\t:"progressive"}`, 'model'],
  ] as const) t.match((await refused(t, await gateway.ask(body), 400, 'invalid_request', param)).message, /more than once/)
  const elsewhere = [{ role: 'system', content: 'the words "model": and "perspective"' }, { role: 'user', content: 'perspective', name: 'model' }]
  for (const model of ['progressive', 'conservative']) {
    t.equal((await gateway.ask({ model, perspective: model, messages: elsewhere, metadata: { model: '\\"', perspective: [{ model: 'model', perspective: 'model' }] } })).status, 200, 'words and members elsewhere are nobody\'s choice')
  }
})

t.test('a refusal says what was wanted of each member, and which all are at fault', async (t) => {
  const gateway = await build(t)
  const cases: [object, RegExp][] = [
    [{ messages: QUESTION, perspective: 'progressive' }, /^"model" cannot be used: it is missing. Send .+"parallax" beside a "perspective"\.$/],
    [{}, /^"model" cannot be used: .+ Nor can "messages": it is missing\.$/],
    [{ ...ok, stop: 5 }, /^"stop" cannot be used: wanted a text, or a list of at most 16/],
    [{ ...ok, messages: [{ role: 'user', content: 5 }] }, /"messages.0.content" cannot be used: wanted text, or a list/],
    [{ ...ok, messages: Array.from({ length: 9 }, () => ({ role: 'user', content: '' })) }, /Nor can "messages.5.content": .+ \(And 3 more\.\)$/],
  ]
  for (const [body, words] of cases) t.match((await refused(t, await gateway.ask(body), 400, 'invalid_request')).message, words)
})

t.test('invalid UTF-8 is refused, not repaired, and the record holds the bytes as they came', async (t) => {
  const gateway = await build(t)
  const bytes = Buffer.concat([Buffer.from('{"model":"A","messages":[{"role":"user","content":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}]}')])
  const reply = await gateway.ask(bytes)
  const record = await gateway.audit(`/audit/v1/records/${reply.headers.get('x-audit-record')}`)
  await refused(t, reply, 400, 'invalid_encoding')
  t.equal(record.payload.base64, bytes.toString('base64'))
  t.equal(record.payload.text, null)
})

t.test('a member that no request may have is named, and so is a mark that nobody sees', async (t) => {
  const gateway = await build(t)
  const messages = JSON.stringify(QUESTION)
  const cases: [string, RegExp][] = [
    [`{"model":"parallax","perspective":{"weights":{"__proto__":1,"progressive":1}},"messages":${messages}}`, /the member "perspective\.weights\.__proto__"/],
    [`{"model":"parallax","perspective":{"weights":{"\\u005f_proto__":1,"conservative":1}},"messages":${messages}}`, /the member "perspective\.weights\.__proto__"/],
    [`{"model":"A","messages":[{"role":"user","content":"x","constructor":{"prototype":1}}]}`, /the member "messages\.0\.constructor\.prototype"/],
    [`{"model":"A","messages":${'['.repeat(200_000)}{"__proto__":1}${']'.repeat(200_000)}}`, /the member "messages\.0\.0/],
    [`{"model":"A","__proto__":`, /not JSON that can be used: Unexpected end/],
    [`\uFEFF${JSON.stringify(ok)}`, /begins with a byte order mark/],
  ]
  for (const [body, words] of cases) t.match((await refused(t, await gateway.ask(body), 400, 'invalid_json')).message, words)
  await stillServes(t, gateway)
})

t.test('a compressed body is refused as that, whatever is in it', async (t) => {
  const gateway = await build(t)
  for (const body of [gzipSync(JSON.stringify(ok)), JSON.stringify(ok)]) {
    const reply = await gateway.ask(body, { 'content-encoding': 'gzip' })
    t.equal(reply.headers.get('accept-encoding'), 'identity')
    t.match((await refused(t, reply, 415, 'unsupported_media_type')).message, /"Content-Encoding: gzip".+Send the JSON as it is/)
  }
  t.equal((await gateway.ask(ok, { 'content-encoding': 'identity' })).status, 200)
})

t.test('a body of 20 MB is refused, as is one that is not JSON by its type', async (t) => {
  const gateway = await build(t)
  const reply = await gateway.ask(JSON.stringify({ ...ok, padding: 'x'.repeat(20 * 1024 * 1024) }))
  t.match((await refused(t, reply, 413, 'request_too_large')).message, /4194304 bytes/)
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) await refused(t, await gateway.ask(JSON.stringify(ok), { 'content-type': type }), 415, 'unsupported_media_type')
  await stillServes(t, gateway)
})

/** Raw bytes on a socket, for what an HTTP client would refuse to send. */
function raw (gateway: Built, text: string, ms = 3000): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1', () => { socket.write(text) })
    let got = ''
    socket.on('data', (part) => { got += part.toString() })
    socket.on('close', () => { resolve(got) })
    socket.on('error', () => {})
    setTimeout(() => { socket.destroy() }, ms).unref()
  })
}

t.test('a header that tries to inject another is refused or read as one bad name, and never answered from', async (t) => {
  const gateway = await build(t)
  for (const perspective of ['progressive, conservative', 'progressive;mode=both', '"A" "B"', 'progr%0d%0aX-Evil: 1', '\u00e9']) {
    await refused(t, await gateway.ask({ model: 'parallax', messages: QUESTION }, { perspective }), 400, 'invalid_header', 'perspective')
  }
  const body = JSON.stringify({ model: 'parallax', messages: QUESTION })
  const head = `POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${gateway.keys.app}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n`
  const split = await raw(gateway, `${head}Perspective: progressive\r\n conservative\r\n\r\n${body}`)
  t.notMatch(split, /^HTTP\/1.1 200/, 'a folded header')
  const twice = await raw(gateway, `${head}Perspective: progressive\r\nPerspective: conservative\r\n\r\n${body}`)
  t.match(twice, /^HTTP\/1.1 400/)
  t.match(twice, /invalid_header/)
  t.equal(gateway.upstreams.progressive.requests.length + gateway.upstreams.conservative.requests.length, 0)
  await stillServes(t, gateway)
})

t.test('what is not HTTP, and headers without end, are answered and cut', async (t) => {
  const gateway = await build(t)
  t.match(await raw(gateway, 'GARBAGE\r\n\r\n'), /^HTTP\/1.1 400 .*invalid_request/s)
  t.match(await raw(gateway, `GET /v1/models HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(100_000)}\r\n\r\n`), /^HTTP\/1.1 400 .*invalid_header/s)
  t.match(await raw(gateway, 'GET /v1/%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'), /^HTTP\/1.1 404 /)
  await stillServes(t, gateway)
})

t.test('a body that comes drop by drop is cut off after the time that a request may take', async (t) => {
  const gateway = await build(t, { config: { limits: { requestReceiveMs: 700 } } })
  const started = Date.now()
  const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1')
  let got = ''
  socket.on('data', (part) => { got += part.toString() })
  socket.on('error', () => {})
  const closed = new Promise((resolve) => socket.on('close', resolve))
  socket.write(`POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${gateway.keys.app}\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n`)
  const drip = setInterval(() => { if (!socket.destroyed) socket.write('{') }, 100)
  await closed
  clearInterval(drip)
  t.match(got, /^HTTP\/1.1 408 .*request_timeout/s)
  t.ok(Date.now() - started < 10_000, `${Date.now() - started} ms`)
  await stillServes(t, gateway)
})

t.test('a perspective that nobody serves is 503 with the reason and the time to wait, and no other one answers', async (t) => {
  const gateway = await build(t)
  const reply = await gateway.ask({ model: 'baseline', messages: QUESTION })
  t.ok(reply.headers.get('retry-after'))
  t.match((await refused(t, reply, 503, 'expert_unavailable')).message, /No other perspective is used/)
  t.equal(gateway.upstreams.progressive.requests.length + gateway.upstreams.conservative.requests.length, 0)
  await until(async () => (await gateway.leaves()).some((leaf) => leaf.type === 'completion.refused' && leaf['error'] === 'expert_unavailable'))
})

t.test('paths that do not exist are not found, in the shape of their part of the API', async (t) => {
  const gateway = await build(t)
  const openai = await fetch(`${gateway.url}/v1/nothing`)
  t.match([openai.status, (await openai.json() as any).error.code], [404, 'not_found'])
  const problem = await fetch(`${gateway.url}/nothing`)
  t.equal(problem.status, 404)
  t.match(problem.headers.get('content-type'), /problem\+json/)
  t.match((await (await fetch(`${gateway.url}/`)).json() as any).detail, /\/docs/)
  for (const [method, path, allow] of [['GET', '/v1/chat/completions', 'POST'], ['PUT', '/v1/models/progressive', 'GET, HEAD'], ['POST', '/audit/v1/log/tile/0/000', 'GET, HEAD'], ['PATCH', '/admin/v1/keys/k_x', 'DELETE']] as const) {
    const reply = await fetch(`${gateway.url}${path}?q=1`, { method })
    t.match([reply.status, reply.headers.get('allow')], [405, allow], `${method} ${path}`)
    t.match(JSON.stringify(await reply.json()), new RegExp(`method_not_allowed`))
  }
})
