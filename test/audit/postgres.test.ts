import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import t, { type Test } from 'tap'
import { openPostgresLog, type PostgresLogOptions } from '../../src/audit/postgres.ts'
import type { AuditLog } from '../../src/audit/log.ts'
import { auditLogContract, begin, END, everything, note, soundness, treeIsSound, type Store } from '../contracts/audit-log.ts'
import { effect, exchange, states, transcriptsContract } from '../contracts/transcripts.ts'
import { killedWriter } from '../fixtures/killed-writer.ts'
import { NO_POSTGRES, startPostgres } from '../fixtures/postgres.ts'
import { temporary, until } from '../helper.ts'

const server = await startPostgres(t)
const skip = server ? false : NO_POSTGRES
const kek = { keys: randomBytes(32).toString('base64') }

/** A database, and replicas on it with a directory each. */
function shared (): { open (t: Test, more?: Partial<PostgresLogOptions>): Promise<AuditLog>, sql (text: string): Promise<any[]>, url: Promise<string> } { // eslint-disable-line typescript/no-explicit-any -- rows differ
  const url = server!.database()
  return {
    url,
    open: async (t, more = {}) => openPostgresLog({ url: await url, directory: temporary(t), kek, tendMs: 50, limits: { probeMs: 50 }, ...more }),
    async sql (text) {
      const client = new pg.Client(await url)
      await client.connect()
      try { return (await client.query(text)).rows } finally { await client.end() }
    },
  }
}

const store = (t: Test): Store => {
  const directory = temporary(t)
  const url = server!.database()
  return { open: async (options) => openPostgresLog({ url: await url, directory, ...options }) }
}

t.test('PostgreSQL keeps the audit log\'s contract', { skip }, async (t) => { auditLogContract(t, store) })
t.test('PostgreSQL keeps the transcripts\' contract', { skip }, async (t) => { transcriptsContract(t, store) })
t.test('three replicas write one log: places without gaps, key_seq without gaps, one key that signs, and each reads what all have written', { skip }, async (t) => {
  const db = shared()
  const replicas = await Promise.all([db.open(t), db.open(t), db.open(t)])
  t.equal(new Set(replicas.map((log) => log.tree.verifier)).size, 1)
  const receipts = (await Promise.all(replicas.flatMap((log, at) => Array.from({ length: 40 }, async (_, turn) => {
    const receipts = await log.append([note('k_1'), note(`k_${at}`)])
    await exchange(log, { tenant: 't_1', user: `${turn % 3}` })
    return receipts
  })))).flat()
  for (const log of replicas) {
    await until(() => log.size() === 3 + 240 + 240)
    const all = await soundness(t, log)
    const wrong = receipts.filter((one) => all[one.index]?.leaf_hash !== one.leaf_hash)
    t.same(wrong, [])
    await treeIsSound(t, log)
    t.equal((await log.transcripts.ofUser({ tenant: 't_1', user: '1' }, 1000)).length, 39)
  }
  // what one erases is gone for all
  const { record } = (await replicas[0].transcripts.ofUser({ tenant: 't_1', user: '2' }, 1))[0]!
  await replicas[1].append([effect('erasure', { erase: [record] })])
  t.same(await states(replicas[2], record), ['erased', 'erased'])
  await Promise.all(replicas.map((log) => log.close()))
})

t.test('a begin is durable before it has a place; while the sequencer is held up nothing is lost and receipts wait', { skip }, async (t) => {
  const db = shared()
  const log = await db.open(t)
  const client = new pg.Client(await db.url)
  await client.connect()
  await client.query('BEGIN; SELECT pg_advisory_xact_lock(hashtextextended(\'parallax sequencer\', 0))')
  const open = log.open(begin('k_1', { payload: Buffer.from('a SECRET question') }))
  await open.begun()
  t.equal(await log.record(open.record), null, 'no place yet')
  const pending = await db.sql('SELECT entries FROM parallax.pending')
  t.equal(pending.length, 1)
  t.notOk(pending[0].entries.includes('SECRET'), 'sealed where it waits, too')
  let ended = false
  const end = open.end({ ...END, answer: Buffer.from('answer') }).then((receipt) => { ended = true; return receipt })
  await new Promise((resolve) => setTimeout(resolve, 150))
  t.notOk(ended)
  await client.query('COMMIT')
  await client.end()
  const { index } = await end
  t.ok(index > (await log.record(open.record))!.index)
  await soundness(t, log)
  await log.close()
})

