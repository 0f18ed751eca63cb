import { createHash, hash } from 'node:crypto'
import t from 'tap'
import * as upstream from '../fixtures/upstream.ts'
import { build, events, QUESTION } from '../helper.ts'

const read = (gateway: Awaited<ReturnType<typeof build>>, path: string, key = gateway.keys.auditor) => fetch(`${gateway.url}${path}`, { headers: { authorization: `Bearer ${key}` } })

t.test('an exchange is pulled back by its record id: the request as received, the answer as sent', async (t) => {
  const gateway = await build(t)
  const body = `{ "model": "progressive",  "messages": ${JSON.stringify(QUESTION)} }`
  const reply = await gateway.ask(body)
  const answer = await reply.text()
  const { audit, ...rest } = JSON.parse(answer)
  const record = await gateway.audit(`/audit/v1/records/${reply.headers.get('x-audit-record')}`)
  t.equal(record.payload.text, body)
  t.equal(record.ends.length, 1)
  // the answer that is committed to is the one without its receipt
  t.same(JSON.parse(record.ends[0].payload.text), rest)
  t.equal(answer, `${record.ends[0].payload.text.slice(0, -1)},"audit":${JSON.stringify(audit)}}`)
  t.equal(record.ends[0].index, audit.index)
  t.equal(record.ends[0].leaf_hash, audit.leaf_hash)
  const leaf = JSON.parse(record.ends[0].leaf)
  t.match(leaf, { type: 'completion.end', begin: record.id, status: 'complete', tokens: [11, 7], perspective: { id: 'progressive', mode: 'steerable' }, finish: ['stop'] })
})

t.test('a streamed exchange is on record with the bytes as they were sent', async (t) => {
  const gateway = await build(t)
  const reply = await gateway.ask({ model: 'conservative', messages: QUESTION, stream: true })
  const sent = await reply.text()
  const record = await gateway.audit(`/audit/v1/records/${reply.headers.get('x-audit-record')}`)
  const kept = record.ends[0].payload.text as string
  t.equal(sent.replace(/^: parallax\n\n/, '').replace(/,"audit":\{[^}]*\}/, ''), kept)
  t.match(kept, /\[DONE\]\n\n$/)
})

t.test('hashes and commitments can be recomputed with stock tools', async (t) => {
  const gateway = await build(t)
  const reply = await gateway.ask({ model: 'A', messages: QUESTION })
  await reply.arrayBuffer()
  const record = await gateway.audit(`/audit/v1/records/${reply.headers.get('x-audit-record')}`)
  for (const [one, name] of [[record, 'req_commit'], [record.ends[0], 'res_commit']] as const) {
    t.equal(hash('sha256', Buffer.concat([Buffer.from([0]), Buffer.from(one.leaf)]), 'base64'), one.leaf_hash)
    const parts = [Buffer.from(one.payload.salt, 'base64'), Buffer.from(one.id), Buffer.from(one.payload.base64, 'base64')]
    t.equal(createHash('sha256').update(Buffer.concat(parts)).digest('base64'), JSON.parse(one.leaf)[name])
  }
})

t.test('records are paged by cursor, filtered, and pinned to one state of the log', async (t) => {
  const gateway = await build(t)
  for (const model of ['A', 'B', 'A']) await (await gateway.ask({ model, messages: QUESTION })).arrayBuffer()
  const ends = await gateway.audit('/audit/v1/records?type=completion.end')
  t.same(ends.data.map((one: any) => JSON.parse(one.leaf).perspective.id), ['progressive', 'conservative', 'progressive'])
  t.equal((await gateway.audit('/audit/v1/records?perspective=conservative')).data.length, 2)
  t.equal((await gateway.audit('/audit/v1/records?status=client_abort')).data.length, 0)
  const pages: number[] = []
  const first = await gateway.audit('/audit/v1/records?limit=2')
  for (let page = first; ; page = await gateway.audit(`/audit/v1/records?limit=2&after_index=${page.next}&as_of=${first.as_of}`)) {
    pages.push(...page.data.map((one: any) => one.index))
    if (page.next === null) break
  }
  t.same(pages, Array.from({ length: first.as_of }, (_, index) => index))
  const now = Date.now()
  t.equal((await gateway.audit(`/audit/v1/records?from=${now + 60_000}`)).data.length, 0)
  t.equal((await gateway.audit(`/audit/v1/records?to=${encodeURIComponent(new Date(now - 600_000).toISOString())}`)).data.length, 0)
  t.equal((await gateway.audit(`/audit/v1/records?from=${now - 600_000}&type=completion.begin`)).data.length, 3)
})

