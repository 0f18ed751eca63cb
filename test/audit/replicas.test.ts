import { randomBytes } from 'node:crypto'
import { cpSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { v7 as uuidv7 } from 'uuid'
import type { AuditLog } from '../../src/audit/log.ts'
import { prepare } from '../../src/audit/entry.ts'
import { packEntries } from '../../src/audit/packet.ts'
import { openDatabase, transaction } from '../../src/database/database.ts'
import { replicaId } from '../../src/audit/postgres/replica.ts'
import { sealEntries } from '../../src/audit/postgres/sealing.ts'
import { leafHash } from '../../src/audit/record.ts'
import { readKeks } from '../../src/audit/seal/keyring.ts'
import { begin, END, note, soundness } from '../contracts/audit-log.ts'
import { effect, exchange } from '../contracts/transcripts.ts'
import { NO_POSTGRES, startPostgres } from '../fixtures/postgres.ts'
import { replicasOn, type Replicas } from '../fixtures/replicas.ts'
import { temporary, until } from '../helper.ts'

const server = await startPostgres(t)
const skip = server ? false : NO_POSTGRES
const moment = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms) })

t.test('a database that is set back while a gateway runs is refused at the next start: the largest checkpoint is not forgotten for it', { skip }, async (t) => {
  const db = replicasOn(server!)
  const directory = temporary(t)
  const log = await db.open(t, { directory })
  await log.append([note()])
  await db.sql('CREATE TABLE backup AS TABLE parallax.head')
  await log.append([note()])
  await db.sql('BEGIN; DELETE FROM parallax.leaf WHERE idx >= (SELECT size FROM backup); UPDATE parallax.head SET (epoch, size, checkpoint) = (SELECT epoch, size, checkpoint FROM backup); COMMIT')
  await moment(200)
  await log.close()
  await t.rejects(db.open(t, { directory }), { message: /set back to an older state/ })
})

/** What a replica that died left: a begin that is durable, and has no place. */
async function leftPending (db: Replicas, directory: string): Promise<void> {
  const { ring } = readKeks(directory, db.kek)
  const entries = packEntries(sealEntries(ring, [prepare(begin(), 1, randomBytes(32))]))
  await db.sql('INSERT INTO parallax.pending (call, replica, entries) VALUES ($1, $2, $3)', [uuidv7(), replicaId(directory), Buffer.from(entries)])
}

const SEQUENCER = 'BEGIN; SELECT pg_advisory_xact_lock(hashtextextended(\'parallax sequencer\', 0))'

t.test('what a life before left pending has its place before its ends are looked for, even while another replica is placing', { skip }, async (t) => {
  const db = replicasOn(server!)
  const directory = temporary(t)
  await (await db.open(t, { directory })).close()
  await leftPending(db, directory)
  const other = await db.client(t)
  await other.query(SEQUENCER)
  const starting = db.open(t, { directory })
  await moment(300)
  await other.query('COMMIT')
  const log = await starting
  await moment(200)
  await soundness(t, log)
  await log.close()
})

t.test('a replica that hangs in the middle of placing holds up the others for seconds, not until its connection is found dead', { skip }, async (t) => {
  const db = replicasOn(server!)
  const log = await db.open(t)
  const pool = await openDatabase(await db.url)
  const hanging = Promise.withResolvers<void>()
  const placing = transaction(pool, async (client) => {
    await client.query('SELECT pg_advisory_xact_lock(hashtextextended(\'parallax sequencer\', 0))')
    await hanging.promise
  })
  placing.catch(() => {})
  await moment(100)
  const [receipt] = await log.append([note()])
  t.equal(receipt!.key_seq, 1)
  hanging.resolve()
  await t.rejects(placing, 'and it learns that it was too late')
  await pool.end()
  await log.close()
})

t.test('a server whose transactions are by default serializable keeps the promise all the same', { skip }, async (t) => {
  const db = replicasOn(server!)
  await server!.admin(`ALTER DATABASE ${new URL(await db.url).pathname.slice(1)} SET default_transaction_isolation = 'serializable'`)
  const logs = await Promise.all([db.open(t), db.open(t), db.open(t)])
  await Promise.all(logs.flatMap((log) => Array.from({ length: 20 }, () => log.append([note()]))))
  t.ok(logs.every((log) => log.health().ok))
  await until(() => logs[0].size() === 63)
  await soundness(t, logs[0])
  await Promise.all(logs.map((log) => log.close()))
})