t.test('failed and not kept, failed but kept: in front of the log and in it, nothing is half, doubled or lost', { skip }, async (t) => {
  const db = shared()
  const faults: { beforeInsert?: () => void, afterInsert?: () => void, beforeCommit?: () => void, afterCommit?: () => void } = {}
  const log = await db.open(t, { faults })
  const fail = (): never => { throw new Error('the connection was lost') }
  await log.append([note()])
  for (const where of ['beforeInsert', 'afterInsert'] as const) {
    faults[where] = fail
    await t.rejects(log.append([note(), note('k_2')]), { code: 'audit_unavailable' }, where)
    t.match(log.health(), { ok: false, reason: /connection was lost/ })
    await t.rejects(log.append([note()]), { code: 'audit_unavailable' }, 'nothing is taken meanwhile')
    delete faults[where]
    await until(() => log.health().ok)
  }
  await until(async () => (await db.sql('SELECT 1 FROM parallax.pending')).length === 0)
  const [receipt] = await log.append([note()])
  t.match(receipt, { index: 4, key_seq: 3 }, 'the second failure was kept, the first was not')
  for (const where of ['beforeCommit', 'afterCommit'] as const) {
    // once: a database that is lost for longer than a second refuses, and on a busy machine three times may take longer
    let times = 1
    faults[where] = () => { if (times-- > 0) fail() }
    const [placed] = await log.append([note()])
    t.ok(placed!.index >= 5, `${where}: it is durable, and gets its place in the end`)
    delete faults[where]
  }
  await soundness(t, log)
  await treeIsSound(t, log)
  await log.close()
})

t.test('the database dies and comes back under load: refused meanwhile, recovered without a restart, every receipt holds', { skip }, async (t) => {
  const db = shared()
  const logs = await Promise.all([db.open(t), db.open(t)])
  const receipts: { index: number, leaf_hash: string }[] = []
  let refused = 0
  let stop = false
  // else what failed would go on, and hide why
  t.teardown(() => { stop = true })
  const load = Promise.all(logs.flatMap((log, at) => Array.from({ length: 6 }, async () => {
    while (!stop) {
      await log.append([note(`k_${at}`, { payload: Buffer.from('x') })]).then((some) => receipts.push(...some), async (error: { code: string }) => {
        if (error.code !== 'audit_unavailable') throw error
        refused++
        await new Promise((resolve) => setTimeout(resolve, 20))
      })
    }
  })))
  for (const mode of ['immediate', 'fast', 'immediate'] as const) {
    const before = receipts.length
    await until(() => receipts.length > before + 100, 30_000)
    await server!.stop(mode)
    await until(() => logs.every((log) => !log.health().ok), 15_000)
    await server!.start()
    await until(() => logs.every((log) => log.health().ok), 15_000)
  }
  stop = true
  await load
  t.ok(refused > 0)
  await until(async () => (await db.sql('SELECT 1 FROM parallax.pending')).length === 0)
  await new Promise((resolve) => setTimeout(resolve, 200))
  const all = await soundness(t, logs[0])
  t.same(receipts.filter((one) => all[one.index]?.leaf_hash !== one.leaf_hash), [], `${receipts.length} receipts, ${refused} refusals`)
  await treeIsSound(t, logs[0])
  await Promise.all(logs.map((log) => log.close()))
})

