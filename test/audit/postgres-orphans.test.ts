import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import t from 'tap'
import { openPostgresLog } from '../../src/audit/postgres.ts'
import { soundness } from '../contracts/audit-log.ts'
import { NO_POSTGRES, startPostgres } from '../fixtures/postgres.ts'
import { temporary, until } from '../helper.ts'

const WRITER = fileURLToPath(new URL('../fixtures/audit-writer.ts', import.meta.url))
const server = await startPostgres(t)

t.test('a replica dies with begins that have no place yet, and comes back while another holds the sequencer: each is closed, without a further restart', { skip: server ? false : NO_POSTGRES }, async (t) => {
  const url = await server!.database()
  const directory = temporary(t)
  const kek = { keys: randomBytes(32).toString('base64') }
  const child = fork(WRITER, [directory, url, kek.keys], { execArgv: [], stdio: 'ignore' })
  let receipts = 0
  child.on('message', (message: any) => { if (message.receipt) receipts++ })
  await until(() => receipts > 30, 20_000)
  const client = new pg.Client(url)
  await client.connect()
  await client.query('BEGIN; SELECT pg_advisory_xact_lock(hashtextextended(\'parallax sequencer\', 0))')
  const pending = async (): Promise<number> => (await server!.query(url, 'SELECT 1 FROM parallax.pending')).length
  await until(async () => await pending() > 0)
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
  const opening = openPostgresLog({ url, directory, kek, tendMs: 50 })
  const released = new Promise((resolve) => setTimeout(resolve, 800)).then(() => client.query('COMMIT')).then(() => client.end())
  const log = await opening
  await released
  await until(async () => await pending() === 0)
  await until(async () => (await server!.query(url, 'SELECT 1 FROM parallax.open_record')).length === 0)
  await soundness(t, log)
  await log.close()
})
