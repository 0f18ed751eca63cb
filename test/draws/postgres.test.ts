import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { openDatabase, type Database } from '../../src/database/database.ts'
import { postgresEpochs } from '../../src/draws/postgres.ts'
import { newId } from '../../src/ids.ts'
import { ask, epochsContract, world, type OpenEpochs } from '../contracts/epochs.ts'
import { NO_PGBOUNCER, startPgbouncer } from '../fixtures/pgbouncer.ts'
import { NO_POSTGRES, startPostgres } from '../fixtures/postgres.ts'
import { until } from '../helper.ts'

const server = await startPostgres(t)
const pooled = server && await startPgbouncer(t, server)
const skip = server ? false : NO_POSTGRES

/** Each handle with connections of its own, as each replica has. */
async function fresh (t: Test, through = (url: string): string => url): Promise<{ open: OpenEpochs, database: Database, key: Uint8Array }> {
  const url = through(await server!.database())
  const key = randomBytes(32)
  const pools: Database[] = []
  t.teardown(async () => { await Promise.all(pools.map((pool) => pool.end())) })
  for (let replica = 0; replica < 4; replica++) pools.push(await openDatabase(url, 2))
  let opened = 0
  return { open: () => postgresEpochs(pools[opened++ % pools.length]!, key), database: pools[0]!, key }
}

t.test('straight to the server', { skip }, (t) => {
  epochsContract(t, async (t) => (await fresh(t)).open)
  t.end()
})

t.test('through a pooler in transaction mode', { skip: skip || (pooled ? false : NO_PGBOUNCER) }, (t) => {
  epochsContract(t, async (t) => (await fresh(t, pooled!)).open)
  t.end()
})

t.test('who reads the database does not learn a secret, and a store with another key does not draw from it', { skip }, async (t) => {
  const { open, database } = await fresh(t)
  const secret = randomBytes(32)
  await open().begin({ epoch: 7, secret, until: 2000, leaf: newId(), committed: false }, null)
  const { rows } = await database.query<{ secret: Buffer }>('SELECT secret FROM parallax.draw_epoch')
  t.equal(rows.length, 1)
  t.notOk(rows[0]!.secret.includes(secret.subarray(0, 8)))
  await t.rejects(postgresEpochs(database, randomBytes(32)).latest())
})

t.test('a database that is away means no draw, with the reason and a time to come back; then it goes on by itself', { skip }, async (t) => {
  const { open } = await fresh(t)
  const { log, open: replica } = world(t, open)
  const draws = replica()
  const before = await draws.draw(ask({ sticky: 'c' }))
  await server!.stop('fast')
  await t.rejects(draws.draw(ask({ sticky: 'new' })), { code: 'audit_unavailable', message: /by its name/ })
  t.same(await draws.draw(ask({ sticky: 'c' })), before, 'what is known here needs no database')
  await server!.start()
  await until(async () => draws.draw(ask({ sticky: 'new' })).catch(() => false))
  t.same(log.events(), ['begun'])
})