t.test('clocks that differ between replicas are no anomaly: the database tells the time', { skip }, async (t) => {
  const db = replicasOn(server!)
  const real = Date.now
  t.teardown(() => { Date.now = real })
  const logs = await Promise.all([db.open(t), db.open(t)])
  for (let at = 0; at < 4; at++) {
    // whoever of the two places does so in this turn, by its own machine's clock
    Date.now = () => real() + (at % 2) * 3_600_000
    await logs[at % 2]!.append([note()])
  }
  Date.now = real
  await until(() => logs[0].size() === 6)
  const all = await soundness(t, logs[0])
  t.same(all.filter((one) => JSON.parse(one.leaf).type === 'clock.anomaly'), [])
  t.ok(all.every((one) => Math.abs(JSON.parse(one.leaf).t - Date.now()) < 60_000))
  await Promise.all(logs.map((log) => log.close()))
})

t.test('a receipt can be had from any replica at once, whichever placed the record', { skip }, async (t) => {
  const db = replicasOn(server!)
  const [one, two] = [await db.open(t, { tendMs: 60_000 }), await db.open(t, { tendMs: 60_000 })]
  for (let at = 0; at < 5; at++) {
    const [receipt] = await one.append([note()])
    t.match(await two.tree.proof(receipt!.index), /c2sp.org\/tlog-proof/)
  }
  t.equal(await two.tree.proof(one.size()), null)
  await Promise.all([one.close(), two.close()])
})

t.test('an idle gateway whose database is away says so before anybody asks, and is well again by itself', { skip }, async (t) => {
  const db = replicasOn(server!)
  const log = await db.open(t)
  await server!.stop('fast')
  await until(() => !log.health().ok)
  await server!.start()
  await until(() => log.health().ok)
  await log.append([note()])
  await log.close()
})

t.test('an erasure does not hold up the log while the table is vacuumed', { skip }, async (t) => {
  const db = replicasOn(server!)
  const log = await db.open(t)
  const record = await exchange(log)
  // as a vacuum of a large table would take its time
  const other = await db.client(t)
  await other.query('BEGIN; LOCK TABLE parallax.payload IN SHARE UPDATE EXCLUSIVE MODE')
  const started = performance.now()
  await log.append([effect('erasure', { erase: [record] })])
  for (let at = 0; at < 3; at++) await log.append([note()])
  t.ok(performance.now() - started < 2000, `${Math.round(performance.now() - started)} ms`)
  await other.query('COMMIT')
  await log.close()
})

/** A directory as a process that died now would leave it. */
function asIfDied (t: Test, directory: string): string {
  const copy = temporary(t)
  for (const name of readdirSync(directory)) cpSync(join(directory, name), join(copy, name), { recursive: true })
  return copy
}

const mine = { tenant: 't_1', user: 'ann@example' }
/** Leaves of one exchange by type, with the states of their transcripts. */
const about = async (log: AuditLog, record: string): Promise<string[]> =>
  [(await log.record(record))!, ...await log.endsOf(record)].map(({ leaf, payload }) => `${JSON.parse(leaf).type} ${payload.state === 'present' ? Buffer.from(payload.bytes).toString() : payload.state}`)

t.test('a live replica whose record another closed loses nothing of what it sent: it comes in beside, and erasure and holds reach it', { skip }, async (t) => {
  const db = replicasOn(server!)
  const one = await db.open(t, { leaseMs: 60_000 })
  const two = await db.open(t, { leaseMs: 300 })
  const open = one.open(begin('k_1', { owner: mine }))
  await open.begun()
  open.chunk(Buffer.from('what the client '))
  open.chunk(Buffer.from('has seen'))
  await db.sql('UPDATE parallax.replica SET until = now() - interval \'1 minute\'')
  await until(async () => (await two.endsOf(open.record)).length > 0)
  await t.rejects(open.end(END), /in the log already/)
  await until(async () => (await two.endsOf(open.record)).length > 1)
  t.same(await about(two, open.record), ['completion.begin the request', 'completion.end ', 'completion.late what the client has seen'])
  await two.append([effect('hold.set', { hold: { name: 'case', scope: mine } })])
  await two.append([effect('payload.expired', { expire: { from: 0, before: two.size() } })])
  t.match(await about(two, open.record), [/the request/, /^completion\.end $/, /has seen/], 'held')
  await two.append([effect('hold.lifted', { lift: 'case' })])
  await two.append([effect('erasure', { erase: [open.record] })])
  t.same(await about(two, open.record), ['completion.begin erased', 'completion.end erased', 'completion.late erased'])
  await until(() => one.size() === two.size())
  await soundness(t, one)
  await one.close()
  await two.close()
})

