import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { kekOf } from '../../src/audit/seal/keyring.ts'
import { openSqliteLog } from '../../src/audit/sqlite.ts'
import { soundness } from '../contracts/audit-log.ts'
import { exchange, states } from '../contracts/transcripts.ts'
import { NO_POSTGRES, startPostgres } from '../fixtures/postgres.ts'
import { replicasOn } from '../fixtures/replicas.ts'
import { temporary, until } from '../helper.ts'

const server = await startPostgres(t)
const skip = server ? false : NO_POSTGRES
const keys = (...raws: Buffer[]) => ({ keys: raws.map((raw) => raw.toString('base64')).join(',') })

t.test('PostgreSQL: a transcript whose key is damaged is no reason to keep an old key-encryption key, nor to refuse a start for want of it', { skip }, async (t) => {
  const db = replicasOn(server!)
  const directory = temporary(t)
  let log = await db.open(t, { directory, kek: undefined })
  const [damaged, whole] = [await exchange(log), await exchange(log)]
  await db.sql('UPDATE parallax.payload SET wrapped = set_byte(wrapped, 20, (get_byte(wrapped, 20) + 1) % 256) WHERE record = $1', [damaged])
  const { to } = await log.rotateKek()
  t.same((await log.sealing()).keks, [to])
  await log.close()
  log = await db.open(t, { directory, kek: undefined })
  t.same([await states(log, damaged), await states(log, whole)], [['damaged', 'damaged'], ['present', 'present']])
  t.same((await log.sealing()).keks, [to])
  await log.close()
})

t.test('PostgreSQL: a rotation that another replica places, which has not the new key, says what is so', { skip }, async (t) => {
  const db = replicasOn(server!)
  const [old, fresh] = [randomBytes(32), randomBytes(32)]
  const directory = temporary(t)
  // a replica that is still to be restarted with the new key, and places whatever is pending
  const behind = await db.open(t, { kek: keys(old), tendMs: 1 })
  await exchange(behind)
  let log = await db.open(t, { directory, kek: keys(fresh, old), tendMs: 60_000 })
  await until(async () => (await db.sql('SELECT 1 FROM parallax.leaf WHERE type = \'kek.rotated\'')).length > 0)
  t.same((await log.sealing()).keks, [kekOf(fresh).id], 'nothing is under the old one')
  const late = await exchange(behind)
  t.same((await log.sealing()).keks, [kekOf(fresh).id, kekOf(old).id], 'until somebody seals with it again')
  t.same(await states(log, late), ['present', 'present'])
  await behind.close()
  await log.close()
  log = await db.open(t, { directory, kek: keys(fresh, old) })
  await until(async () => (await log.sealing()).keks.length === 1)
  await log.close()
  log = await db.open(t, { directory, kek: keys(fresh) })
  await soundness(t, log)
  t.same(await states(log, late), ['present', 'present'])
  await log.close()
})

t.test('PostgreSQL: keys in a file of one gateway\'s own are not rotated under the others, which would read nothing any more', { skip }, async (t) => {
  const db = replicasOn(server!)
  const directory = temporary(t)
  const log = await db.open(t, { directory, kek: undefined })
  const other = temporary(t)
  writeFileSync(join(other, 'kek.keys'), readFileSync(join(directory, 'kek.keys')), { mode: 0o600 })
  const second = await db.open(t, { directory: other, kek: undefined })
  await t.rejects(log.rotateKek(), { code: 'invalid_request', message: /other gateways.*PARALLAX_KEK/ })
  await second.close()
  t.ok(await log.rotateKek())
  await log.close()
})

t.test('SQLite: an old key that a death left in our file behind the last word of a rotation goes at the next start', async (t) => {
  const directory = temporary(t)
  let log = await openSqliteLog({ directory })
  const record = await exchange(log)
  await log.close()
  const file = join(directory, 'kek.keys')
  const before = readFileSync(file, 'utf8')
  writeFileSync(file, `${before}${randomBytes(32).toString('base64')}\n`, { mode: 0o600 })
  log = await openSqliteLog({ directory })
  await until(() => readFileSync(file, 'utf8') === before)
  t.same(await states(log, record), ['present', 'present'])
  await log.close()
})