t.test('an export streams every record, and its manifest can be checked with sha256sum', async (t) => {
  const gateway = await build(t)
  for (const model of ['A', 'B']) await events(await gateway.ask({ model, messages: QUESTION, stream: true }))
  const reply = await read(gateway, '/audit/v1/export')
  t.match(reply.headers.get('content-type'), /ndjson/)
  t.equal(reply.headers.get('cache-control'), 'private, no-store')
  const text = await reply.text()
  const lines = text.trimEnd().split('\n')
  const { manifest } = JSON.parse(lines.pop()!)
  t.equal(manifest.count, lines.length)
  t.equal(manifest.sha256, hash('sha256', lines.map((line) => `${line}\n`).join('')))
  t.ok(lines.some((line) => JSON.parse(line).payload.text?.includes('universal healthcare')))
})

t.test('every reading is itself a record, before anything is shown', async (t) => {
  const gateway = await build(t)
  await gateway.audit('/audit/v1/records?limit=1')
  await gateway.audit('/audit/v1/records/01900000-0000-7000-8000-000000000000')
  await (await read(gateway, '/audit/v1/export')).text()
  t.same((await gateway.leaves()).filter((leaf) => leaf.type === 'audit.read').map((leaf) => leaf['read']), ['records', 'record', 'export'])
})

t.test('transcripts are the auditor\'s: an app\'s and an admin\'s key are refused', async (t) => {
  const gateway = await build(t)
  for (const path of ['/audit/v1/records', '/audit/v1/records/01900000-0000-7000-8000-000000000000', '/audit/v1/export']) {
    for (const key of [gateway.keys.app, gateway.keys.admin]) {
      const reply = await read(gateway, path, key)
      t.equal(reply.status, 403, path)
      t.match(await reply.json(), { code: 'insufficient_scope', status: 403 })
      t.match((await gateway.leaves()).at(-1), { type: 'access.refused', id: reply.headers.get('x-audit-record'), error: 'insufficient_scope', http_status: 403, method: 'GET', route: path.replace(/01900000.*/, ':id') }, 'that it was tried is on record')
    }
    t.equal((await fetch(`${gateway.url}${path}`)).status, 401)
  }
  const { key, tenant } = gateway.services.keys.find(gateway.keys.app)!
  const posted = await fetch(`${gateway.url}/admin/v1/keys`, { method: 'POST', headers: { authorization: `Bearer ${gateway.keys.app}`, 'content-type': 'application/json' }, body: '{"scopes":["auditor"]}' })
  t.match((await gateway.leaves()).at(-1), { type: 'access.refused', id: posted.headers.get('x-audit-record'), key, tenant, method: 'POST', route: '/admin/v1/keys' })
  t.equal((await gateway.audit(`/audit/v1/records/${posted.headers.get('x-audit-record')}`)).payload.state, 'none')
  const found = await gateway.audit('/audit/v1/records?type=access.refused')
  t.equal(found.data.length, 7)
})

t.test('a key cannot make the log grow by trying what it may not do: each try counts as a request', async (t) => {
  const gateway = await build(t)
  const { secret } = await gateway.services.keys.create({ scopes: ['app'], quota: { requestsPerMinute: 3 } }, null)
  const tries: [number, boolean][] = []
  for (let at = 0; at < 5; at++) {
    const reply = await read(gateway, '/audit/v1/records', secret)
    tries.push([reply.status, reply.headers.has('x-audit-record')])
  }
  t.same(tries, [[403, true], [403, true], [403, true], [429, false], [429, false]])
  t.equal((await gateway.leaves()).filter(({ type }) => type === 'access.refused').length, 3)
})