t.test('connections that are cut again and again lose nothing', { skip }, async (t) => {
  const db = shared()
  const log = await db.open(t)
  const receipts: { index: number, leaf_hash: string }[] = []
  for (let round = 0; round < 8; round++) {
    const load = Promise.allSettled(Array.from({ length: 30 }, () => log.append([note()])))
    await new Promise((resolve) => setTimeout(resolve, round * 2))
    await server!.admin(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${new URL(await db.url).pathname.slice(1)}' AND application_name = 'parallax'`)
    for (const one of await load) if (one.status === 'fulfilled') receipts.push(...one.value)
    await until(() => log.health().ok)
  }
  const last = await log.append([note()])
  const all = await soundness(t, log)
  t.same([...receipts, ...last].filter((one) => all[one.index]?.leaf_hash !== one.leaf_hash), [], `${receipts.length} receipts`)
  await log.close()
})

t.test('a replica is killed: what it had promised is there; another closes its records when its lease has run out', { skip }, async (t) => {
  const db = shared()
  const other = await db.open(t, { leaseMs: 600 })
  for (let round = 0; round < 2; round++) {
    const { receipts, sent } = await killedWriter([temporary(t), await db.url, kek.keys], 100)
    t.ok(sent.size > 0)
    await until(async () => (await db.sql('SELECT 1 FROM parallax.open_record')).length === 0 && (await db.sql('SELECT 1 FROM parallax.pending')).length === 0, 15_000)
    await other.append([note()])
    const all = await soundness(t, other)
    t.same(receipts.filter((one) => all[one.index]?.leaf_hash !== one.leaf_hash), [], `${receipts.length} receipts`)
    t.ok(all.some((one) => JSON.parse(one.leaf).answer_lost), 'and says what it could not know')
  }
  await other.close()
})

t.test('a replica that comes back in time closes its own records with everything it had sent; one that comes too late brings it in beside', { skip }, async (t) => {
  const db = shared()
  const directory = temporary(t)
  const early = await killedWriter([directory, await db.url, kek.keys], 60)
  let log = await db.open(t, { directory, leaseMs: 60_000 })
  for (const [record, text] of early.sent) {
    const [end] = await log.endsOf(record)
    const answer = end?.payload.state === 'present' ? Buffer.from(end.payload.bytes).toString() : ''
    if (!answer.startsWith(text)) t.fail(`${record}: "${text}" was shown, "${answer}" is on record`)
  }
  await soundness(t, log)
  await log.close()

  const late = await killedWriter([directory, await db.url, kek.keys], 60)
  const other = await db.open(t, { leaseMs: 300 })
  await until(async () => (await db.sql('SELECT 1 FROM parallax.open_record')).length === 0, 15_000)
  log = await db.open(t, { directory, leaseMs: 60_000 })
  const brought = (await everything(log)).filter((one) => JSON.parse(one.leaf).type === 'completion.late')
  t.ok(brought.length > 0)
  for (const { leaf, payload } of brought) t.ok(String(payload.state === 'present' && Buffer.from(payload.bytes)).startsWith(late.sent.get(JSON.parse(leaf).begin) ?? ''), 'what it had sent')
  await soundness(t, log)
  await log.close()
  await other.close()
})

t.test('two that close the same record: one end, and the other is refused', { skip }, async (t) => {
  const db = shared()
  const [one, two] = [await db.open(t), await db.open(t)]
  const open = one.open(begin())
  await open.begun()
  await two.append([{ type: 'completion.end', id: crypto.randomUUID(), key: 'k_1', fields: { begin: open.record, status: 'interrupted' }, payload: new Uint8Array() }])
  await t.rejects(open.end(END), /in the log already/)
  t.equal((await two.endsOf(open.record)).length, 1)
  await Promise.all([one.close(), two.close()])
})

t.test('the fence: a head that somebody else moved is noticed, whatever this one believes', { skip }, async (t) => {
  const db = shared()
  const log = await db.open(t)
  await log.append([note()])
  // as a second sequencer would leave it that had slipped past the lock
  await db.sql('UPDATE parallax.head SET epoch = epoch + 5')
  await log.append([note()])
  await treeIsSound(t, log)
  await log.close()
})

t.test('the fence: a head that moves between its reading and its writing lets nothing be kept, and the call gets its place afterwards', { skip }, async (t) => {
  const db = shared()
  const log = await db.open(t)
  const size = log.size()
  await db.sql(`CREATE FUNCTION slip_past () RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE parallax.head SET epoch = epoch + 1; RETURN NULL; END $$;
    CREATE TRIGGER slip_past AFTER INSERT ON parallax.leaf FOR EACH STATEMENT EXECUTE FUNCTION slip_past ()`)
  await t.rejects(log.append([note()]), { code: 'audit_unavailable', message: /another sequencer has moved the log/ })
  t.equal((await db.sql('SELECT 1 FROM parallax.leaf')).length, size)
  await db.sql('DROP TRIGGER slip_past ON parallax.leaf')
  await until(() => log.health().ok && log.size() === size + 1)
  await log.append([note()])
  await soundness(t, log)
  await treeIsSound(t, log)
  await log.close()
})

t.test('a start refuses what is not the log that was signed, and says what to do', { skip }, async (t) => {
  const refused = async (name: string, reason: RegExp, change: string, more: Partial<PostgresLogOptions> = {}): Promise<void> => {
    const db = shared()
    const directory = temporary(t)
    const log = await db.open(t, { directory })
    for (let at = 0; at < 5; at++) await log.append([note()])
    await db.sql('CREATE TABLE backup AS TABLE parallax.head')
    await log.append([note()])
    await log.close()
    if (change !== '') await db.sql(change)
    await t.rejects(db.open(t, { directory, ...more }), { message: reason }, name)
  }
  await refused('an older state', /set back to an older state/, 'DELETE FROM parallax.leaf WHERE idx >= (SELECT size FROM backup); UPDATE parallax.head SET (size, checkpoint) = (SELECT size, checkpoint FROM backup)')
  await refused('the last leaf cut off', /set back to an older state/, 'DELETE FROM parallax.leaf WHERE idx = (SELECT max(idx) FROM parallax.leaf)')
  await refused('a leaf altered', /leaf 3 does not have the hash/, 'UPDATE parallax.leaf SET entry = entry || \'x\' WHERE idx = 3')
  await refused('a hash altered', /leaf 3 does not have the hash/, 'UPDATE parallax.leaf SET hash = decode(repeat(\'00\', 32), \'hex\') WHERE idx = 3')
  await refused('another name', /is of the log/, '', { origin: 'another.example' })
  await refused('a newer schema', /schema version 999/, 'UPDATE parallax.schema_version SET version = 999')
  await refused('another key-encryption key', /sealed under the key-encryption key.*Give every replica the same/, '', { kek: { keys: randomBytes(32).toString('base64') } })
  const nobody = openPostgresLog({ url: 'postgres://me:secret@127.0.0.1:1/none', directory: temporary(t) })
  await t.rejects(nobody, { message: /The audit log at 127\.0\.0\.1:1\/none cannot be opened: .*ECONNREFUSED/ })
  await nobody.catch((error: Error) => t.notMatch(error.message, /secret/))
})

t.test('a server that does not wait for its disk is no log', { skip }, async (t) => {
  const db = shared()
  await server!.admin(`ALTER DATABASE ${new URL(await db.url).pathname.slice(1)} SET synchronous_commit = off`)
  await t.rejects(db.open(t), { message: /synchronous_commit=off.*Set it to on/ })
})

t.test('a damaged transcript is told as such', { skip }, async (t) => {
  const db = shared()
  const log = await db.open(t)
  const record = await exchange(log)
  await db.sql(`UPDATE parallax.payload SET bytes = set_byte(bytes, 14, (get_byte(bytes, 14) + 1) % 256) WHERE idx = (SELECT idx FROM parallax.leaf WHERE id = '${record}')`)
  t.same(await states(log, record), ['damaged', 'present'])
  await log.close()
})

t.test('an erasure is gone for everyone who asks the database at once; from the freed space of its pages with the rewriting that the operator\'s page names', { skip }, async (t) => {
  const db = shared()
  const log = await db.open(t)
  const record = await exchange(log)
  const sealed = await db.sql(`SELECT bytes, wrapped, salt FROM parallax.payload WHERE record = '${record}'`) as { bytes: Buffer, wrapped: Buffer, salt: Buffer }[]
  const pieces = sealed.flatMap((row) => [row.bytes, row.wrapped, row.salt])
  t.equal(pieces.length, 6)
  const there = async (): Promise<number> => {
    await db.sql('CHECKPOINT')
    const [{ file }] = await db.sql('SELECT current_setting(\'data_directory\') || \'/\' || pg_relation_filepath(\'parallax.payload\') AS file') as [{ file: string }]
    const bytes = readFileSync(file)
    return pieces.filter((piece) => bytes.includes(piece)).length
  }
  t.equal(await there(), 6)
  await log.append([effect('erasure', { erase: [record] })])
  t.same(await db.sql(`SELECT state, bytes, wrapped, salt, kek, subject FROM parallax.payload WHERE record = '${record}'`), [1, 2].map(() => ({ state: 'erased', bytes: null, wrapped: null, salt: null, kek: null, subject: null })))
  const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8')
  await db.sql(/VACUUM FULL parallax\.payload/.exec(page)![0])
  t.equal(await there(), 0)
  await soundness(t, log)
  await log.close()
})

t.test('two processes on one replica\'s directory are refused', { skip }, async (t) => {
  const db = shared()
  const directory = temporary(t)
  const log = await db.open(t, { directory })
  await t.rejects(db.open(t, { directory }), { message: /in use by process/ })
  await log.close()
  writeFileSync(join(directory, 'replica.id'), 'nonsense')
  await t.rejects(db.open(t, { directory }), { message: /replica\.id/ })
})
