import { once } from 'node:events'
import { appendFileSync, copyFileSync, existsSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import canonicalize from 'canonicalize'
import t from 'tap'
import { canonical } from '../../src/canonical.ts'
import { openForWriting } from '../../src/audit/sqlite/database.ts'
import { Effects } from '../../src/audit/sqlite/effects.ts'
import { openSqliteLog } from '../../src/audit/sqlite.ts'
import { auditLogContract, begin, END, note, soundness } from '../contracts/audit-log.ts'
import { killedWriter } from '../fixtures/killed-writer.ts'
import { temporary, until } from '../helper.ts'

t.test('SQLite keeps the audit log\'s contract', async (t) => {
  auditLogContract(t, (t) => {
    const directory = temporary(t)
    return { open: ({ clock } = {}) => openSqliteLog({ directory, ...(clock && { direct: { clock } }) }) }
  })
})

t.test('our canonical JSON is RFC 8785\'s, for every JSON value', async (t) => {
  fc.assert(fc.property(fc.jsonValue(), (value) => canonical(value) === canonicalize(value) && canonical(Object.freeze(value)) === canonicalize(value)), { numRuns: 500 })
  t.pass()
})

t.test('every commit is fsynced: synchronous is FULL and the journal is a WAL', async (t) => {
  const directory = temporary(t)
  const db = openForWriting(directory)
  t.equal((db.prepare('PRAGMA synchronous').get() as any).synchronous, 2)
  t.equal((db.prepare('PRAGMA journal_mode').get() as any).journal_mode, 'wal')
  db.close()
})

t.test('what is committed is folded into the database beside the writer, long before a commit would do it', async (t) => {
  const directory = temporary(t)
  const log = await openSqliteLog({ directory })
  const alone = join(temporary(t), 'audit.db')
  /** Leaves that stand in the database's file without its write-ahead log. */
  const folded = (): number => {
    copyFileSync(join(directory, 'audit.db'), alone)
    const db = new DatabaseSync(alone)
    try {
      return Number(db.prepare('SELECT count(*) AS leaves FROM leaf').get()!['leaves'])
    } catch {
      return 0 // copied amid a folding
    } finally { db.close() }
  }
  t.equal(folded(), 0, 'at first all of it lies in the write-ahead log')
  await until(async () => {
    await log.append([note()])
    return folded() > 1
  })
  t.ok(statSync(join(directory, 'audit.db-wal')).size < 1000 * 4096, 'which is short')
  await log.close()
})

t.test('what an erasure removed leaves the write-ahead log though the other thread is folding it', async (t) => {
  const directory = temporary(t)
  const db = openForWriting(directory)
  const folder = new Worker(`
    const { DatabaseSync } = require('node:sqlite'), { parentPort, workerData } = require('node:worker_threads')
    const fold = new DatabaseSync(workerData).prepare('PRAGMA wal_checkpoint(PASSIVE)')
    const go = () => { for (let at = 0; at < 50; at++) fold.get(); setImmediate(go) }
    parentPort.postMessage('folds'), go()`, { eval: true, workerData: join(directory, 'audit.db'), execArgv: [] })
  await once(folder, 'message')
  const effects = new Effects(db)
  const write = db.prepare("INSERT OR REPLACE INTO meta (name, value) VALUES ('test', hex(randomblob(100000)))")
  for (let round = 0; round < 20; round++) {
    for (let one = 0; one < 5; one++) write.run()
    effects.forget()
    t.equal(statSync(join(directory, 'audit.db-wal')).size, 0, `round ${round}`)
  }
  await folder.terminate()
  db.close()
})

t.test('nobody else can read the files', async (t) => {
  const directory = join(temporary(t), 'data')
  const log = await openSqliteLog({ directory })
  const exchange = log.open(begin())
  await exchange.begun()
  exchange.chunk(Buffer.from('x'))
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile() && !entry.name.startsWith('audit.lock')).map((entry) => join(entry.parentPath, entry.name))
  t.ok(files.some((file) => file.endsWith('audit.db-wal')) && files.some((file) => file.endsWith('.journal')), files.join(' '))
  for (const file of files) t.equal(statSync(file).mode & 0o077, 0, file)
  await log.close()
})

