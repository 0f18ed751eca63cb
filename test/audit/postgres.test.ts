import { randomBytes } from 'node:crypto'
import t from 'tap'
import { openPostgresLog, type PostgresLogOptions } from '../../src/audit/postgres.ts'
import { auditLogContract, soundness, note, begin, END, treeIsSound, type Store } from '../contracts/audit-log.ts'
import { exchange, states, transcriptsContract } from '../contracts/transcripts.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { temporary, until } from '../helper.ts'

const postgres = await startPostgres(t)
if (!postgres) process.exit(0)

/** A database and a first replica's directory. */
function store (t: any, more: Partial<PostgresLogOptions> = {}): Store { // eslint-disable-line typescript/no-explicit-any -- a test or a subtest
  const directory = temporary(t)
  const url = postgres!.database()
  return { open: async () => openPostgresLog({ url: await url, directory, ...more }) }
}

t.test('PostgreSQL keeps the audit log\'s contract', async (t) => { auditLogContract(t, store) })
t.test('PostgreSQL keeps the transcripts\' contract', async (t) => { transcriptsContract(t, store) })