t.test('a bad query is a problem that names the member', async (t) => {
  const gateway = await build(t)
  for (const query of ['limit=0', 'limit=1001', 'after_index=x', 'type=nothing', 'from=yesterday', 'as_of=999999']) {
    const reply = await read(gateway, `/audit/v1/records?${query}`)
    t.equal(reply.status, 400, query)
    t.match(await reply.json(), { code: 'invalid_request', param: query.split('=')[0] }, query)
  }
  t.equal((await read(gateway, '/audit/v1/records/not-a-uuid')).status, 400)
  for (const [query, words] of [['limit=x', /"limit": wanted a whole number; it is "x"\.$/], ['from=abc', /"from": wanted a time as ISO 8601.+; it is "abc"\.$/]] as const) t.match((await (await read(gateway, `/audit/v1/records?${query}`)).json() as any).detail, words)
})

t.test('a filter that nobody knows is refused, not ignored, and a perspective is found by its alias', async (t) => {
  const gateway = await build(t)
  for (const model of ['A', 'B', 'A']) await (await gateway.ask({ model, messages: QUESTION })).arrayBuffer()
  const before = gateway.services.audit.size()
  for (const path of ['records?foo=1', 'records?perspectives=A&limit=1', 'export?foo=1', 'export?format=csv&stauts=complete', 'records/01900000-0000-7000-8000-000000000000?foo=1', 'log/tile/entries/000?foo=1']) {
    const reply = await read(gateway, `/audit/v1/${path}`)
    t.equal(reply.status, 400, path)
    t.match(await reply.json(), { code: 'invalid_request', param: /foo|perspectives|stauts/, detail: /there is no ".+" here; .+ can be set/ }, path)
  }
  t.equal(gateway.services.audit.size(), before, 'nothing was read')
  t.equal((await fetch(`${gateway.url}/admin/v1/feedback/export?consnt=true`, { headers: { authorization: `Bearer ${gateway.keys.admin}` } })).status, 400, 'nor is everybody\'s feedback taken for what may train')
  for (const [name, ends] of [['A', 2], ['progressive', 2], ['B', 1], ['conservative', 1], ['long-gone', 0]] as const) {
    t.equal((await gateway.audit(`/audit/v1/records?type=completion.end&perspective=${name}`)).data.length, ends, name)
    t.match(await (await read(gateway, `/audit/v1/export?type=completion.end&perspective=${name}`)).text(), new RegExp(`"count":${ends}\\b`))
  }
})

t.test('an export as CSV opens in a spreadsheet and runs nothing there', async (t) => {
  const gateway = await build(t)
  gateway.upstreams.progressive.reply(upstream.json({ content: '=HYPERLINK("http://evil.example")' }))
  await (await gateway.ask({ model: 'A', messages: [{ role: 'user', content: 'a "quoted",\nbroken line' }] })).arrayBuffer()
  await gateway.services.audit.append([{ type: 'feedback', id: '=1+1', key: null, fields: {}, payload: Buffer.from('@SUM(A1)') }])
  const reply = await read(gateway, '/audit/v1/export?format=csv')
  t.match(reply.headers.get('content-type'), /^text\/csv/)
  const text = await reply.text()
  t.match(text, /^index,id,type,time,key,key_seq,perspective,status,leaf_hash,leaf,transcript\r\n/)
  t.match(text, /,completion\.end,\d{4}-\d\d-\d\dT[^,]+,k_[0-9a-f]{12},\d+,progressive,complete,/)
  t.match(text, /,'=1\+1,feedback,/)
  t.match(text, /,'@SUM\(A1\)\r\n/)
  t.notMatch(text, /(^|,)[=@]/m, 'no cell begins a formula')
  t.equal((await read(gateway, '/audit/v1/export?format=xlsx')).status, 400)
})
