import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { runCommand } from '../../src/cli/commands.ts'
import { controlPath, serveControl } from '../../src/control.ts'
import { parseKey } from '../../src/keys/key.ts'
import { openKeyStore } from '../../src/keys/sqlite.ts'
import type { IssuedKeyObject, KeyObject } from '../../src/keys/wire.ts'
import { adminApp } from '../keys/admin-app.ts'
import { memoryLog } from '../keys/memory-log.ts'
import { run, WITH_MEMORY_LOG } from './run.ts'

const keysOf = (directory: string) => async (...args: string[]) => await run(WITH_MEMORY_LOG, ['keys', ...args, '--data-dir', directory])
const leavesOf = (directory: string) => readFileSync(join(directory, 'leaves.ndjson'), 'utf8').trim().split('\n').map((line) => JSON.parse(line) as { type: string, key: string, fields: { subject: string } })

/** The same without the cost of a process: what neither opens a store nor makes anything. */
async function inProcess (args: string[], directory: string) {
  const said = { out: '', err: '' }
  const code = await runCommand(args, { out: (text) => { said.out += text }, err: (text) => { said.err += text }, dataDir: () => directory, openLog: memoryLog })
  return { code, ...said }
}

/** A gateway of which only the control socket and the admin routes exist. */
async function gateway (t: Test, directory: string) {
  const log = memoryLog()
  const store = await openKeyStore({ directory, audit: log })
  const { app, logged } = await adminApp(store)
  const control = await serveControl({ path: controlPath(directory), handler: (request, response) => app.routing(request, response) })
  t.teardown(async () => { await control.close(); await app.close(); store.close() })
  return { store, log, logged }
}

t.test('without a gateway: create shows the secret alone on stdout, and the rest and a warning on stderr', async (t) => {
  const directory = join(t.testdir(), 'data')
  const made = await keysOf(directory)('create', '--scope', 'app', '--name', 'shop', '--expires', '30d', '--default-perspective', 'progressive')
  t.equal(made.code, 0, made.err)
  const secret = made.out.trim()
  t.equal(parseKey(secret), secret)
  t.equal(made.out, `${secret}\n`)
  t.match(made.err, /^Key k_[0-9a-f]{12} for tenant t_[0-9a-f]{12}, scope app, valid until 2.*\nKeep the secret now/)
  t.notOk(made.err.includes(secret))
  const store = await openKeyStore({ directory, audit: memoryLog() })
  t.match(store.find(secret), { name: 'shop', defaultPerspective: 'progressive' })
  t.equal(Math.round(((store.list()[0]?.expires ?? 0) - Date.now()) / 86_400_000), 30)
  store.close()
  t.match(leavesOf(directory), [{ type: 'key.created', key: 'k_local' }])
})

t.test('a default perspective that nothing is known by is refused with what there is, by a running gateway and without one', async (t) => {
  const [alone, running] = [join(t.testdir(), 'alone'), join(t.testdir(), 'running')]
  const { store } = await gateway(t, running)
  for (const directory of [alone, running]) {
    const refused = await keysOf(directory)('create', '--scope', 'app', '--default-perspective', 'libertarian')
    t.equal(refused.code, 1, directory)
    t.match(refused, { out: '', err: /got "libertarian"\. Choose one of: .*progressive, A, conservative, B.*"both"/ })
  }
  t.same(store.list(), [])
  t.match(JSON.parse((await keysOf(alone)('list', '--json')).out), { keys: { length: 0 } })
})

