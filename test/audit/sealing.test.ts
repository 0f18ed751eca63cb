import { randomBytes } from 'node:crypto'
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import { Journal, readJournal } from '../../src/audit/journal.ts'
import { keyringOf, kekOf, readKeks, type Keyring } from '../../src/audit/seal/keyring.ts'
import { newRecordKey, RecordKeys, rewrap, seal, unseal, unwrap, wrap, type RecordKey } from '../../src/audit/seal/seal.ts'
import { openSqliteLog } from '../../src/audit/sqlite.ts'
import { begin, END, note, soundness, type Store } from '../contracts/audit-log.ts'
import { effect, exchange, states, transcriptsContract } from '../contracts/transcripts.ts'
import { temporary } from '../helper.ts'

t.test('SQLite keeps the transcripts\' contract', async (t) => {
  transcriptsContract(t, (t): Store => {
    const directory = temporary(t)
    return { open: () => openSqliteLog({ directory }) }
  })
})

/** All bytes of all files under a directory. */
const onDisk = (directory: string): Buffer => Buffer.concat(readdirSync(directory, { recursive: true, withFileTypes: true }).filter((one) => one.isFile()).map((one) => readFileSync(join(one.parentPath, one.name))))

t.test('nothing of a transcript lies in clear on the disk, in the database, its side files or the journal', async (t) => {
  const directory = temporary(t)
  const log = await openSqliteLog({ directory })
  const open = log.open(begin('k_1', { payload: Buffer.from('a SECRET question'), owner: { tenant: 't_1', user: 'ann@EXAMPLE' } }))
  await open.begun()
  open.chunk(Buffer.from('half a SECRET answer'))
  t.notOk(/SECRET|EXAMPLE/.test(onDisk(directory).toString('latin1')))
  await open.end(END)
  await log.append([note('k_1', { payload: Buffer.from('another SECRET') })])
  await log.close()
  t.notOk(/SECRET|EXAMPLE/.test(onDisk(directory).toString('latin1')))
})

t.test('an erasure overwrites what was sealed, and its keys: neither is left in any file', async (t) => {
  const directory = temporary(t)
  const log = await openSqliteLog({ directory })
  const record = await exchange(log)
  for (let at = 0; at < 20; at++) await exchange(log)
  const db = new DatabaseSync(join(directory, 'audit.db'), { readOnly: true })
  const sealed = db.prepare('SELECT bytes, wrapped, salt FROM payload JOIN leaf ON leaf.idx = payload.idx WHERE leaf.id = ? OR leaf.begin = ?').all(record, record) as { bytes: Uint8Array, wrapped: Uint8Array, salt: Uint8Array }[]
  db.close()
  const pieces = sealed.flatMap((one) => [one.bytes, one.wrapped, one.salt].map((bytes) => Buffer.from(bytes)))
  t.equal(pieces.length, 6)
  t.ok(pieces.every((piece) => onDisk(directory).includes(piece)), 'there before')
  await log.append([effect('erasure', { erase: [record] })])
  t.ok(pieces.every((piece) => !onDisk(directory).includes(piece)), 'gone after')
  t.same(await states(log, record), ['erased', 'erased'])
  await log.close()
})

function flipped (t: Test, ring: Keyring, key: RecordKey): void {
  const sealed = seal(key, 'record-1', Buffer.from('text'))
  t.equal(unseal(ring, key.kek, key.wrapped, 'record-1', sealed).toString(), 'text')
  t.throws(() => unseal(ring, key.kek, key.wrapped, 'record-2', sealed))
  for (const bytes of [sealed, key.wrapped]) {
    for (let at = 0; at < bytes.length; at++) {
      bytes[at]! ^= 1
      t.throws(() => unseal(ring, key.kek, key.wrapped, 'record-1', sealed), `byte ${at}`)
      bytes[at]! ^= 1
    }
  }
  t.throws(() => unseal(ring, key.kek, key.wrapped, 'record-1', sealed.subarray(0, 10)), /cut short/)
  t.throws(() => unseal(keyringOf([randomBytes(32)]), key.kek, key.wrapped, 'record-1', sealed), new RegExp(`key ${key.kek} is not here`))
  const wider = keyringOf([randomBytes(32), ring.current.raw])
  t.equal(unseal(wider, wider.current.id, rewrap(wider, key.kek, key.wrapped), 'record-1', sealed).toString(), 'text')
}

