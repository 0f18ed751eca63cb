import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import type { Test } from 'tap'
import { openKeyStore } from '../../src/keys/sqlite.ts'
import { UNLIMITED } from '../../src/quota.ts'
import { keyStoreContract, START } from '../contracts/key-store.ts'
import { memoryLog } from './memory-log.ts'


async function open (t: Test, directory = join(t.testdir(), 'data')) {
  const log = memoryLog()
  const clock = { now: START }
  const store = await openKeyStore({ directory, audit: log, now: () => clock.now })
  t.teardown(() => store.close())
  return { store, log, clock, directory }
}

t.test('keys.db keeps the contract of keys', async (t) => {
  keyStoreContract(t, (t) => {
    const directory = join(t.testdir(), 'data')
    return (options) => openKeyStore({ directory, ...options })
  })
})

t.test('a keys.db from before there were limits is brought forward: its keys work and set none', async (t) => {
  const { store, directory, log } = await open(t)
  const { secret } = await store.create({ scopes: ['app'] }, null)
  store.close()
  const database = new DatabaseSync(join(directory, 'keys.db'))
  database.exec('ALTER TABLE keys DROP COLUMN quota; PRAGMA user_version = 1')
  database.close()
  const again = await openKeyStore({ directory, audit: log })
  t.same(again.find(secret)?.quota, UNLIMITED)
  t.ok(again.find((await again.create({ scopes: ['app'], quota: { streams: 2 } }, null)).secret))
  again.close()
})

t.test('the secret is in no file of the data directory, and every file is its owner\'s alone', async (t) => {
  const { store, directory } = await open(t)
  const { secret } = await store.create({ scopes: ['app'] }, null)
  t.match(readdirSync(directory).sort().join(' '), /^keys\.db (keys\.db-journal )?pepper$/)
  for (const name of readdirSync(directory)) {
    t.equal(statSync(join(directory, name)).mode & 0o777, 0o600, name)
    t.notOk(readFileSync(join(directory, name)).includes(secret.slice(4, 34)), name)
  }
  t.equal(statSync(directory).mode & 0o777, 0o700)
})

t.test('the whole hash is compared, not only the part that finds it', async (t) => {
  const { store, directory, log } = await open(t)
  const { secret } = await store.create({ scopes: ['app'] }, null)
  store.close()
  const database = new DatabaseSync(join(directory, 'keys.db'))
  const hash = database.prepare('SELECT hash FROM keys').get()?.['hash'] as Uint8Array
  t.equal(hash.length, 32)
  hash.set([hash[31]! ^ 1], 31)
  database.prepare('UPDATE keys SET hash = ?').run(hash)
  database.close()
  const again = await openKeyStore({ directory, audit: log })
  t.equal(again.find(secret), null)
  again.close()
})

t.test('a keys.db that others could read is closed to them', async (t) => {
  const { store, directory, log } = await open(t)
  store.close()
  chmodSync(join(directory, 'keys.db'), 0o644)
  const again = await openKeyStore({ directory, audit: log })
  t.equal(statSync(join(directory, 'keys.db')).mode & 0o777, 0o600)
  again.close()
})

t.test('a store whose pepper is missing or another\'s refuses to open', async (t) => {
  const { store, directory, log } = await open(t)
  await store.create({ scopes: ['app'] }, null)
  store.close()
  const pepper = join(directory, 'pepper')
  renameSync(pepper, `${pepper}.kept`)
  await t.rejects(openKeyStore({ directory, audit: log }), { name: 'KeyStoreError', message: /is missing, and 1 key was hashed/ })
  writeFileSync(pepper, Buffer.alloc(32, 1), { mode: 0o600 })
  await t.rejects(openKeyStore({ directory, audit: log }), { name: 'KeyStoreError', message: /not the one that the keys were hashed with/ })
  rmSync(pepper)
  renameSync(`${pepper}.kept`, pepper)
  chmodSync(pepper, 0o644)
  await t.rejects(openKeyStore({ directory, audit: log }), /chmod 600/)
  chmodSync(pepper, 0o600)
  const again = await openKeyStore({ directory, audit: log })
  t.equal(again.list().length, 1)
  again.close()
})

t.test('a file of a newer version, or one that is no database, is refused and left as it is', async (t) => {
  const { store, directory, log } = await open(t)
  store.close()
  const path = join(directory, 'keys.db')
  const database = new DatabaseSync(path)
  database.exec('PRAGMA user_version = 99')
  database.close()
  await t.rejects(openKeyStore({ directory, audit: log }), { name: 'KeyStoreError', message: /newer Parallax \(schema 99/ })
  writeFileSync(path, 'this is not a database, whatever its name says'.repeat(100))
  const before = readFileSync(path)
  await t.rejects(openKeyStore({ directory, audit: log }), { name: 'KeyStoreError', message: /backup/ })
  t.same(readFileSync(path), before)
})

t.test('a second process is refused while the first holds the keys, and let in after it died', async (t) => {
  const directory = join(t.testdir(), 'data')
  const holder = spawn(process.execPath, [join(import.meta.dirname, 'hold-keys.ts'), directory], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(holder.stdout, 'data')
  await t.rejects(openKeyStore({ directory, audit: memoryLog() }), { name: 'KeyStoreError', message: /in use by another process/ })
  holder.kill('SIGKILL')
  await once(holder, 'exit')
  const store = await openKeyStore({ directory, audit: memoryLog() })
  t.equal(store.list().length, 1, 'its key survived the kill')
  store.close()
})

t.test('umask 0 changes nothing of who may read the files', async (t) => {
  const directory = join(t.testdir(), 'data')
  execFileSync('sh', ['-c', 'umask 0; exec "$0" "$@"', process.execPath, join(import.meta.dirname, 'hold-keys.ts'), directory, 'and-leave'])
  for (const name of readdirSync(directory)) t.equal(statSync(join(directory, name)).mode & 0o777, 0o600, name)
})
