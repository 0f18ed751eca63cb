import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import * as upstream from '../fixtures/upstream.ts'
import { NO_PGBOUNCER, startPgbouncer } from '../fixtures/pgbouncer.ts'
import { NO_POSTGRES, startPostgres } from '../fixtures/postgres.ts'
import { build, QUESTION, until, type Built } from '../helper.ts'
import { audited } from './stores.ts'

const server = await startPostgres(t)
const pooled = server && await startPgbouncer(t, server)
const skip = server ? false : NO_POSTGRES

const LANES = 8

interface Load {
  readonly receipts: { record: string, index: number, leaf_hash: string }[]
  readonly refused: Map<string, number>
  stop (): Promise<void>
}

/** Whole answers and streams, side by side, until it is stopped. What came back is kept. */
function load (gateway: Built): Load {
  const receipts: Load['receipts'] = []
  const refused = new Map<string, number>()
  let over = false
  const lanes = Array.from({ length: LANES }, async (_, lane) => {
    while (!over) {
      const reply = await gateway.ask({ model: lane % 2 ? 'A' : 'B', stream: lane % 4 > 1, messages: QUESTION })
      const text = await reply.text()
      const receipt = /"audit":(\{[^}]*\})/.exec(text)
      if (receipt) receipts.push(JSON.parse(receipt[1]!))
      const code = /"code":"(\w+)"/.exec(text)?.[1]
      if (code) {
        refused.set(code, (refused.get(code) ?? 0) + 1)
        await sleep(20)
      }
    }
  })
  return { receipts, refused, async stop () { over = true; await Promise.all(lanes) } }
}

const ready = async ({ url }: Built): Promise<number> => (await fetch(`${url}/readyz`)).status

/** Everything that was acknowledged is there, nothing stays open, and a stranger finds nothing wrong. */
async function nothingLost (t: Test, gateway: Built, { receipts, refused }: Load): Promise<void> {
  const settled = await until(async () => {
    const found = await audited(gateway)
    return found.notChecked.some((one) => one.includes('begun and not ended')) ? null : found
  }, 20_000)
  t.same(settled.wrong, [])
  t.same(receipts.filter((one) => settled.lines[one.index]?.leaf_hash !== one.leaf_hash), [], `${receipts.length} receipts, refused: ${JSON.stringify([...refused])}`)
  t.same([...refused.keys()].filter((code) => code !== 'audit_unavailable'), [], 'and refused for no other reason')
}

for (const [way, through, missing] of [['straight', (url: string) => url, false], ['through a pooler in transaction mode', pooled, pooled ? false : NO_PGBOUNCER]] as const) {
  t.test(`the database is restarted under load, ${way}: 503 audit_unavailable, /readyz red, then everything goes on without a restart, and nothing acknowledged is lost`, { skip: skip || missing, timeout: 90_000 }, async (t) => {
    const gateway = await build(t, { env: { DATABASE_URL: through!(await server!.database()) } })
    for (const one of Object.values(gateway.upstreams)) one.reply(upstream.answer({ delay: 2 }))
    const busy = load(gateway)
    for (const mode of ['immediate', 'fast'] as const) {
      const before = busy.receipts.length
      await until(() => busy.receipts.length > before + 40, 20_000)
      await server!.stop(mode)
      const refusal = await until(async () => {
        const reply = await gateway.ask({ model: 'A', messages: QUESTION })
        return reply.status === 503 && reply
      }, 30_000)
      t.match(await refusal.json(), { error: { code: 'audit_unavailable' } })
      t.ok(Number(refusal.headers.get('retry-after')) > 0)
      const red = await fetch(`${gateway.url}/readyz`)
      t.equal(red.status, 503)
      t.match(await red.json(), { checks: { audit: { ok: false, reason: /cannot commit/ } } })
      t.equal((await fetch(`${gateway.url}/healthz`)).status, 200)
      await server!.start()
      await until(async () => await ready(gateway) === 200, 30_000)
    }
    const before = busy.receipts.length
    await until(() => busy.receipts.length > before + 40, 20_000)
    await busy.stop()
    await nothingLost(t, gateway, busy)
  })

  t.test(`its sessions are cut under load, ${way}: whatever happens to a request, nothing acknowledged is lost`, { skip: skip || missing, timeout: 90_000 }, async (t) => {
    const url = await server!.database()
    const gateway = await build(t, { env: { DATABASE_URL: through!(url) } })
    const busy = load(gateway)
    for (let round = 0; round < 6; round++) {
      const before = busy.receipts.length
      await until(() => busy.receipts.length > before + 30, 20_000)
      await server!.admin(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${new URL(url).pathname.slice(1)}'`)
    }
    await until(async () => await ready(gateway) === 200, 20_000)
    await busy.stop()
    await nothingLost(t, gateway, busy)
  })
}

t.test('a database that becomes read-only refuses, and goes on when it can be written again', { skip }, async (t) => {
  const url = await server!.database()
  const name = new URL(url).pathname.slice(1)
  const gateway = await build(t, { env: { DATABASE_URL: url } })
  const busy = load(gateway)
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