t.test('record keys that are wrapped together are each their own, under a keystream that never comes again', async (t) => {
  const ring = keyringOf([randomBytes(32)])
  const keys = new RecordKeys(ring.current)
  const made = Array.from({ length: 200 }, () => keys.next())
  t.equal(new Set(made.map(({ wrapped }) => wrapped.toString('hex', 0, 16))).size, made.length, 'counter blocks')
  t.equal(new Set(made.map(({ wrapped }) => unwrap(ring, ring.current.id, wrapped).toString('hex'))).size, made.length, 'keys')
  // two blocks each: the next key's first counter is two further on
  t.equal(made[1]!.wrapped.readUInt32BE(12) - made[0]!.wrapped.readUInt32BE(12), 2)
  for (const key of made) t.ok(key.key.export().equals(unwrap(ring, key.kek, key.wrapped)), 'what is stored is what sealed')
  const other = new RecordKeys(ring.current).next()
  t.notOk(other.wrapped.subarray(0, 12).equals(made[0]!.wrapped.subarray(0, 12)), 'each start of the log counts from a random place of its own')
})

t.test('one flipped bit of what is sealed, of its key, or another record\'s in its place, is damage that is told', async (t) => {
  const ring = keyringOf([randomBytes(32)])
  // the last of more than one refill, and one that was wrapped by itself as the first versions did
  const keys = new RecordKeys(ring.current)
  for (const key of [Array.from({ length: 70 }, () => keys.next()).at(-1)!, newRecordKey(ring.current)]) flipped(t, ring, key)

  const directory = temporary(t)
  let log = await openSqliteLog({ directory })
  const [altered, other] = [await exchange(log), await exchange(log)]
  await log.close()
  const db = new DatabaseSync(join(directory, 'audit.db'))
  const row = db.prepare('SELECT payload.idx, bytes FROM payload JOIN leaf ON leaf.idx = payload.idx WHERE leaf.id = ?').get(altered) as { idx: number, bytes: Uint8Array }
  row.bytes[14]! ^= 1
  db.prepare('UPDATE payload SET bytes = ? WHERE idx = ?').run(row.bytes, row.idx)
  db.close()
  log = await openSqliteLog({ directory })
  t.same(await states(log, altered), ['damaged', 'present'])
  t.same(await states(log, other), ['present', 'present'])
  await log.close()
})

t.test('keys come from the environment, a file of the operator\'s, or one of ours; what is wrong with them is said without showing them', async (t) => {
  const directory = temporary(t)
  const [one, two] = [randomBytes(32), randomBytes(32)]
  const text = (...keys: Buffer[]) => keys.map((key) => key.toString('base64')).join(',')
  t.same(readKeks(directory, { keys: text(two, one) }).ring.all.map((kek) => kek.id), [kekOf(two).id, kekOf(one).id])
  t.equal(readKeks(directory, { keys: text(one) }).keep, null)
  const made = readKeks(directory)
  t.equal(readKeks(directory).ring.current.id, made.ring.current.id, 'ours is made once')
  const file = join(directory, 'mine')
  t.throws(() => readKeks(directory, { file }), /is not there.*openssl rand/)
  writeFileSync(file, one.toString('base64'), { mode: 0o600 })
  t.equal(readKeks(directory, { file }).ring.current.id, kekOf(one).id)
  chmodSync(file, 0o644)
  t.throws(() => readKeks(directory, { file }), /can be read by others.*chmod 600/)
  const short = randomBytes(31).toString('base64')
  let said = ''
  try { readKeks(directory, { keys: short }) } catch (error) { said = (error as Error).message }
  t.match(said, /31 bytes and should have 32/)
  t.notOk(said.includes(short))
  t.throws(() => readKeks(directory, { keys: ' ' }), /no key in PARALLAX_KEK/)
})

t.test('a start without the key that transcripts are sealed under is refused by its id; a rotation that the operator began is finished', async (t) => {
  const directory = temporary(t)
  const [one, two] = [randomBytes(32), randomBytes(32)]
  const keys = (...raws: Buffer[]) => ({ keys: raws.map((raw) => raw.toString('base64')).join(',') })
  let log = await openSqliteLog({ directory, kek: keys(one) })
  const record = await exchange(log)
  await t.rejects(log.rotateKek(), { code: 'invalid_request', message: /PARALLAX_KEK.*openssl rand/ })
  await log.close()
  await t.rejects(openSqliteLog({ directory, kek: keys(two) }), { message: new RegExp(`sealed under the key-encryption key ${kekOf(one).id}`) })
  await t.rejects(openSqliteLog({ directory }), { message: /sealed under the key-encryption key/ }, 'a file of our own does not help')
  log = await openSqliteLog({ directory, kek: keys(two, one) })
  while ((await log.sealing()).keks.length > 1) await new Promise((resolve) => setTimeout(resolve, 10))
  t.same((await log.sealing()).keks, [kekOf(two).id])
  t.same(await states(log, record), ['present', 'present'])
  await log.close()
  log = await openSqliteLog({ directory, kek: keys(two) })
  await soundness(t, log)
  await log.close()
})

