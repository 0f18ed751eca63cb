import { randomUUID } from 'node:crypto'
import t from 'tap'
import * as upstream from '../fixtures/upstream.ts'
import { DrawCheck } from '../../src/draws/check.ts'
import { build, QUESTION } from '../helper.ts'

const key = () => ({ 'idempotency-key': randomUUID() })

t.test('a request that comes again with its Idempotency-Key gets the first answer byte for byte, on a record of its own that names the first', async (t) => {
  const gateway = await build(t)
  for (const model of ['progressive', 'conservative', 'both', 'mix-0.50']) {
    for (const stream of [false, true]) {
      const again = key()
      const body = { model, messages: QUESTION, stream }
      const first = await gateway.ask(body, again)
      const words = await first.text()
      const asked = gateway.upstreams.progressive.requests.length + gateway.upstreams.conservative.requests.length
      const second = await gateway.ask({ stream, messages: QUESTION, model }, again)
      t.equal(await second.text(), words, `${model} ${stream ? 'streamed' : 'whole'}`)
      t.equal(gateway.upstreams.progressive.requests.length + gateway.upstreams.conservative.requests.length, asked, 'no expert was asked again')
      t.equal(second.headers.get('idempotency-replayed'), 'true')
      t.equal(first.headers.get('idempotency-replayed'), null)
      for (const header of ['ai-disclosure', 'perspective', 'perspective-notice', 'link', 'content-type']) t.equal(second.headers.get(header), first.headers.get(header), header)
      const [one, two] = [first.headers.get('x-audit-record')!, second.headers.get('x-audit-record')!]
      t.not(two, one)
      const leaves = await gateway.leaves()
      t.match(leaves.find((leaf) => leaf['begin'] === two), { type: 'completion.end', status: 'complete', again: one, tokens: [0, 0] })
    }
  }
})

t.test('the same key on another request is refused, and another tenant\'s key is another', async (t) => {
  const gateway = await build(t)
  const again = key()
  await (await gateway.ask({ model: 'A', messages: QUESTION }, again)).arrayBuffer()
  for (const [body, headers] of [[{ model: 'B', messages: QUESTION }, {}], [{ model: 'A', messages: QUESTION, seed: 1 }, {}], [{ model: 'A', messages: QUESTION }, { perspective: 'A' }]] as const) {
    const reply = await gateway.ask(body, { ...again, ...headers })
    t.equal(reply.status, 422)
    t.equal((await reply.json() as any).error.code, 'idempotency_conflict')
  }
  const { secret } = await gateway.services.keys.create({ scopes: ['app'], name: 'another tenant' }, null)
  const other = await gateway.ask({ model: 'B', messages: QUESTION }, { ...again, authorization: `Bearer ${secret}` })
  t.equal(other.status, 200)
  t.equal(other.headers.get('idempotency-replayed'), null)
})

t.test('while the first is answered the second waits its turn; what failed may be tried again', async (t) => {
  const gateway = await build(t)
  gateway.upstreams.progressive.replyNext(upstream.json({ content: 'slow', delay: 400 }))
  const again = key()
  const slow = gateway.ask({ model: 'A', messages: QUESTION }, again)
  await gateway.upstreams.progressive.received(1)
  const early = await gateway.ask({ model: 'A', messages: QUESTION }, again)
  t.equal(early.status, 409)
  t.match(await early.json(), { error: { code: 'idempotency_in_flight' } })
  t.ok(Number(early.headers.get('retry-after')) >= 1)
  t.equal((await slow).status, 200)

  const failing = key()
  gateway.upstreams.conservative.replyNext(upstream.htmlError(500))
  t.equal((await gateway.ask({ model: 'B', messages: QUESTION }, failing)).status, 502)
  const retried = await gateway.ask({ model: 'B', messages: QUESTION }, failing)
  t.equal(retried.status, 200)
  t.equal(retried.headers.get('idempotency-replayed'), null)
  gateway.upstreams.conservative.replyNext(upstream.stopsUnfinished())
  const broken = key()
  await (await gateway.ask({ model: 'B', messages: QUESTION, stream: true }, broken)).text()
  t.match(await (await gateway.ask({ model: 'B', messages: QUESTION, stream: true }, broken)).text(), /\[DONE\]/, 'a stream that broke is not the answer')
})

t.test('an answer in which one side failed is not the answer: whoever comes again gets both', async (t) => {
  for (const stream of [false, true]) {
    const gateway = await build(t)
    const again = key()
    gateway.upstreams.conservative.replyNext(upstream.htmlError(500))
    await (await gateway.ask({ model: 'both', messages: QUESTION, stream }, again)).text()
    const retried = await gateway.ask({ model: 'both', messages: QUESTION, stream }, again)
    t.equal(retried.headers.get('idempotency-replayed'), null)
    t.notMatch(await retried.text(), /"finish_reason":"error"/)
  }
})

t.test('refused keys meet the limits, so that a flood of them writes no records', async (t) => {
  const gateway = await build(t, { config: { quota: { requestsPerMinute: 3 } } })
  const again = key()
  await (await gateway.ask({ model: 'A', messages: QUESTION }, again)).arrayBuffer()
  const statuses: number[] = []
  for (let at = 0; at < 5; at++) statuses.push((await gateway.ask({ model: 'B', messages: QUESTION }, again)).status)
  t.same(statuses, [422, 422, 429, 429, 429])
})

t.test('a draw that is told again is the same draw: an auditor computes it again for the request that it was made for, and counts it once', async (t) => {
  const gateway = await build(t)
  for (const perspective of [{ weights: { A: 0.5, B: 0.5 } }, { weights: { A: 0.5, B: 0.5 }, sticky: 'conv', seed: 3 }]) {
    for (const stream of [false, true]) {
      const again = key()
      const body = { model: 'parallax', perspective, messages: QUESTION, stream }
      for (let times = 0; times < 3; times++) await (await gateway.ask(body, again)).text()
    }
  }
  const leaves = await gateway.leaves()
  const { DatabaseSync } = await import('node:sqlite')
  const db = new DatabaseSync(`${gateway.dataDir}/draws.db`, { readOnly: true })
  const { epoch, secret } = db.prepare('SELECT epoch, secret FROM epoch').get() as { epoch: number, secret: Uint8Array }
  db.close()
  const revealed = { type: 'draw.epoch', id: 'x', event: 'revealed', epoch, secret: Buffer.from(secret).toString('base64') }
  const check = (all: object[]) => {
    const one = new DrawCheck()
    for (const leaf of all) one.add(leaf as never)
    return one.report()
  }
  const report = check([...leaves, revealed])
  t.match(report, { held: 12, open: 0, wrong: [] })
  t.equal([...report.counts.values()].flatMap((by) => [...by.values()]).reduce((sum, one) => sum + one, 0), 2 + 6, 'counted once, but for the turns of a conversation')
  // a repetition is no way around the check
  const forged = structuredClone([...leaves, revealed]) as any[]
  const repeated = forged.filter((leaf) => leaf.type === 'completion.begin')[1]
  repeated.perspective.draw.request = 'made up'
  t.match(check(forged).wrong, [/the draw is/])
})
