/** Erasure and expiry reach every copy: journals, and the other gateways on the same log. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openSqliteLog } from '../../src/audit/sqlite.ts'
import type { AuditLog } from '../../src/audit/log.ts'
import { memoryCache } from '../../src/cache/memory.ts'
import { makeRetention } from '../../src/retention/retention.ts'
import { begin, END, note } from '../contracts/audit-log.ts'
import { effect } from '../contracts/transcripts.ts'
import { NO_POSTGRES, startPostgres } from '../fixtures/postgres.ts'
import { replicasOn } from '../fixtures/replicas.ts'
import { temporary, until } from '../helper.ts'

const server = await startPostgres(t)
const CAUSE = { by: null, reason: 'case 7' }

const journalled = (directory: string): number => readdirSync(join(directory, 'journal')).reduce((sum, name) => sum + statSync(join(directory, 'journal', name)).size, 0)

async function streamed (log: AuditLog): Promise<{ record: string, end: string }> {
  const open = log.open(begin())
  await open.begun()
  open.chunk(Buffer.alloc(5000, 'x'))
  return { record: open.record, end: (await open.end(END)).record }
}

t.test('what expired is not left in the journal', async (t) => {
  const directory = temporary(t)
  const log = await openSqliteLog({ directory })
  const empty = journalled(directory)
  await streamed(log)
  t.ok(journalled(directory) > 5000)
  await log.append([effect('payload.expired', { expire: { from: 0, before: log.size() } })])
  t.equal(journalled(directory), empty)
  await log.close()
})

t.test('what one gateway erases is soon gone from the journals and caches of the others', { skip: server ? false : NO_POSTGRES }, async (t) => {
  const db = replicasOn(server!)
  const directory = temporary(t)
  const [one, two] = [await db.open(t), await db.open(t, { directory })]
  const caches = [memoryCache(1e6), memoryCache(1e6)]
  const retentions = [one, two].map((audit, at) => makeRetention({ audit, cache: caches[at]!, days: null }))
  const empty = journalled(directory)
  const [gone, stays] = [await streamed(two), await streamed(two)]
  for (const [key, source] of [['gone', gone.end], ['stays', stays.end]] as const) await caches[1]!.set(key, { completion: {}, source, stored: Date.now(), tags: [] }, 1000)
  await until(async () => await one.record(gone.end))
  await retentions[0]!.erase({ record: gone.record }, CAUSE)
  await until(async () => await caches[1]!.get('gone') === undefined)
  t.ok(await caches[1]!.get('stays'))
  t.equal(journalled(directory), empty)
  await two.append([note()])
  for (const retention of retentions) await retention.close()
  await Promise.all([one.close(), two.close()])
})

t.test('a hold that another gateway set between the look and the erasure is told: nothing is called erased that was kept', { skip: server ? false : NO_POSTGRES }, async (t) => {
  const db = replicasOn(server!)
  const [one, two] = [await db.open(t), await db.open(t)]
  const { record } = await streamed(one)
  const other = makeRetention({ audit: two, cache: null, days: null })
  const slow = new Proxy(one, {
    get (log, name) {
      if (name === 'append') {
        return async (drafts: Parameters<AuditLog['append']>[0]) => {
          await other.hold('court', { records: [record] }, CAUSE)
          return log.append(drafts)
        }
      }
      const value: unknown = Reflect.get(log, name, log)
      return typeof value === 'function' ? value.bind(log) as unknown : value
    },
  })
  const retention = makeRetention({ audit: slow, cache: null, days: null })
  await t.rejects(retention.erase({ record }, CAUSE), { code: 'record_held', message: /court/ })
  await Promise.all([retention.close(), other.close()])
  await Promise.all([one.close(), two.close()])
})
