/** API keys of two gateways on one database, as their clients meet them, with the times of the real gateway. */
import { randomBytes } from 'node:crypto'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { NO_POSTGRES, startPostgres } from '../fixtures/postgres.ts'
import { build, temporary, until } from '../helper.ts'

const server = await startPostgres(t)
/** The page for operators says "within a second"; a machine that is busy with other tests gets more. */
const PATIENCE_MS = 5000

t.test('a key that one gateway makes, rotates or revokes is so on the other within about a second, without a restart', { skip: server ? false : NO_POSTGRES }, async (t) => {
  const env = { DATABASE_URL: await server!.database(), PARALLAX_KEK: randomBytes(32).toString('base64') }
  const one = await build(t, { env })
  const dataDir = join(temporary(t), 'data')
  cpSync(join(one.dataDir, 'keys.json'), join(dataDir, 'keys.json'))
  const two = await build(t, { env, dataDir })
  const admin = async (method: string, path: string, body?: object): Promise<any> => (await fetch(`${one.url}/admin/v1/keys${path}`, { method, headers: { authorization: `Bearer ${one.keys.admin}`, ...(body && { 'content-type': 'application/json' }) }, ...(body && { body: JSON.stringify(body) }) })).json()
  const heard = async (what: string, secret: string, status: number): Promise<void> => {
    const from = performance.now()
    await until(async () => (await fetch(`${two.url}/v1/feedback`, { headers: { authorization: `Bearer ${secret}` } })).status === status, PATIENCE_MS)
    t.pass(`${what}: heard after ${Math.round(performance.now() - from)} ms`)
  }
  const { secret, key } = await admin('POST', '', { scopes: ['app'] })
  await heard('made', secret, 200)
  const rotated = await admin('POST', `/${key.id}/rotate`, { overlap_seconds: 0 })
  await heard('rotated', rotated.secret, 200)
  await heard('the old one', secret, 401)
  await admin('DELETE', `/${rotated.key.id}`)
  await heard('revoked', rotated.secret, 401)
})
