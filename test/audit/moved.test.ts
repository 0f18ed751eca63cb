import { existsSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import t from 'tap'
import { openAuditLog } from '../../src/audit/open.ts'
import { NO_POSTGRES, startPostgres } from '../fixtures/postgres.ts'
import { temporary } from '../helper.ts'

const server = await startPostgres(t)

const settings = (dataDir: string, databaseUrl?: string) => ({ dataDir, audit: { origin: undefined, kekFile: undefined, retentionDays: 0, anchors: [] }, kek: undefined, databaseUrl })

t.test('DATABASE_URL set on the data directory of a SQLite log: the start says what to do, and the database stays free', { skip: server ? false : NO_POSTGRES }, async (t) => {
  const [used, fresh, url] = [temporary(t), temporary(t), await server!.database()]
  await (await openAuditLog(settings(used))).close()
  await t.rejects(openAuditLog(settings(used, url)), { message: /holds no log, and .* belongs to one\. Nothing was changed\..*set DATA_DIR to another directory/ })
  const client = new pg.Client(url)
  await client.connect()
  t.same((await client.query('SELECT name FROM parallax.meta WHERE name IN (\'keks\', \'log_key\')')).rows, [])
  await client.end()
  await (await openAuditLog(settings(fresh, url))).close()
  await (await openAuditLog(settings(used))).close()
})

t.test('DATABASE_URL unset on the data directory of a PostgreSQL log: the start names that as the likely cause', { skip: server ? false : NO_POSTGRES }, async (t) => {
  const [directory, url] = [temporary(t), await server!.database()]
  await (await openAuditLog(settings(directory, url))).close()
  await t.rejects(openAuditLog(settings(directory)), { message: /is of the log .*, configured is .*DATABASE_URL.* was just set or unset, undo that/s })
  t.ok(existsSync(join(directory, 'checkpoint')))
  await (await openAuditLog(settings(directory, url))).close()
})
