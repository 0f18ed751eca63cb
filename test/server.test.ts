import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import * as upstream from './fixtures/upstream.ts'
import { events, FIXTURES, QUESTION, temporary, until } from './helper.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

interface Running { readonly child: ChildProcess, readonly url: string, out (): string, err (): string, gone: Promise<number | null> }

/** Starts the real entry in a process of its own, on a free port. */
async function start (t: Test, env: Record<string, string>): Promise<Running> {
  const child = spawn(process.execPath, [join(root, 'src/server.ts')], { cwd: root, env: { PATH: process.env['PATH'] ?? '', PORT: '0', PARALLAX_MODEL: 'none', ...env } })
  let out = ''
  let err = ''
  child.stdout.on('data', (part) => { out += part })
  child.stderr.on('data', (part) => { err += part })
  const gone = new Promise<number | null>((resolve) => { child.once('exit', resolve) })
  t.teardown(() => { child.kill('SIGKILL') })
  let over = false
  void gone.then(() => { over = true })
  const url = await until(() => over ? 'over' : /listens on (\S+)/.exec(out)?.[1], 20_000)
  return { child, url, out: () => out, err: () => err, gone }
}

async function fixture (t: Test): Promise<{ dataDir: string, env: Record<string, string>, expert: upstream.Upstream }> {
  const expert = await upstream.startUpstream()
  t.teardown(() => expert.close())
  const folder = temporary(t)
  const dataDir = join(folder, 'data')
  const file = join(folder, 'parallax.json')
  const experts = Object.fromEntries(['progressive', 'conservative'].map((id) => [id, { wire: 'openai', baseUrl: expert.url, model: 'mock' }]))
  writeFileSync(file, JSON.stringify({ perspectives: [join(FIXTURES, 'perspectives')], experts, engine: { enabled: false }, limits: { shutdownMs: 1500 } }))
  return { dataDir, env: { DATA_DIR: dataDir, PARALLAX_CONFIG: file }, expert }
}

