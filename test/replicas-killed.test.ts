/** One of two gateways on one Redis and one PostgreSQL is killed under load: what was acknowledged is on record, and the other goes on. */
import { spawn } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import * as upstream from './fixtures/upstream.ts'
import { NO_POSTGRES, startPostgres } from './fixtures/postgres.ts'
import { NO_REDIS, startRedis } from './fixtures/redis.ts'
import { build, FIXTURES, QUESTION, temporary, until } from './helper.ts'

const redis = await startRedis(t)
const postgres = await startPostgres(t)
const skip = redis ? postgres ? false : NO_POSTGRES : NO_REDIS

t.test('a replica that is killed while it answers, from its experts, the shared cache and shared calls, loses no answer that a client had, and the other one serves its keys, limits and conversations', { skip }, async (t) => {
  const env = { REDIS_URL: redis!.database(), DATABASE_URL: await postgres!.database(), PARALLAX_KEK: randomBytes(32).toString('base64') }
  const staying = await build(t, { env })
  const { upstreams } = staying
  const file = join(temporary(t), 'parallax.json')
  const experts = { progressive: { wire: 'openai', baseUrl: upstreams.progressive.url, model: 'mock-a' }, conservative: { wire: 'openai', baseUrl: upstreams.conservative.url, model: 'mock-b' } }
  writeFileSync(file, JSON.stringify({ perspectives: [join(FIXTURES, 'perspectives')], engine: { enabled: false }, experts }))
  const dying = spawn(process.execPath, [fileURLToPath(new URL('../src/server.ts', import.meta.url))], { env: { PATH: process.env['PATH'] ?? '', PORT: '0', PARALLAX_MODEL: 'none', PARALLAX_CONFIG: file, DATA_DIR: join(temporary(t), 'data'), ...env } })
  t.teardown(() => { dying.kill('SIGKILL') })
  let out = ''
  dying.stdout.on('data', (part) => { out += part })
  dying.stderr.on('data', (part) => { out += part })
  const url = await until(() => /listens on (\S+)/.exec(out)?.[1], 30_000)
  const { secret } = await staying.services.keys.create({ scopes: ['app'], name: 'shared' }, null)
  const ask = (at: string, body: object, headers: Record<string, string> = {}) => fetch(`${at}/v1/chat/completions`, { method: 'POST', headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json', ...headers }, body: JSON.stringify({ messages: QUESTION, ...body }) })
  await until(async () => (await ask(url, { model: 'A' })).status === 200, 20_000)
  for (const one of Object.values(upstreams)) one.reply(() => upstream.answer({ delay: 2, content: 'words '.repeat(20) }))

  /** Records whose whole answer a client had. */
  const had: string[] = []
  let stop = false
  let asked = 0
  async function client (at: string, number: number): Promise<void> {
    while (!stop) {
      const turn = asked++
      const body = { model: ['A', 'B', 'both', 'mix-0.50'][turn % 4], stream: turn % 3 === 0, ...(turn % 5 < 2 && { temperature: 0, messages: [{ role: 'user', content: `question ${turn % 7}` }] }) }
      try {
        const reply = await ask(at, body, turn % 4 === 1 ? { 'idempotency-key': randomUUID() } : {})
        const text = await reply.text()
        if (reply.status === 200 && (body.stream ? text.endsWith('data: [DONE]\n\n') : text.endsWith('}'))) had.push(reply.headers.get('x-audit-record')!)
      } catch { await sleep(5 * number) }
    }
  }
  const clients = [url, staying.url].flatMap((at) => Array.from({ length: 6 }, (_, number) => client(at, number)))
  await until(() => had.length > 150, 60_000)
  dying.kill('SIGKILL')
  const whenKilled = had.length
  await until(() => had.length > whenKilled + 60, 60_000)
  stop = true
  await Promise.all(clients)
  const ends = new Map<string, string[]>()
  for await (const one of staying.services.audit.stream({ type: 'completion.end' })) {
    const leaf = JSON.parse(one.leaf) as { begin: string, status: string }
    ends.set(leaf.begin, [...ends.get(leaf.begin) ?? [], leaf.status])
  }
  const lost = had.filter((record) => !(ends.get(record)?.every((status) => status === 'complete') ?? false))
  t.same(lost, [], `${had.length} answers had, ${whenKilled} of them before the kill`)
  t.equal((await ask(staying.url, { model: 'parallax', perspective: { weights: { A: 1, B: 1 }, sticky: 'conv' } })).status, 200)
})
