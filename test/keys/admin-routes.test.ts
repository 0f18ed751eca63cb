import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { openKeyStore } from '../../src/keys/sqlite.ts'
import type { IssuedKeyObject, KeyObject } from '../../src/keys/wire.ts'
import { ADMIN, adminApp } from './admin-app.ts'
import { memoryLog } from './memory-log.ts'

async function open (t: Test) {
  const log = memoryLog()
  const store = await openKeyStore({ directory: join(t.testdir(), 'data'), audit: log })
  const { app, logged } = await adminApp(store)
  t.teardown(async () => { await app.close(); store.close() })
  const create = async (payload: object) => await app.inject({ method: 'POST', url: '/admin/v1/keys', payload })
  return { store, log, app, logged, create }
}

t.test('a key is created, listed, rotated and revoked, each by the administrator\'s name', async (t) => {
  const { store, log, app, create } = await open(t)
  const created = await create({ scopes: ['app'], name: 'shop', default_perspective: 'conservative', expires_in_seconds: 3600 })
  t.equal(created.statusCode, 201)
  t.equal(created.headers['cache-control'], 'no-store')
  const { secret, key } = created.json<IssuedKeyObject>()
  t.match(store.find(secret), { key: key.id, name: 'shop', defaultPerspective: 'conservative' })
  t.equal(Date.parse(key.expires_at ?? '') - Date.parse(key.created_at), 3_600_000)

  const listed = await app.inject('/admin/v1/keys')
  t.equal(listed.statusCode, 200)
  t.match(listed.json(), { keys: [{ id: key.id, scopes: ['app'], revoked_at: null, last_used_at: /^2/ }] })
  t.notMatch(listed.body, /plx_/)

  const rotated = await app.inject({ method: 'POST', url: `/admin/v1/keys/${key.id}/rotate`, payload: { overlap_seconds: 60 } })
  t.equal(rotated.statusCode, 201)
  t.equal(rotated.headers['cache-control'], 'no-store')
  const next = rotated.json<IssuedKeyObject>()
  t.equal(next.key.tenant, key.tenant)
  t.ok(store.find(secret))
  t.ok(store.find(next.secret))

  const revoked = await app.inject({ method: 'DELETE', url: `/admin/v1/keys/${key.id}` })
  t.equal(revoked.statusCode, 200)
  t.match(revoked.json(), { id: key.id, revoked_at: /^2/, replaced_by: next.key.id })
  t.equal(store.find(secret), null)
  t.same(new Set(log.leaves.map((leaf) => leaf.key)), new Set([ADMIN.key]))
})

t.test('a key is given limits of its own, and shows them', async (t) => {
  const { store, app, create } = await open(t)
  const quota = { requests_per_minute: 60, tokens_per_day: null }
  const created = await create({ scopes: ['app'], quota })
  t.equal(created.statusCode, 201, created.body)
  const { secret, key } = created.json<IssuedKeyObject>()
  t.same(key.quota, quota)
  t.match(store.find(secret), { quota: { requestsPerMinute: 60, tokensPerMinute: null } })
  t.same((await app.inject('/admin/v1/keys')).json<{ keys: KeyObject[] }>().keys[0]?.quota, quota)
  for (const wrong of [{ requests_per_minute: 0 }, { streams: 1.5 }, { streams: '4' }, { requestsPerMinute: 4 }, [], 'unlimited']) {
    const refused = await create({ scopes: ['app'], quota: wrong })
    t.equal(refused.statusCode, 400, JSON.stringify(wrong))
    t.match(refused.json(), { detail: /quota/ })
  }
})

t.test('rotation without a body leaves the old key a day', async (t) => {
  const { app, create } = await open(t)
  const { key } = (await create({ scopes: ['app'] })).json<IssuedKeyObject>()
  const rotated = await app.inject({ method: 'POST', url: `/admin/v1/keys/${key.id}/rotate` })
  t.equal(rotated.statusCode, 201, rotated.body)
  const { keys: [old] } = (await app.inject('/admin/v1/keys')).json<{ keys: KeyObject[] }>()
  const left = Date.parse(old?.expires_at ?? '') - Date.now()
  t.ok(left > 86_390_000 && left <= 86_400_000, `${left} ms`)
})