t.test('without a gateway: the whole life of a key', async (t) => {
  const directory = join(t.testdir(), 'data')
  const keys = keysOf(directory)
  const { secret, key } = JSON.parse((await keys('create', '--scope', 'app', '--scope', 'admin', '--tenant', 't_acme', '--json')).out) as IssuedKeyObject
  t.same(key.scopes, ['app', 'admin'])
  const rotated = await keys('rotate', key.id, '--overlap', '2h', '--json')
  const next = JSON.parse(rotated.out) as IssuedKeyObject
  t.equal(next.key.tenant, 't_acme')
  t.not(next.secret, secret)
  const revoked = await keys('revoke', next.key.id)
  t.match(revoked, { code: 0, out: new RegExp(`^Key ${next.key.id} is revoked since 2`) })
  const listed = await keys('list')
  t.equal(listed.code, 0)
  const [head, first, second] = listed.out.split('\n')
  t.match(head, /^ID +STATE +SCOPES +TENANT/)
  t.match(first, new RegExp(`^${key.id} +replaced +app,admin +t_acme`))
  t.match(second, new RegExp(`^${next.key.id} +revoked`))
  t.notMatch(listed.out, /plx_/)
  t.match(JSON.parse((await keys('list', '--json')).out), { keys: [{ id: key.id, replaced_by: next.key.id }, { id: next.key.id, revoked_at: /^2/ }] })
  t.same(leavesOf(directory).map((leaf) => [leaf.type, leaf.fields.subject]), [['key.created', key.id], ['key.created', next.key.id], ['key.revoked', key.id], ['key.revoked', next.key.id]])
})

t.test('a key is given limits of its own, and the list shows them', async (t) => {
  const directory = join(t.testdir(), 'data')
  const made = await keysOf(directory)('create', '--scope', 'app', '--requests-per-minute', '60', '--tokens-per-minute', '90000', '--streams', 'unlimited', '--tokens-per-day', '1000000', '--json')
  t.equal(made.code, 0, made.err)
  t.same((JSON.parse(made.out) as IssuedKeyObject).key.quota, { requests_per_minute: 60, tokens_per_minute: 90_000, streams: null, tokens_per_day: 1_000_000 })
  await keysOf(directory)('create', '--scope', 'app', '--name', 'plain')
  const { out } = await keysOf(directory)('list')
  t.match(out, /LIMITS/)
  t.match(out, / 60 requests\/min, 90000 tokens\/min, unlimited streams, 1000000 tokens\/day +app key/)
  await keysOf(directory)('create', '--scope', 'app', '--requests-per-minute', '1', '--streams', '1')
  t.match((await keysOf(directory)('list')).out, / 1 request\/min, 1 stream(?!s)/)
  t.match(out, / - +plain/)
  for (const wrong of ['0', '-1', '1.5', 'many', '']) t.match(await inProcess(['keys', 'create', '--scope', 'app', `--streams=${wrong}`], directory), { code: 2, err: /Wanted --streams as a whole number from 1, or "unlimited"/ })
})

t.test('an auditor key comes with a second warning', async (t) => {
  const made = await keysOf(join(t.testdir(), 'data'))('create', '--scope', 'auditor')
  t.equal(made.code, 0)
  t.match(made.err, /can read every transcript/)
})

t.test('a log that refuses: exit code 1, no secret, no key', async (t) => {
  const directory = join(t.testdir(), 'data')
  const made = await run(WITH_MEMORY_LOG, ['--refuse', 'keys', 'create', '--scope', 'app', '--data-dir', directory])
  t.match(made, { code: 1, out: '', err: /audit log could not record.*\n.*disk full/ })
  t.same(JSON.parse((await keysOf(directory)('list', '--json')).out), { keys: [] })
})

t.test('with a gateway: it does the work, so the keys work there at once', async (t) => {
  const directory = join(t.testdir(), 'data')
  const { store, log, logged } = await gateway(t, directory)
  const keys = keysOf(directory)
  const made = await keys('create', '--scope', 'auditor', '--name', 'court', '--json')
  t.equal(made.code, 0, made.err)
  const { secret, key } = JSON.parse(made.out) as IssuedKeyObject
  t.match(store.find(secret), { key: key.id, name: 'court' })
  t.match(log.leaves, [{ type: 'key.created', key: 'k_local', fields: { subject: key.id } }])
  t.notOk(existsSync(join(directory, 'leaves.ndjson')), 'the command opened no log of its own')
  t.equal(logged.length, 1, 'the gateway warned of the auditor key')
  const rotated = JSON.parse((await keys('rotate', key.id, '--overlap', '0', '--json')).out) as IssuedKeyObject
  t.equal(store.find(secret), null)
  t.ok(store.find(rotated.secret))
  t.equal((await keys('revoke', rotated.key.id)).code, 0)
  t.equal(store.find(rotated.secret), null)
  const { keys: listed } = JSON.parse((await keys('list', '--json')).out) as { keys: KeyObject[] }
  t.same(listed.map((one) => one.id), [key.id, rotated.key.id])
})

