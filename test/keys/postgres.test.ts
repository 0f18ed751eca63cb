import { cpSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import t from 'tap'
import { openDatabase } from '../../src/database/database.ts'
import type { KeyStore } from '../../src/keys/keys.ts'
import { openPostgresKeys, type PostgresKeysOptions } from '../../src/keys/postgres.ts'
import { REAL, run } from '../cli/run.ts'
import { keyStoreContract } from '../contracts/key-store.ts'
import { NO_PGBOUNCER, startPgbouncer } from '../fixtures/pgbouncer.ts'
import { NO_POSTGRES, startPostgres } from '../fixtures/postgres.ts'
import { build, QUESTION, temporary, until } from '../helper.ts'
import { memoryLog } from './memory-log.ts'

const server = await startPostgres(t)
const pooled = server && await startPgbouncer(t, server)
const skip = server ? false : NO_POSTGRES

const PEPPER = Buffer.alloc(32, 9)

/** A gateway's: with connections of its own. */
async function openOn (url: string, options: Omit<PostgresKeysOptions, 'database' | 'pepper'>): Promise<KeyStore> {
  const database = await openDatabase(url)
  const store = await openPostgresKeys({ database, pepper: PEPPER, ...options })
  const close = store.close.bind(store)
  let closed: Promise<void> | undefined
  store.close = () => closed ??= (async () => {
    await close()
    await database.end()
  })()
  return store
}

const contractAt = (t: any, address: (url: string) => string): void => { // eslint-disable-line typescript/no-explicit-any -- a test
  keyStoreContract(t, () => {
    const url = server!.database().then(address)
    return async (options) => openOn(await url, options)
  })
}

t.test('PostgreSQL keeps the contract of keys', { skip }, async (t) => { contractAt(t, (url) => url) })
t.test('so it does through a pooler in transaction mode', { skip: skip || (pooled ? false : NO_PGBOUNCER) }, async (t) => { contractAt(t, pooled!) })

t.test('what one gateway does to a key, the others on the same database hear', { skip }, async (t) => {
  const url = await server!.database()
  const log = memoryLog()
  const [one, two] = await Promise.all([openOn(url, { audit: log, hearMs: 20 }), openOn(url, { audit: log, hearMs: 20 })])
  const { secret, record } = await one.create({ scopes: ['app'], name: 'first' }, null)
  const caller = await until(() => two.find(secret))
  t.match(caller, { key: record.id, tenant: record.tenant, name: 'first' })
  const rotated = (await two.rotate(record.id, 60, null))!
  await until(() => one.find(rotated.secret))
  t.ok(one.find(secret), 'during the overlap')
  t.equal(two.find(secret), caller, 'the same object each time')
  await one.revoke(record.id, null)
  await until(() => two.find(secret) === null)
  t.ok(two.find(rotated.secret))
  t.same(two.list().map((key) => [key.id, key.revoked !== null, key.replacedBy]), [[record.id, true, rotated.record.id], [rotated.record.id, false, null]])
  t.same(log.leaves.map((leaf) => leaf.type), ['key.created', 'key.created', 'key.revoked', 'key.revoked'])
  await Promise.all([one.close(), two.close()])
})

t.test('two gateways that change one key at once: one rotation, and a revocation that nothing gets in the way of', { skip }, async (t) => {
  const url = await server!.database()
  const log = memoryLog()
  const [one, two] = await Promise.all([openOn(url, { audit: log, hearMs: 60_000 }), openOn(url, { audit: log, hearMs: 60_000 })])
  const { secret, record } = await one.create({ scopes: ['app'] }, null)
  await two.close()
  const late = await openOn(url, { audit: log, hearMs: 60_000 })
  const results = await Promise.allSettled([one.rotate(record.id, 60, null), late.rotate(record.id, 60, null)])
  t.same(results.map((result) => result.status).sort(), ['fulfilled', 'rejected'])
  t.match((results.find((result) => result.status === 'rejected') as PromiseRejectedResult).reason, { code: 'invalid_request', message: /already rotated/ })
  const behind = results[0].status === 'rejected' ? late : one
  const before = results[0].status === 'rejected' ? one : late
  // whoever has not heard of the rotation revokes what he knows
  t.match(await before.revoke(record.id, null), { revoked: Number })
  t.equal(before.find(secret), null)
  t.match(await behind.revoke(record.id, null), { revoked: Number })
  t.equal(behind.find(secret), null)
  const again = await openOn(url, { audit: log })
  t.equal(again.list().length, 2)
  t.equal(again.find(secret), null)
  await Promise.all([one.close(), late.close(), again.close()])
})

t.test('the database holds no secret; one that is away lets no change be made, and says why', { skip }, async (t) => {
  const url = await server!.database()
  const log = memoryLog()
  const store = await openOn(url, { audit: log })
  const { secret, record } = await store.create({ scopes: ['app'] }, null)
  const client = new pg.Client(url)
  await client.connect()
  t.notOk(JSON.stringify((await client.query('SELECT * FROM parallax.key')).rows).includes(secret.slice(4, 34)))
  await client.end()
  await server!.stop('fast')
  await t.rejects(store.create({ scopes: ['app'] }, null), { code: 'audit_unavailable', message: /database of the keys/ })
  await t.rejects(store.revoke(record.id, null), { code: 'audit_unavailable' })
  await server!.start()
  t.match(await store.revoke(record.id, null), { revoked: Number })
  await store.close()
})

t.test('two gateways on one DATABASE_URL: a key made on one works on the other, its owner gets the receipt there, and the command knows the same keys', { skip }, async (t) => {
  const env = { DATABASE_URL: await server!.database(), PARALLAX_KEK: Buffer.alloc(32, 7).toString('base64') }
  const one = await build(t, { env })
  const second = join(temporary(t), 'data')
  cpSync(join(one.dataDir, 'keys.json'), join(second, 'keys.json'))
  const two = await build(t, { env, dataDir: second })
  const body = JSON.stringify({ model: 'A', messages: QUESTION })
  const headers = { authorization: `Bearer ${one.keys.app}`, 'content-type': 'application/json' }
  const asked = await fetch(`${two.url}/v1/chat/completions`, { method: 'POST', headers, body })
  t.equal(asked.status, 200)
  await asked.arrayBuffer()
  t.equal((await fetch(`${one.url}/audit/v1/receipts/${asked.headers.get('x-audit-record')}`, { headers })).status, 200, 'the same tenant everywhere')
  const listed = await run(REAL, ['keys', 'list', '--json', '--data-dir', join(temporary(t), 'elsewhere')], { env: { ...process.env, PARALLAX_MODEL: 'none', ...env } })
  t.equal(JSON.parse(listed.out).keys.length, one.services.keys.list().length)
})
