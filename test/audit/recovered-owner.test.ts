/** Ends that recovery writes are their end user's like any others. */
import { cpSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openSqliteLog } from '../../src/audit/sqlite.ts'
import type { AuditLog } from '../../src/audit/log.ts'
import { begin, soundness } from '../contracts/audit-log.ts'
import { effect, states } from '../contracts/transcripts.ts'
import { NO_POSTGRES, startPostgres } from '../fixtures/postgres.ts'
import { replicasOn } from '../fixtures/replicas.ts'
import { temporary } from '../helper.ts'

const server = await startPostgres(t)
const ann = { tenant: 't_1', user: 'ann@example' }

async function check (t: Test, open: (directory: string) => Promise<AuditLog>): Promise<void> {
  const directory = temporary(t)
  const log = await open(directory)
  const exchange = log.open(begin('k_1', { owner: ann }))
  await exchange.begun()
  exchange.chunk(Buffer.from('half an answer'))
  // as a process that died now would leave it
  const died = temporary(t)
  for (const name of readdirSync(directory)) cpSync(join(directory, name), join(died, name), { recursive: true })
  const again = await open(died)
  await again.append([effect('hold.set', { hold: { name: 'case', scope: ann } })])
  await again.append([effect('erasure', { erase: [exchange.record] })])
  await again.append([effect('payload.expired', { expire: { from: 0, before: again.size() } })])
  t.same(await states(again, exchange.record), ['present', 'present'], 'held, the answer that was cut off as well')
  await again.append([effect('hold.lifted', { lift: 'case' })])
  await again.append([effect('erasure', { erase: (await again.transcripts.ofUser(ann, 10)).map((one) => one.record) })])
  t.same(await states(again, exchange.record), ['erased', 'erased'])
  await soundness(t, again)
  await again.close()
  await log.close()
}

t.test('SQLite: a hold on an end user covers the answer that recovery put on record', async (t) => { await check(t, (directory) => openSqliteLog({ directory })) })
t.test('PostgreSQL: a hold on an end user covers the answer that recovery put on record', { skip: server ? false : NO_POSTGRES }, async (t) => {
  const db = replicasOn(server!)
  await check(t, (directory) => db.open(t, { directory }))
})