const ask = (url: string, key: string, body: object) => fetch(`${url}/v1/chat/completions`, { method: 'POST', headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' }, body: JSON.stringify({ messages: QUESTION, ...body }) })
const keysIn = (dataDir: string): Record<'app' | 'auditor' | 'admin', string> => JSON.parse(readFileSync(join(dataDir, 'keys.json'), 'utf8'))

t.test('the first start on this machine makes keys that nobody else can read, and says how to use them without showing them', async (t) => {
  const { dataDir, env } = await fixture(t)
  const gateway = await start(t, env)
  const keys = keysIn(dataDir)
  t.equal(statSync(join(dataDir, 'keys.json')).mode & 0o777, 0o600)
  await until(() => gateway.out().includes('"baseline" cannot answer'))
  t.match(await until(() => /^Ready.*$/m.exec(gateway.out())?.[0]), /^Ready\. Progressive, Conservative: by endpoints of your configuration, which are first asked when somebody asks/, 'of an endpoint nobody has asked it is not said that it can answer')
  for (const key of Object.values(keys)) t.notMatch(gateway.out() + gateway.err(), new RegExp(key))
  t.match(gateway.out(), /universal healthcare/)
  t.equal((await ask(gateway.url, keys.app, { model: 'progressive' })).status, 200)
  t.equal((await ask(gateway.url, keys.app, { model: 'conservative' })).status, 200)
  t.equal((await fetch(`${gateway.url}/readyz`)).status, 200)
  t.equal((await fetch(`${gateway.url}/metrics`)).status, 200)
  t.notMatch(gateway.err(), /universal healthcare/, 'prompts never reach the server log')
})

t.test('kill -9 in the middle of a stream, and the next start closes the record with everything the client had', async (t) => {
  const { dataDir, env, expert } = await fixture(t)
  expert.reply(upstream.endless(5))
  const gateway = await start(t, env)
  const reply = await ask(gateway.url, keysIn(dataDir).app, { model: 'conservative', stream: true })
  const record = reply.headers.get('x-audit-record')!
  const reader = reply.body!.getReader()
  let got = ''
  while (got.length < 3000) got += new TextDecoder().decode((await reader.read()).value)
  gateway.child.kill('SIGKILL')
  for (;;) {
    const piece = await reader.read().catch(() => ({ done: true, value: undefined }))
    if (piece.value) got += new TextDecoder().decode(piece.value)
    if (piece.done) break
  }
  await gateway.gone
  const again = await start(t, env)
  const kept = await (await fetch(`${again.url}/audit/v1/records/${record}`, { headers: { authorization: `Bearer ${keysIn(dataDir).auditor}` } })).json() as any
  t.equal(JSON.parse(kept.ends[0].leaf).status, 'interrupted')
  t.ok(kept.ends[0].payload.text.startsWith(got.replace(/^: parallax\n\n/, '')), `${got.length} bytes received, ${kept.ends[0].payload.text.length} on record`)
  t.match(kept.payload.text, /universal healthcare/)
})

t.test('kill -9 in the middle of both sides, and what the client had of each is the beginning of what is on its record', async (t) => {
  const { dataDir, env, expert } = await fixture(t)
  expert.reply((request) => upstream.endless(request.body.model === 'mock-a' ? 3 : 7))
  const config = JSON.parse(readFileSync(env['PARALLAX_CONFIG']!, 'utf8'))
  config.experts.progressive.model = 'mock-a'
  writeFileSync(env['PARALLAX_CONFIG']!, JSON.stringify(config))
  const gateway = await start(t, env)
  const reply = await ask(gateway.url, keysIn(dataDir).app, { model: 'both', stream: true })
  const record = reply.headers.get('x-audit-record')!
  const reader = reply.body!.getReader()
  let got = ''
  while (got.length < 12_000) got += new TextDecoder().decode((await reader.read()).value)
  gateway.child.kill('SIGKILL')
  for (;;) {
    const piece = await reader.read().catch(() => ({ done: true, value: undefined }))
    if (piece.value) got += new TextDecoder().decode(piece.value)
    if (piece.done) break
  }
  await gateway.gone
  const again = await start(t, env)
  const kept = await (await fetch(`${again.url}/audit/v1/records/${record}`, { headers: { authorization: `Bearer ${keysIn(dataDir).auditor}` } })).json() as any
  const ends = kept.ends.map((end: any) => ({ leaf: JSON.parse(end.leaf), text: end.payload.text })).sort((one: any, other: any) => one.leaf.choice - other.leaf.choice)
  t.same(ends.map(({ leaf }: any) => [leaf.choice, leaf.status]), [[0, 'interrupted'], [1, 'interrupted']])
  // the last one may be torn
  const frames = got.split(/(?<=\n\n)/).filter((frame) => frame.startsWith('data: ') && frame.endsWith('\n\n'))
  for (const at of [0, 1]) {
    const mine = frames.filter((frame) => JSON.parse(frame.slice(6)).choices[0].index === at).join('')
    t.ok(mine.length > 1500 && ends[at].text.startsWith(mine), `choice ${at}: ${mine.length} bytes received, ${ends[at].text.length} on record`)
  }
})

t.test('SIGTERM lets a running stream finish, then exits with 0', async (t) => {
  const { dataDir, env, expert } = await fixture(t)
  expert.reply(upstream.stream({ delay: 60 }))
  const gateway = await start(t, env)
  const reply = await ask(gateway.url, keysIn(dataDir).app, { model: 'progressive', stream: true })
  gateway.child.kill('SIGTERM')
  t.equal((await events(reply)).at(-1), '[DONE]')
  t.equal(await gateway.gone, 0)
  t.notOk(existsSync(join(dataDir, 'control.sock')))
})

t.test('SIGTERM breaks off what takes longer than it may, and says so to the client and in the record', async (t) => {
  const { dataDir, env, expert } = await fixture(t)
  expert.reply(upstream.endless(5))
  const gateway = await start(t, env)
  const reply = await ask(gateway.url, keysIn(dataDir).app, { model: 'progressive', stream: true })
  gateway.child.kill('SIGTERM')
  const chunks = await events(reply)
  t.equal(chunks.at(-1).error.code, 'shutting_down')
  t.equal(await gateway.gone, 0)
})

t.test('mistakes of the configuration are told all at once, in words, with exit code 1', async (t) => {
  const gateway = await start(t, { PORT: 'eighty', LOG_LEVEL: 'loud', DATA_DIR: temporary(t) })
  t.equal(gateway.url, 'over')
  t.equal(await gateway.gone, 1)
  t.match(gateway.err(), /PORT: /)
  t.match(gateway.err(), /LOG_LEVEL: /)
  t.notMatch(gateway.err(), /at .*\.ts:\d+/, 'no stack')
})

t.test('a second gateway on the same data is refused with the remedy', async (t) => {
  const { env } = await fixture(t)
  await start(t, env)
  const second = await start(t, env)
  t.equal(second.url, 'over')
  t.equal(await second.gone, 1)
  t.match(second.err(), /in use by process \d+/)
})

t.test('a port that is taken is told in words', async (t) => {
  const { env } = await fixture(t)
  const first = await start(t, env)
  const other = await fixture(t)
  const second = await start(t, { ...other.env, PORT: new URL(first.url).port })
  t.equal(await second.gone, 1)
  t.match(second.err(), /EADDRINUSE.*choose another with PORT/)
  // and nothing of the first was harmed
  await new Promise<void>((resolve, reject) => { connect(Number(new URL(first.url).port), '127.0.0.1').once('connect', function (this: { destroy (): void }) { this.destroy(); resolve() }).once('error', reject) })
})
