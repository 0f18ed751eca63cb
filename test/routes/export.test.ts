import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { parseCheckpoint } from '../../src/audit/note.ts'
import { build, QUESTION, until, type Built } from '../helper.ts'
import { audited } from '../stores/stores.ts'

const pull = async ({ url, keys }: Built, query = ''): Promise<{ lines: any[], manifest: any, text: string }> => {
  const text = await (await fetch(`${url}/audit/v1/export${query}`, { headers: { authorization: `Bearer ${keys.auditor}` } })).text()
  const lines = text.trimEnd().split('\n').map((line) => JSON.parse(line))
  return { text, manifest: lines.pop().manifest, lines }
}

t.test('an export that is pinned is the same to the byte whenever it is pulled, whatever was written since', async (t) => {
  const gateway = await build(t)
  await (await gateway.ask({ model: 'A', messages: QUESTION })).arrayBuffer()
  const asOf = gateway.services.audit.size()
  const first = await pull(gateway, `?as_of=${asOf}`)
  await (await gateway.ask({ model: 'B', messages: QUESTION })).arrayBuffer()
  const second = await pull(gateway, `?as_of=${asOf}`)
  t.same(second.lines, first.lines)
  t.equal(second.manifest.sha256, first.manifest.sha256)
  t.match(second.manifest, { count: asOf, first_index: 0, last_index: asOf - 1, as_of: asOf })
})

t.test('an export ends where its checkpoint does, while the log goes on growing: the signed root can always be checked', async (t) => {
  const gateway = await build(t)
  let over = false
  const growing = (async () => { while (!over) await gateway.services.audit.append([{ type: 'feedback', id: crypto.randomUUID(), key: 'k_1', fields: {} }]) })()
  for (let at = 0; at < 5; at++) {
    const { manifest } = await pull(gateway)
    const { size } = parseCheckpoint(manifest.checkpoint)
    t.same([manifest.as_of, manifest.count, manifest.last_index], [size, size, size - 1])
    const { wrong, checked } = await audited(gateway)
    t.same(wrong, [])
    t.ok(checked.some((one) => one.startsWith('the signed checkpoint over')))
  }
  over = true
  await growing
})

t.test('an export is filtered as records are, by key, status, perspective, time and cursor, and its manifest says what it holds', async (t) => {
  const gateway = await build(t)
  const other = await gateway.services.keys.create({ scopes: ['app'] }, null)
  for (const key of [gateway.keys.app, other.secret]) await (await gateway.ask({ model: 'B', messages: QUESTION }, { authorization: `Bearer ${key}` })).arrayBuffer()
  const key = (await gateway.leaves()).findLast((leaf) => leaf.type === 'completion.end')!['key'] as string
  const mine = await pull(gateway, `?key=${key}`)
  t.same(mine.lines.map((line) => JSON.parse(line.leaf).type), ['completion.begin', 'completion.end'])
  t.match(mine.manifest, { count: 2, first_index: mine.lines[0].index, last_index: mine.lines[1].index })
  t.equal((await pull(gateway, '?status=complete')).manifest.count, 2)
  t.equal((await pull(gateway, '?status=complete&perspective=progressive')).manifest.count, 0)
  t.match((await pull(gateway, '?perspective=nobody')).manifest, { count: 0, first_index: null, last_index: null })
  t.equal((await pull(gateway, `?after_index=${mine.lines[0].index}&type=completion.end`)).lines[0].index, mine.lines[1].index)
  const soon = encodeURIComponent(new Date(Date.now() + 60_000).toISOString())
  t.equal((await pull(gateway, `?from=${soon}`)).manifest.count, 0)
  const reading = (await gateway.leaves()).findLast((leaf) => leaf.type === 'audit.read')!
  t.match(reading, { read: 'export', query: { format: 'ndjson' } }, 'what was asked for is on record')
})

t.test('an export streams: a reader that does not read holds it up, and one that leaves ends it', async (t) => {
  const gateway = await build(t)
  const { audit } = gateway.services
  for (let at = 0; at < 20; at++) await audit.append(Array.from({ length: 100 }, () => ({ type: 'feedback' as const, id: crypto.randomUUID(), key: null, fields: {}, payload: Buffer.alloc(20_000, 'x') })))
  let told = 0
  let over = false
  const stream = audit.stream.bind(audit)
  audit.stream = async function * (query) {
    try { for await (const one of stream(query)) { told++; yield one } } finally { over = true }
  }
  const leaving = new AbortController()
  const reply = await fetch(`${gateway.url}/audit/v1/export`, { signal: leaving.signal, headers: { authorization: `Bearer ${gateway.keys.auditor}` } })
  const reader = reply.body!.getReader()
  await reader.read()
  let before = -1
  await until(async () => { const still = told === before; before = told; await sleep(150); return still })
  t.ok(told > 0 && told < 1000, `${told} of ${audit.size()} records were read for somebody who reads nothing`)
  leaving.abort()
  await reader.read().catch(() => {})
  await until(() => over)
  t.pass('and none is read for nobody')
  t.equal((await gateway.ask({ model: 'A', messages: QUESTION })).status, 200)
})

t.test('nothing of a transcript is an administrator\'s or another\'s to read, on any path', async (t) => {
  const gateway = await build(t)
  const reply = await gateway.ask({ model: 'A', messages: QUESTION })
  await reply.arrayBuffer()
  const record = reply.headers.get('x-audit-record')!
  const status = async (path: string, key: string): Promise<number> => (await fetch(`${gateway.url}${path}`, { headers: { authorization: `Bearer ${key}` } })).status
  for (const path of ['/audit/v1/records', `/audit/v1/records/${record}`, '/audit/v1/export', '/audit/v1/export?format=csv', '/audit/v1/log/tile/entries/000.p/2']) {
    t.equal(await status(path, gateway.keys.admin), 403, `admin, ${path}`)
    t.equal(await status(path, gateway.keys.app), 403, `app, ${path}`)
    t.equal(await status(path, gateway.keys.auditor), 200, `auditor, ${path}`)
  }
  t.equal(await status(`/audit/v1/receipts/${record}`, gateway.keys.admin), 403)
  t.equal(await status(`/audit/v1/receipts/${record}`, gateway.keys.app), 200)
})
