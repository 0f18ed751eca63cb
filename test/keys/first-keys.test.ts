import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { firstKeys, welcome } from '../../src/keys/first-keys.ts'
import { openKeyStore } from '../../src/keys/sqlite.ts'
import { memoryLog } from './memory-log.ts'

async function open (t: Test, directory: string) {
  const log = memoryLog()
  const store = await openKeyStore({ directory, audit: log })
  t.teardown(() => store.close())
  return { store, log }
}

type Secrets = Record<'app' | 'auditor' | 'admin', string>
const secretsOf = (directory: string) => JSON.parse(readFileSync(join(directory, 'keys.json'), 'utf8')) as Secrets

t.test('the first start on a loopback address makes one working key of each scope, for one tenant', async (t) => {
  const directory = join(t.testdir(), 'data')
  const { store, log } = await open(t, directory)
  t.equal(await firstKeys({ store, directory, loopback: true }), 'made')
  const secrets = secretsOf(directory)
  t.same(Object.keys(secrets), ['app', 'auditor', 'admin'])
  for (const [scope, secret] of Object.entries(secrets)) t.same(store.find(secret)?.scopes, new Set([scope]))
  t.equal(new Set(store.list().map((key) => key.tenant)).size, 1)
  t.equal(statSync(join(directory, 'keys.json')).mode & 0o777, 0o600)
  t.match(log.leaves.map((leaf) => [leaf.type, leaf.key]), [['key.created', null], ['key.created', null], ['key.created', null]])
  t.same(readdirSync(directory).filter((name) => name.startsWith('keys.json')), ['keys.json'], 'nothing is left over')
})

t.test('a second start changes nothing', async (t) => {
  const directory = join(t.testdir(), 'data')
  const { store, log } = await open(t, directory)
  await firstKeys({ store, directory, loopback: true })
  const before = readFileSync(join(directory, 'keys.json'), 'utf8')
  t.equal(await firstKeys({ store, directory, loopback: true }), 'present')
  t.equal(readFileSync(join(directory, 'keys.json'), 'utf8'), before)
  t.equal(log.leaves.length, 3)
  t.match(welcome('present', { directory, origin: 'http://127.0.0.1:3000' }), new RegExp(`are in .*keys\\.json`), 'whoever missed the first words finds the file')
})

t.test('keys.json taken away by its owner is not made again while there are keys, even revoked ones', async (t) => {
  const directory = join(t.testdir(), 'data')
  const { store } = await open(t, directory)
  await firstKeys({ store, directory, loopback: true })
  rmSync(join(directory, 'keys.json'))
  for (const key of store.list()) await store.revoke(key.id, null)
  t.equal(await firstKeys({ store, directory, loopback: true }), 'present')
  t.notOk(existsSync(join(directory, 'keys.json')))
  t.equal(welcome('present', { directory, origin: 'http://127.0.0.1:3000' }), null)
})

t.test('a keys.json that is there is never overwritten, and said to be stale where its keys are unknown', async (t) => {
  const directory = t.testdir({ 'keys.json': '{"app":"mine"}' })
  const { store } = await open(t, directory)
  t.equal(await firstKeys({ store, directory, loopback: true }), 'stale')
  t.equal(readFileSync(join(directory, 'keys.json'), 'utf8'), '{"app":"mine"}')
  t.same(store.list(), [])
  t.match(welcome('stale', { directory, origin: 'http://127.0.0.1:3000' }), /keys are unknown/)
})

t.test('on an address that others reach none is made, and the commands to make them are told', async (t) => {
  const directory = join(t.testdir(), 'data')
  const { store } = await open(t, directory)
  t.equal(await firstKeys({ store, directory, loopback: false }), 'wanted')
  t.same(store.list(), [])
  t.notOk(existsSync(join(directory, 'keys.json')))
  const text = welcome('wanted', { directory, origin: 'http://192.0.2.1:3000' })
  for (const scope of ['app', 'auditor', 'admin']) t.match(text, `keys create --scope ${scope}`)
})

