import t, { type Test } from 'tap'
import { openPostgresLog } from '../../src/audit/postgres.ts'
import { auditLogContract, type Store } from '../contracts/audit-log.ts'
import { transcriptsContract } from '../contracts/transcripts.ts'
import { NO_PGBOUNCER, startPgbouncer } from '../fixtures/pgbouncer.ts'
import { NO_POSTGRES, startPostgres } from '../fixtures/postgres.ts'
import { temporary } from '../helper.ts'

const server = await startPostgres(t)
const pooled = server && await startPgbouncer(t, server)

const store = (t: Test): Store => {
  const directory = temporary(t)
  const url = server!.database().then(pooled)
  return { open: async (options) => openPostgresLog({ url: await url, directory, ...options }) }
}

t.test('PostgreSQL keeps the contracts of log and transcripts through a pooler in transaction mode', { skip: server ? pooled ? false : NO_PGBOUNCER : NO_POSTGRES }, async (t) => {
  auditLogContract(t, store)
  transcriptsContract(t, store)
})