t.test('an auditor key made or rotated by an administrator is a warning in the server log, without its secret', async (t) => {
  const { app, logged, create } = await open(t)
  await create({ scopes: ['app', 'admin'] })
  t.same(logged, [])
  const { key, secret } = (await create({ scopes: ['auditor'] })).json<IssuedKeyObject>()
  t.equal(logged.length, 1)
  t.match(JSON.parse(logged[0] ?? ''), { level: 40, key: ADMIN.key, subject: key.id })
  await app.inject({ method: 'POST', url: `/admin/v1/keys/${key.id}/rotate`, payload: {} })
  t.equal(logged.length, 2)
  t.notOk(logged.join('').includes(secret))
})

t.test('what cannot be asked for is a 400 that makes nothing', async (t) => {
  const { store, app, create } = await open(t)
  const bad: unknown[] = [
    {}, { scopes: [] }, { scopes: 'app' }, { scopes: ['root'] }, { scopes: ['app'], name: '' }, { scopes: ['app'], name: 'x'.repeat(101) }, { scopes: ['app'], tenant: '../x' },
    { scopes: ['app'], default_perspective: 'A B' }, { scopes: ['app'], expires_in_seconds: -1 }, { scopes: ['app'], expires_in_seconds: '60' }, { scopes: ['app'], secret: 'plx_mine' }, [], 'app', 7, null,
  ]
  for (const payload of bad) {
    const reply = await app.inject({ method: 'POST', url: '/admin/v1/keys', payload: JSON.stringify(payload), headers: { 'content-type': 'application/json' } })
    t.equal(reply.statusCode, 400, `${JSON.stringify(payload)}: ${reply.body}`)
  }
  t.same(store.list(), [])
  const { key } = (await create({ scopes: ['app'] })).json<IssuedKeyObject>()
  for (const overlap_seconds of [-1, 1.5, 1e9, '60']) {
    t.equal((await app.inject({ method: 'POST', url: `/admin/v1/keys/${key.id}/rotate`, payload: { overlap_seconds } })).statusCode, 400)
  }
  t.equal(store.list().length, 1)
})

t.test('a default perspective that nothing is known by is refused with what there is, and makes nothing', async (t) => {
  const { store, create } = await open(t)
  for (const default_perspective of ['libertarian', 'Z', 'mix-libertarian-0.5', 'mix-2', 'parallax']) {
    const reply = await create({ scopes: ['app'], default_perspective })
    t.equal(reply.statusCode, 400, default_perspective)
    t.match(reply.json(), { detail: /^Wanted default_perspective .*Choose one of: .*progressive, A, conservative, B.*"both".*"mix-0\.50"/ })
    t.ok(reply.body.includes(default_perspective))
  }
  t.same(store.list(), [])
  for (const default_perspective of ['progressive', 'conservative', 'A', 'B', 'both', 'mix-0.70', 'mix-conservative-0.7', null]) t.equal((await create({ scopes: ['app'], default_perspective })).statusCode, 201, String(default_perspective))
})

t.test('an unknown key is a 404, a log that refuses a 503', async (t) => {
  const { app, log, create } = await open(t)
  for (const id of ['k_000000000000', '__proto__', '%00', 'k_%2e%2e']) {
    t.equal((await app.inject({ method: 'DELETE', url: `/admin/v1/keys/${id}` })).statusCode, 404, id)
    t.equal((await app.inject({ method: 'POST', url: `/admin/v1/keys/${id}/rotate` })).statusCode, 404, id)
  }
  const { key } = (await create({ scopes: ['app'] })).json<IssuedKeyObject>()
  log.mode = 'refuse'
  t.equal((await create({ scopes: ['app'] })).statusCode, 503)
  const revoked = await app.inject({ method: 'DELETE', url: `/admin/v1/keys/${key.id}` })
  t.equal(revoked.statusCode, 503)
  t.match(revoked.json(), { detail: /no longer works/ })
})

t.test('the promise of the admin API stands in OpenAPI', async (t) => {
  const { app } = await open(t)
  const { paths = {} } = app.swagger()
  t.same(Object.keys(paths).sort(), ['/admin/v1/keys', '/admin/v1/keys/{id}', '/admin/v1/keys/{id}/rotate'])
  const operations = Object.values(paths).flatMap((path) => Object.values<{ summary?: string, description?: string, tags?: string[], responses?: object }>((path ?? {}) as never))
  t.equal(operations.length, 4)
  for (const operation of operations) {
    t.ok(operation.summary && operation.description)
    t.same(operation.tags, ['admin'])
    for (const status of ['400', '401', '403', '503']) t.hasProp(operation.responses ?? {}, status)
  }
  t.match(JSON.stringify(paths), /application\/problem\+json/)
})