t.test('a rotation that was cut off goes on at the next start', async (t) => {
  const directory = temporary(t)
  let log = await openSqliteLog({ directory })
  const records = [await exchange(log), await exchange(log)]
  await log.close()
  // as a crash leaves it: the new key is kept, and nothing is under it yet
  const { ring, keep } = readKeks(directory)
  keep!([randomBytes(32), ring.current.raw])
  log = await openSqliteLog({ directory })
  while ((await log.sealing()).keks.length > 1) await new Promise((resolve) => setTimeout(resolve, 10))
  for (const record of records) t.same(await states(log, record), ['present', 'present'])
  t.not((await log.sealing()).keks[0], ring.current.id)
  await soundness(t, log)
  await log.close()
  t.equal(readKeks(directory).ring.all.length, 1, 'the old key is not kept any longer')
})

t.test('a log from before transcripts were sealed is sealed at its first start', async (t) => {
  const directory = temporary(t)
  let log = await openSqliteLog({ directory })
  const record = await exchange(log)
  const { payload } = (await log.record(record))!
  await log.close()
  const db = new DatabaseSync(join(directory, 'audit.db'))
  db.prepare('UPDATE payload SET kek = NULL, wrapped = NULL, bytes = CASE idx WHEN (SELECT idx FROM leaf WHERE id = ?) THEN CAST(\'the request\' AS BLOB) ELSE CAST(\'the answer\' AS BLOB) END').run(record)
  db.exec('DELETE FROM meta WHERE name IN (\'keks\', \'subject_key\')')
  db.close()
  log = await openSqliteLog({ directory })
  while ((await log.sealing()).keks.length > 1) await new Promise((resolve) => setTimeout(resolve, 10))
  t.same((await log.record(record))!.payload, payload)
  await soundness(t, log)
  await log.close()
  t.notOk(/the request|the answer/.test(onDisk(directory).toString('latin1')), 'nothing is left in clear')
})

t.test('the journal of a process that died opens with the key it ran with, and says which is missing', async (t) => {
  const directory = temporary(t)
  const ring = keyringOf([randomBytes(32)])
  const id = '018f0000-0000-7000-8000-000000000001'
  const journal = new Journal(directory, ring)
  journal.append(id, 0, Buffer.from('one '))
  journal.append(id, 1, Buffer.from('other'))
  const rekeyed = keyringOf([randomBytes(32), ring.current.raw])
  journal.rekey(keyringOf([rekeyed.current.raw]))
  journal.append(id, 0, Buffer.from('two'))
  journal.forget()
  journal.append(id, 0, Buffer.from(' three'))
  t.same([...readJournal(directory, rekeyed).get(id)!].map(([choice, bytes]) => [choice, String(bytes)]), [[0, 'one two three'], [1, 'other']])
  t.throws(() => readJournal(directory, ring), /cannot be opened.*remove the file/)
  journal.release(id)
  journal.close()
  rmSync(join(directory, 'journal'), { recursive: true })
})

t.test('a database of the version before, whose record keys were wrapped one by one, opens and reads', async (t) => {
  const directory = temporary(t)
  let log = await openSqliteLog({ directory })
  const record = await exchange(log)
  const answers = async () => [await log.record(record), ...await log.endsOf(record)].map((one) => one!.payload)
  const before = await answers()
  t.same(before.map(({ state }) => state), ['present', 'present'])
  await log.close()

  const { ring } = readKeks(directory)
  const db = new DatabaseSync(join(directory, 'audit.db'))
  const rows = db.prepare('SELECT idx, kek, wrapped FROM payload').all() as { idx: number, kek: string, wrapped: Uint8Array }[]
  for (const { idx, kek, wrapped } of rows) {
    t.equal(wrapped.length, 48)
    db.prepare('UPDATE payload SET wrapped = ? WHERE idx = ?').run(wrap(ring, unwrap(ring, kek, wrapped)), idx)
  }
  db.exec('PRAGMA user_version = 2')
  db.close()

  log = await openSqliteLog({ directory })
  t.same(await answers(), before)
  t.same((await log.rotateKek()).rewrapped, rows.length)
  t.same(await answers(), before, 'under another key-encryption key as well')
  await log.close()
})
