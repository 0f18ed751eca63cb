import t from 'tap'
import * as upstream from '../fixtures/upstream.ts'
import { NO_PGBOUNCER, startPgbouncer } from '../fixtures/pgbouncer.ts'
import { NO_POSTGRES, startPostgres } from '../fixtures/postgres.ts'
import { build, QUESTION, until } from '../helper.ts'
import { load, nothingLost, ready } from './load.ts'

const server = await startPostgres(t)
const pooled = server && await startPgbouncer(t, server)
const skip = server ? false : NO_POSTGRES

for (const [way, through, missing] of [['straight', (url: string) => url, false], ['through a pooler in transaction mode', pooled, pooled ? false : NO_PGBOUNCER]] as const) {
  t.test(`the database is restarted under load, ${way}: 503 audit_unavailable, /readyz red, then everything goes on without a restart, and nothing acknowledged is lost`, { skip: skip || missing, timeout: 90_000 }, async (t) => {
    const gateway = await build(t, { env: { DATABASE_URL: through!(await server!.database()) } })
    for (const one of Object.values(gateway.upstreams)) one.reply(upstream.answer({ delay: 2 }))
    const busy = load(t, gateway)
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
    const busy = load(t, gateway)
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
