import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import t from 'tap'
import { openPostgresLog } from '../../src/audit/postgres.ts'
import { begin, END } from '../contracts/audit-log.ts'
import { NO_POSTGRES, startPostgres } from '../fixtures/postgres.ts'
import { temporary } from '../helper.ts'

const WRITER = fileURLToPath(new URL('../fixtures/paced-writer.ts', import.meta.url))
const EXCHANGES = 20

/** Power loss cannot be tried out; what can be seen is that the disk was waited for before anything was promised. */
const traceable = spawnSync('strace', ['-f', '-e', 'trace=fdatasync', 'true']).status === 0
const skip = traceable || process.env['CI'] === 'true' ? false : 'strace is missing or not allowed here (apt-get install strace)'

t.test('SQLite: between any two promises of a begin or an end the write-ahead log was fsynced, and a chunk was written', { skip }, async (t) => {
  const directory = temporary(t)
  const trace = join(temporary(t), 'trace')
  const data = join(directory, 'data')
  const { status, stderr } = spawnSync('/bin/sh', ['-c', 'unset NODE_OPTIONS; exec strace "$@"', 'sh', '-f', '-y', '-s', '40', '-e', 'trace=fsync,fdatasync,write,pwrite64,writev', '-o', trace, process.execPath, WRITER, data, String(EXCHANGES)], { encoding: 'utf8', timeout: 100_000 })
  t.equal(status, 0, stderr)
  const promised = { begin: 0, chunk: 0, end: 0 }
  const early: string[] = []
  let synced = 0
  let journalled = 0
  // of a call that another thread interrupts, strace writes the beginning (with the file) and the result apart
  const waiting = new Set<string>()
  for (const line of readFileSync(trace, 'utf8').split('\n')) {
    const [thread] = line.split(' ', 1)
    if (/f(data)?sync\(\d+<[^>]*audit\.db-wal>/.test(line)) {
      if (line.endsWith('= 0')) synced++
      else waiting.add(thread!)
    } else if (/f(data)?sync resumed>.*= 0$/.test(line) && waiting.delete(thread!)) synced++
    if (/write\w*\(\d+<[^>]*\.journal>/.test(line)) journalled++
    const what = /write\(1<[^>]*>, "PROMISED (\w+)/.exec(line)?.[1] as 'start' | keyof typeof promised | undefined
    if (!what) continue
    if (what === 'chunk' ? journalled === 0 : synced === 0) early.push(`${what} ${JSON.stringify(promised)}`)
    synced = journalled = 0
    if (what !== 'start') promised[what]++
  }
  t.same(promised, { begin: EXCHANGES / 2, chunk: EXCHANGES / 2, end: EXCHANGES })
  t.same(early, [], 'promised before it was on the disk')
})

const server = await startPostgres(t)

t.test('PostgreSQL: each begin and each end is in a write-ahead log that was fsynced', { skip: server ? false : NO_POSTGRES }, async (t) => {
  const url = await server!.database()
  const log = await openPostgresLog({ url, directory: temporary(t), tendMs: 60_000 })
  const client = new pg.Client(url)
  await client.connect()
  /** How far the server has flushed; unlike the counters of pg_stat_wal it is told without delay. */
  const flushed = async (): Promise<bigint> => BigInt((await client.query<{ at: string }>('SELECT (pg_current_wal_flush_lsn() - \'0/0\')::text AS at')).rows[0]!.at)
  const inserted = async (): Promise<bigint> => BigInt((await client.query<{ at: string }>('SELECT (pg_current_wal_insert_lsn() - \'0/0\')::text AS at')).rows[0]!.at)
  const late: string[] = []
  for (let at = 0; at < EXCHANGES; at++) {
    let before = await inserted()
    const exchange = log.open(begin())
    await exchange.begun()
    if (await flushed() <= before) late.push(`begin ${at}`)
    before = await inserted()
    await exchange.end({ ...END, answer: Buffer.from('answered') })
    if (await flushed() <= before) late.push(`end ${at}`)
  }
  t.same(late, [], 'promised before what it wrote was flushed')
  t.same((await client.query('SHOW fsync')).rows, [{ fsync: 'on' }], 'and a flush is an fsync')
  await client.end()
  await log.close()
})