t.test('failed and not kept: the caller is refused, and the log goes on without a gap', async (t) => {
  const faults: { beforeCommit?: () => void } = {}
  const log = await openSqliteLog({ directory: temporary(t), direct: { faults }, limits: { probeMs: 20 } })
  await log.append([note()])
  faults.beforeCommit = () => { throw new Error('no space left on device') }
  await t.rejects(log.append([note(), note('k_2')]), { code: 'audit_unavailable', statusCode: 503 })
  t.match(log.health(), { ok: false, reason: /no space left/ })
  await t.rejects(log.append([note()]), { code: 'audit_unavailable' }, 'nothing is taken meanwhile')
  await t.rejects(log.open(begin()).begun(), { code: 'audit_unavailable' })
  delete faults.beforeCommit
  await until(() => log.health().ok)
  const [receipt] = await log.append([note()])
  t.match(receipt, { index: 2, key_seq: 2 })
  await soundness(t, log)
  await log.close()
})

t.test('failed but kept: the caller is refused, what was kept is counted, and nothing collides with it', async (t) => {
  const faults: { afterCommit?: () => void } = {}
  const log = await openSqliteLog({ directory: temporary(t), direct: { faults }, limits: { probeMs: 20 } })
  await log.append([note()])
  faults.afterCommit = () => { throw new Error('the answer got lost') }
  await t.rejects(log.append([note(), note('k_2')]), { code: 'audit_unavailable' })
  delete faults.afterCommit
  await until(() => log.health().ok)
  const [receipt] = await log.append([note()])
  t.match(receipt, { index: 4, key_seq: 3 })
  await soundness(t, log)
  await log.close()
})

t.test('a full disk refuses, harms nothing, and is recovered from without a restart', async (t) => {
  const directory = temporary(t)
  const log = await openSqliteLog({ directory, maxPages: 60, limits: { probeMs: 20 } })
  const kept: string[] = []
  let refused: any
  for (let at = 0; at < 200 && !refused; at++) {
    await log.append([note('k_1', { payload: Buffer.alloc(5000, at) })]).then(([receipt]) => kept.push(receipt!.leaf_hash), (error: unknown) => { refused = error })
  }
  t.match(refused, { code: 'audit_unavailable', message: /full/ })
  t.ok(kept.length > 5)
  const all = await soundness(t, log)
  for (const hash of kept) t.ok(all.some((one) => one.leaf_hash === hash))
  // a probe is small enough to fit: small leaves go on
  await until(() => log.health().ok)
  await log.close()
})

t.test('more than may wait is refused at once, and what waits is still written', async (t) => {
  const log = await openSqliteLog({ directory: temporary(t), limits: { entries: 10, bytes: 1_000_000 } })
  const calls = await Promise.allSettled(Array.from({ length: 30 }, () => log.append([note()])))
  t.equal(calls.filter((one) => one.status === 'fulfilled').length, 10)
  t.ok(log.health().ok, 'which is no failure of the store')
  await log.append([note()])
  await t.rejects(log.append([note('k_1', { payload: Buffer.alloc(2_000_000) })]), { code: 'audit_unavailable' })
  await soundness(t, log)
  await log.close()
})

t.test('an end that was turned away because too much was waiting is written when there is room, without a restart', async (t) => {
  const log = await openSqliteLog({ directory: temporary(t), limits: { entries: 10 } })
  const exchange = log.open(begin())
  await exchange.begun()
  const crowd = Promise.allSettled(Array.from({ length: 30 }, () => log.append([note()])))
  await t.rejects(exchange.end(END), { code: 'audit_unavailable', message: /more is waiting/ })
  await crowd
  const [end] = await until(async () => { const ends = await log.endsOf(exchange.record); return ends.length > 0 && ends })
  t.match(JSON.parse(end!.leaf), { status: 'interrupted' }, 'its caller was told so')
  await soundness(t, log)
  await log.close()
})

t.test('a damaged database is refused with a reason, and left as it is', async (t) => {
  const directory = temporary(t)
  const log = await openSqliteLog({ directory })
  for (let at = 0; at < 50; at++) await log.append([note('k_1', { payload: Buffer.alloc(3000, at) })])
  await log.close()
  const file = join(directory, 'audit.db')
  const whole = readFileSync(file)
  writeFileSync(file, Buffer.concat([whole.subarray(0, 4096), Buffer.alloc(8192, 0xff), whole.subarray(4096 + 8192)]))
  const damaged = readFileSync(file)
  await t.rejects(openSqliteLog({ directory }), { message: /audit\.db cannot be opened: .*It was left as it is/s })
  t.ok(readFileSync(file).equals(damaged))
  writeFileSync(file, whole)
  const again = await openSqliteLog({ directory })
  await soundness(t, again)
  await again.close()
})

t.test('a newer schema than this program\'s is refused', async (t) => {
  const directory = temporary(t)
  await (await openSqliteLog({ directory })).close()
  const db = new DatabaseSync(join(directory, 'audit.db'))
  db.exec('PRAGMA user_version = 999')
  db.close()
  await t.rejects(openSqliteLog({ directory }), { message: /schema version 999/ })
})