t.test('a log that refuses: no keys.json and no key, and the next start makes them', async (t) => {
  const directory = join(t.testdir(), 'data')
  const { store, log } = await open(t, directory)
  log.mode = 'refuse'
  await t.rejects(firstKeys({ store, directory, loopback: true }), { code: 'audit_unavailable' })
  t.same(readdirSync(directory).filter((name) => name.startsWith('keys.json')), [])
  t.same(store.list(), [])
  log.mode = 'accept'
  t.equal(await firstKeys({ store, directory, loopback: true }), 'made')
})

for (const moment of ['before the leaves', 'after the leaves', 'after the keys'] as const) {
  t.test(`killed ${moment}: the next start ends with one complete keys.json whose keys all work`, async (t) => {
    const directory = join(t.testdir(), 'data')
    const child = spawnSync(process.execPath, [join(import.meta.dirname, 'killed-first-start.ts'), directory, moment], { encoding: 'utf8' })
    t.equal(child.signal, 'SIGKILL', child.stderr)
    t.notOk(existsSync(join(directory, 'keys.json')))
    const { store } = await open(t, directory)
    t.equal(store.list().length, moment === 'after the keys' ? 3 : 0)
    t.equal(await firstKeys({ store, directory, loopback: true }), 'made')
    for (const [scope, secret] of Object.entries(secretsOf(directory))) t.same(store.find(secret)?.scopes, new Set([scope]))
    t.equal(store.list().length, 3, 'and there are no others')
    t.same(readdirSync(directory).filter((name) => name.startsWith('keys.json')), ['keys.json'])
    t.equal(statSync(join(directory, 'keys.json')).mode & 0o777, 0o600)
  })
}

t.test('half a draft, left by a crash, is thrown away', async (t) => {
  for (const half of ['', '{"app":"plx_', '{}', 'null', '[]']) {
    const directory = t.testdir({ 'keys.json.part': half })
    const { store } = await open(t, directory)
    t.equal(await firstKeys({ store, directory, loopback: true }), 'made', JSON.stringify(half))
    t.ok(store.find(secretsOf(directory).app))
    store.close()
  }
})

t.test('what is printed holds no secret, asks both sides alike and works when pasted', async (t) => {
  const seen: { url: string | undefined, authorization: string | undefined, body: string }[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (part) => { body += String(part) }).on('end', () => {
      seen.push({ url: request.url, authorization: request.headers.authorization, body })
      response.end('{}')
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const from = t.testdir()
  const directory = join(from, 'my data')
  const { store } = await open(t, directory)
  const text = welcome(await firstKeys({ store, directory, loopback: true }), { directory, origin, from }) ?? ''
  const secrets = secretsOf(directory)
  for (const secret of Object.values(secrets)) t.notOk(text.includes(secret))
  const commands = text.split('\n').filter((line) => line.includes('curl'))
  t.equal(commands.length, 3)
  for (const command of commands) {
    t.notOk(command.includes(from), 'relative, so that it can be pasted beside the README')
    const shell = spawn('sh', ['-c', command], { cwd: from, stdio: 'ignore' })
    t.same(await once(shell, 'exit'), [0, null])
  }
  t.match(seen, [
    { url: '/v1/chat/completions', authorization: `Bearer ${secrets.app}`, body: /"model":"progressive".*universal healthcare/ },
    { url: '/v1/chat/completions', authorization: `Bearer ${secrets.app}`, body: /"model":"conservative".*universal healthcare/ },
    { url: '/audit/v1/records?limit=10', authorization: `Bearer ${secrets.auditor}`, body: '' },
  ])
})

t.test('a data directory whose name a shell would misread is named, not pasted', async (t) => {
  const text = welcome('made', { directory: '/tmp/a"$(touch x)', origin: 'http://127.0.0.1:3000', from: '/' }) ?? ''
  t.notMatch(text, /curl/)
  t.match(text, /keys\.json/)
})
