import { chownSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { NO_POSTGRES, postgresUser, startPostgres } from '../fixtures/postgres.ts'
import { NO_MOUNT, smallDisk } from '../fixtures/small-disk.ts'
import { build, QUESTION, until } from '../helper.ts'
import { load, nothingLost, ready } from './load.ts'

const server = await startPostgres(t)
const skip = server ? false : NO_POSTGRES

t.test('a database that becomes read-only refuses, and goes on when it can be written again', { skip }, async (t) => {
  const url = await server!.database()
  const name = new URL(url).pathname.slice(1)
  const gateway = await build(t, { env: { DATABASE_URL: url } })
  const busy = load(t, gateway)
  await until(() => busy.receipts.length > 20)
  const cut = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`
  await server!.admin(`ALTER DATABASE ${name} SET default_transaction_read_only = on`)
  await server!.admin(cut)
  const red = await until(async () => { const reply = await fetch(`${gateway.url}/readyz`); return reply.status === 503 && reply }, 20_000)
  await until(async () => (await gateway.ask({ model: 'B', messages: QUESTION })).status === 503)
  t.match((await red.json() as any).checks.audit.reason, /read-only|terminat|connection/i)
  await server!.admin(`ALTER DATABASE ${name} RESET default_transaction_read_only`)
  await server!.admin(cut)
  await until(async () => await ready(gateway) === 200, 20_000)
  const before = busy.receipts.length
  await until(() => busy.receipts.length > before + 20)
  await busy.stop()
  await nothingLost(t, gateway, busy)
})

const disk = server && smallDisk(t, 24)

t.test('a database whose disk is full refuses, and goes on when there is room again', { skip: skip || (disk ? false : NO_MOUNT) }, async (t) => {
  const { uid, gid } = postgresUser()
  chownSync(disk!, uid!, gid!)
  await server!.admin(`CREATE TABLESPACE small LOCATION '${disk}'`)
  const url = await server!.database()
  await server!.admin(`ALTER DATABASE ${new URL(url).pathname.slice(1)} SET TABLESPACE small`)
  const gateway = await build(t, { env: { DATABASE_URL: url } })
  const busy = load(t, gateway)
  await until(() => busy.receipts.length > 20)
  const filler = join(disk!, 'filler')
  try { writeFileSync(filler, Buffer.alloc(64 * 1024 * 1024)) } catch { /* as full as it gets */ }
  const red = await until(async () => { const reply = await fetch(`${gateway.url}/readyz`); return reply.status === 503 && reply }, 30_000)
  t.match((await red.json() as any).checks.audit.reason, /No space left|could not extend/)
  rmSync(filler)
  await until(async () => await ready(gateway) === 200, 20_000)
  const before = busy.receipts.length
  await until(() => busy.receipts.length > before + 20, 20_000)
  await busy.stop()
  await nothingLost(t, gateway, busy)
})