t.test('with a gateway: its refusals are told, with exit code 1', async (t) => {
  const directory = join(t.testdir(), 'data')
  const { log } = await gateway(t, directory)
  const keys = keysOf(directory)
  for (const action of ['revoke', 'rotate']) t.match(await keys(action, 'k_000000000000'), { code: 1, out: '', err: /There is no key "k_000000000000"/ })
  t.match(await keys('create', '--scope', 'app', '--tenant', 'acme'), { code: 1, out: '', err: /tenant/ })
  log.mode = 'refuse'
  t.match(await keys('create', '--scope', 'app'), { code: 1, out: '', err: /audit log could not record/ })
})

t.test('a gateway that holds the keys without a socket is noticed, and nothing is written beside it', async (t) => {
  const directory = join(t.testdir(), 'data')
  const store = await openKeyStore({ directory, audit: memoryLog() })
  t.teardown(() => store.close())
  t.match(await keysOf(directory)('create', '--scope', 'app'), { code: 1, out: '', err: /in use by another process/ })
})

t.test('a mistyped data directory is said, not filled', async (t) => {
  const directory = join(t.testdir(), 'dta')
  for (const args of [['list'], ['revoke', 'k_000000000000'], ['rotate', 'k_000000000000']]) t.match(await keysOf(directory)(...args), { code: 1, err: /There are no keys in .*dta/ })
  t.notOk(existsSync(directory))
})

t.test('a wrong call is exit code 2, on stderr, with where to find help, and makes nothing', async (t) => {
  const root = t.testdir()
  const wrong: [string[], RegExp][] = [
    [[], /command is missing/], [['frobnicate'], /Unknown command "frobnicate"/], [['__proto__'], /Unknown command/], [['--colour'], /Unknown option/], [['keys'], /action is missing/], [['keys', 'toString'], /Unknown action/],
    [['keys', 'create'], /Wanted --scope app\|auditor\|admin/], [['keys', 'create', '--scope', 'root'], /got "root"/], [['keys', 'create', '--scope', 'app', '--expires', 'soon'], /--expires .* got "soon"/],
    [['keys', 'create', '--scope', 'app', '--colour'], /--colour/], [['keys', 'create', 'app'], /app/], [['keys', 'revoke'], /Wanted one key/], [['keys', 'revoke', 'k_1', 'k_2'], /Wanted one key/],
    [['keys', 'revoke', 'plx_0123456789abcdefghijABCDEFGHIJ2AvlkN'], /not the key itself/], [['keys', 'rotate', 'k_1', '--overlap', '-1'], /overlap/], [['keys', 'list', '--json=yes'], /json/],
  ]
  for (const [args, message] of wrong) {
    const ran = await inProcess(args, root)
    t.match(ran, { code: 2, out: '', err: message }, args.join(' '))
    t.match(ran.err, /parallax (keys )?--help/)
  }
  t.same(readdirSync(root), [])
})

t.test('help is to be had everywhere and touches nothing', async (t) => {
  const root = t.testdir()
  const asked: [string[], RegExp][] = [
    [['--help'], /Usage: parallax <command>[^]*keys +make/], [['help'], /Usage: parallax/], [['-h'], /Usage: parallax/], [['keys', '--help'], /create[^]*list[^]*revoke[^]*rotate/],
    [['keys', 'create', '--help'], /--scope[^]*--expires/], [['keys', 'list', '--help'], /--json/], [['keys', 'revoke', '-h'], /<id>/], [['keys', 'rotate', '--help'], /--overlap/],
  ]
  for (const [args, text] of asked) t.match(await inProcess(args, root), { code: 0, out: text, err: '' }, args.join(' '))
  t.match(await run(WITH_MEMORY_LOG, ['--help'], { cwd: root }), { code: 0, out: /Usage/, err: '' }, 'in a process of its own, too')
  t.match(await run(WITH_MEMORY_LOG, ['keys', 'create'], { cwd: root }), { code: 2, out: '', err: /--scope/ })
  t.same(readdirSync(root), [])
})