t.test('kill -9 under load, three times over: every receipt holds, every byte that was shown is on record, nothing stays open', async (t) => {
  const directory = temporary(t)
  for (let round = 0; round < 3; round++) {
    const { receipts, sent } = await killedWriter([directory], 200)
    const log = await openSqliteLog({ directory })
    const all = await soundness(t, log)
    const byIndex = new Map(all.map((one) => [one.index, one]))
    const lost = receipts.filter((one) => byIndex.get(one.index)?.leaf_hash !== one.leaf_hash || byIndex.get(one.index)?.id !== one.record)
    t.same(lost, [], `${receipts.length} receipts`)
    for (const [record, text] of sent) {
      const [end] = await log.endsOf(record)
      const answer = end?.payload.state === 'present' ? Buffer.from(end.payload.bytes).toString() : ''
      if (!answer.startsWith(text)) t.fail(`${record}: "${text}" was shown, "${answer}" is on record`)
    }
    t.ok(sent.size > 0 && all.some((one) => JSON.parse(one.leaf).status === 'interrupted'), 'some were cut off in the middle')
    await log.close()
    t.notOk(readdirSync(join(directory, 'journal')).length > 1, 'the journal was cleared')
  }
})

t.test('a torn end of the journal loses the torn frame only', async (t) => {
  const directory = temporary(t)
  const { sent } = await killedWriter([directory], 20)
  const [name] = readdirSync(join(directory, 'journal'))
  const file = join(directory, 'journal', name!)
  t.ok(existsSync(file))
  appendFileSync(file, Buffer.from('PLXJ and then nothing'))
  truncateSync(file, statSync(file).size - 3)
  const log = await openSqliteLog({ directory })
  await soundness(t, log)
  t.ok(sent.size > 0)
  await log.close()
})

t.test('a second process is refused by name while the first lives, and let in after it died', async (t) => {
  const directory = temporary(t)
  const log = await openSqliteLog({ directory })
  await t.rejects(openSqliteLog({ directory }), { message: new RegExp(`in use by process ${process.pid}.*DATA_DIR`, 's') })
  await t.rejects(killedWriter([directory], 1), /ended with 7/)
  await log.close()
  await killedWriter([directory], 1)
  const again = await openSqliteLog({ directory })
  await again.append([note()])
  await again.close()
})

t.test('a start refuses a database that is not the one that was signed, and says what to do', async (t) => {
  const grown = async (directory: string, leaves: number): Promise<void> => {
    const log = await openSqliteLog({ directory })
    for (let at = 0; at < leaves; at++) await log.append([note()])
    await log.close()
  }
  const refused = async (name: string, reason: RegExp, change: (directory: string) => void | Promise<void>): Promise<void> => {
    const directory = temporary(t)
    await grown(directory, 5)
    await change(directory)
    await t.rejects(openSqliteLog({ directory }), { message: reason }, name)
  }
  const edit = (directory: string, sql: string): void => {
    const db = new DatabaseSync(join(directory, 'audit.db'))
    db.exec(sql)
    db.close()
  }
  await refused('an older database', /set back to an older state/, async (directory) => {
    const old = readFileSync(join(directory, 'audit.db'))
    await grown(directory, 3)
    writeFileSync(join(directory, 'audit.db'), old)
  })
  await refused('a leaf altered', /leaf 3 does not have the hash/, (directory) => { edit(directory, 'UPDATE leaf SET entry = CAST(replace(CAST(entry AS TEXT), \'audit.read\', \'audit.reed\') AS BLOB) WHERE idx = 3') })
  await refused('a hash altered', /leaf 3 does not have the hash/, (directory) => { edit(directory, 'UPDATE leaf SET hash = zeroblob(32) WHERE idx = 3') })
  await refused('the last leaf cut off', /set back to an older state/, (directory) => { edit(directory, 'DELETE FROM leaf WHERE idx = (SELECT max(idx) FROM leaf)') })
  await refused('a checkpoint altered', /cannot be opened with this log's key/, (directory) => {
    const file = join(directory, 'checkpoint')
    writeFileSync(file, readFileSync(file, 'utf8').replace(/\n\d+\n/, '\n1\n'))
  })
  await refused('another key', /cannot be opened with this log's key|is of the log/, (directory) => { writeFileSync(join(directory, 'log.key'), Buffer.alloc(32, 7)) })
  const directory = temporary(t)
  await grown(directory, 2)
  await t.rejects(openSqliteLog({ directory, origin: 'another.example' }), { message: /is of the log "parallax\.local\/[0-9a-f]{8}", configured is "another\.example"/ })
  await grown(directory, 2)
})