t.test('what a replica that comes back too late had sent comes in beside, once; but not what was erased meanwhile', { skip }, async (t) => {
  const db = replicasOn(server!)
  const directory = temporary(t)
  const one = await db.open(t, { directory, leaseMs: 60_000 })
  const [stays, goes] = [one.open(begin('k_1', { owner: mine })), one.open(begin('k_1', { owner: mine }))]
  for (const open of [stays, goes]) {
    await open.begun()
    open.chunk(Buffer.from('was seen'))
  }
  const died = asIfDied(t, directory)
  const two = await db.open(t, { leaseMs: 300 })
  await db.sql('UPDATE parallax.replica SET until = now() - interval \'1 minute\'')
  await until(async () => (await db.sql('SELECT 1 FROM parallax.open_record')).length === 0)
  await two.append([effect('erasure', { erase: [goes.record] })])
  const again = asIfDied(t, died)
  for (const from of [died, again]) await (await db.open(t, { directory: from })).close()
  t.same(await about(two, stays.record), ['completion.begin the request', 'completion.end ', 'completion.late was seen'])
  t.same(await about(two, goes.record), ['completion.begin erased', 'completion.end erased'])
  t.equal((await two.transcripts.ofUser(mine, 10)).length, 1)
  await until(async () => two.size() === (await db.sql('SELECT size FROM parallax.head'))[0].size * 1)
  await soundness(t, two)
  await two.close()
  await one.close()
})

t.test('after the database was away for longer than a lease nobody closes what the others still answer', { skip }, async (t) => {
  const db = replicasOn(server!)
  const one = await db.open(t, { leaseMs: 60_000 })
  const two = await db.open(t, { leaseMs: 900 })
  const open = one.open(begin())
  await open.begun()
  // as it stands when it is back: all leases have run out, and one of them looks first
  await db.sql('UPDATE parallax.replica SET until = now() - interval \'1 second\'')
  await moment(850)
  await db.sql('UPDATE parallax.replica SET until = now() + interval \'1 minute\'')
  t.match(await open.end(END), { index: 3 })
  await Promise.all([one.close(), two.close()])
})

t.test('a loss counts as accepted only where the log itself, signed, says so: a leaf that somebody put into the database does not', { skip }, async (t) => {
  const db = replicasOn(server!)
  const directory = temporary(t)
  const log = await db.open(t, { directory })
  await log.append([note()])
  await db.sql('CREATE TABLE backup AS TABLE parallax.head')
  for (let at = 0; at < 5; at++) await log.append([note()])
  await log.close()
  const entry = Buffer.from(JSON.stringify({ type: 'log.restored', lost_size: 1_000_000 }))
  await db.sql('DELETE FROM parallax.leaf WHERE idx >= (SELECT size FROM backup)')
  await db.sql('INSERT INTO parallax.leaf (idx, id, hash, entry, t, type) SELECT size, gen_random_uuid(), $1, $2, t, \'log.restored\' FROM backup', [leafHash(entry), entry])
  await db.sql('UPDATE parallax.head SET (size, checkpoint) = (SELECT size + 1, checkpoint FROM backup)')
  await t.rejects(db.open(t, { directory }), { message: /set back to an older state/ })
})

t.test('a loss that one replica has put on record is no news to another', { skip }, async (t) => {
  const db = replicasOn(server!)
  const [here, there] = [temporary(t), temporary(t)]
  const logs = [await db.open(t, { directory: here }), await db.open(t, { directory: there })]
  await db.sql('CREATE TABLE backup AS TABLE parallax.head')
  for (let at = 0; at < 5; at++) await logs[0]!.append([note()])
  await until(() => logs[1]!.size() === logs[0]!.size())
  await moment(100)
  // the last to go has seen the most, and puts the whole loss on record
  await logs[1]!.close()
  await logs[0]!.close()
  await db.sql('BEGIN; DELETE FROM parallax.leaf WHERE idx >= (SELECT size FROM backup); UPDATE parallax.head SET (size, checkpoint) = (SELECT size, checkpoint FROM backup); COMMIT')
  for (const directory of [here, there]) await t.rejects(db.open(t, { directory }), { message: /set back to an older state/ })
  await (await db.open(t, { directory: here, acceptRestore: { reason: 'a backup' } })).close()
  const log = await db.open(t, { directory: there })
  await soundness(t, log)
  await log.close()
})

t.test('a group of long answers goes to the database in parts that it can take', { skip }, async (t) => {
  const db = replicasOn(server!)
  const log = await db.open(t)
  const other = await db.client(t)
  await other.query(SEQUENCER)
  const all = Promise.all(Array.from({ length: 12 }, () => log.append([note('k_1', { payload: Buffer.alloc(3_000_000, 'x') })])))
  // rows of one statement are one transaction's
  const parts = await until(async () => {
    const rows = await db.sql('SELECT count(*)::int AS rows, sum(length(entries))::int AS bytes FROM parallax.pending GROUP BY xmin::text')
    return rows.reduce((sum, one) => sum + one.rows, 0) === 12 && rows
  }, 10_000)
  await other.query('COMMIT')
  await all
  t.ok(Math.max(...parts.map((one) => one.bytes)) < 10_000_000, JSON.stringify(parts))
  await soundness(t, log)
  await log.close()
})
