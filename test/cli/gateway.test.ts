import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { controlPath, serveControl } from '../../src/control.ts'
import type { IssuedKeyObject } from '../../src/keys/wire.ts'
import { build, temporary } from '../helper.ts'
import { REAL, run } from './run.ts'

t.test('parallax itself: makes keys in a new data directory, and a gateway that starts there knows them', async (t) => {
  const dataDir = join(temporary(t), 'data')
  const env = { ...process.env, DATA_DIR: dataDir }
  const made = await run(REAL, ['keys', 'create', '--scope', 'admin', '--json'], { env })
  t.equal(made.code, 0, made.err)
  const { secret, key } = JSON.parse(made.out) as IssuedKeyObject
  t.match(JSON.parse((await run(REAL, ['keys', 'list', '--json'], { env })).out), { keys: [{ id: key.id }] })
  t.match(await run(REAL, ['keys', 'list'], { env: { ...env, PORT: 'abc' } }), { code: 1, out: '', err: /PORT/ })
  writeFileSync(join(dataDir, 'keys.json'), '{}') // the helper reads it; there are keys, so none are made
  const gateway = await build(t, { dataDir })
  const reply = await fetch(`${gateway.url}/admin/v1/keys`, { headers: { authorization: `Bearer ${secret}` } })
  t.equal(reply.status, 200)
  t.match((await gateway.leaves()).filter((leaf) => leaf.type === 'key.created'), [{ key: 'k_local', subject: key.id, scopes: ['admin'] }])
})

t.test('parallax speaks to the gateway that runs: its keys work and stop there at once, on record', async (t) => {
  const gateway = await build(t)
  const { app, dataDir, url } = gateway
  const control = await serveControl({ path: controlPath(dataDir), handler: (request, response) => { app.routing(request, response) } })
  t.teardown(() => control.close())
  const keys = (...args: string[]) => run(REAL, ['keys', ...args, '--json', '--data-dir', dataDir])
  const list = (secret: string) => fetch(`${url}/admin/v1/keys`, { headers: { authorization: `Bearer ${secret}` } })
  const made = await keys('create', '--scope', 'admin')
  t.equal(made.code, 0, made.err)
  const { secret, key } = JSON.parse(made.out) as IssuedKeyObject
  t.equal((await list(secret)).status, 200)
  const rotated = JSON.parse((await keys('rotate', key.id)).out) as IssuedKeyObject
  t.equal((await list(secret)).status, 200, 'both work during the overlap')
  t.equal((await list(rotated.secret)).status, 200)
  t.equal((await keys('revoke', key.id)).code, 0)
  t.equal((await list(secret)).status, 401)
  t.match(await keys('revoke', 'k_000000000000'), { code: 1, err: /There is no key/ })
  const leaves = (await gateway.leaves()).filter((leaf) => leaf.key === 'k_local')
  t.same(leaves.map((leaf) => [leaf.type, leaf['subject'], leaf['key_seq']]), [['key.created', key.id, 1], ['key.created', rotated.key.id, 2], ['key.revoked', key.id, 3], ['key.revoked', key.id, 4]])
})

t.test('only an administrator reaches the keys', async (t) => {
  const { url, keys } = await build(t)
  const call = async (method: string, path: string, secret?: string): Promise<number> =>
    (await fetch(`${url}/admin/v1/keys${path}`, { method, ...(secret && { headers: { authorization: `Bearer ${secret}` } }) })).status
  for (const [method, path] of [['GET', ''], ['POST', ''], ['DELETE', '/k_000000000000'], ['POST', '/k_000000000000/rotate']] as const) {
    t.equal(await call(method, path), 401, `${method} without a key`)
    t.equal(await call(method, path, 'plx_wrong'), 401)
    t.equal(await call(method, path, keys.app), 403, `${method} with an app key`)
    t.equal(await call(method, path, keys.auditor), 403, `${method} with an auditor key`)
  }
  t.equal(await call('GET', '', keys.admin), 200)
})
