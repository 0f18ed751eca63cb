import t from 'tap'
import { openSqliteLog } from '../../src/audit/sqlite.ts'
import * as upstream from '../fixtures/upstream.ts'
import { build, events, QUESTION, until } from '../helper.ts'

const asked = { model: 'progressive', messages: QUESTION }

async function failing (t: any) {
  const faults: { beforeCommit?: () => void } = {}
  const gateway = await build(t, { openers: { audit: (directory) => openSqliteLog({ directory, direct: { faults }, limits: { probeMs: 50 } }) } })
  return { gateway, fail: () => { faults.beforeCommit = () => { throw new Error('disk I/O error') } }, mend: () => { delete faults.beforeCommit } }
}

t.test('when the log cannot commit, nothing is answered, /readyz says why, and it recovers without a restart', async (t) => {
  const { gateway, fail, mend } = await failing(t)
  t.equal((await gateway.ask(asked)).status, 200)
  fail()
  for (const stream of [false, true]) {
    const reply = await gateway.ask({ ...asked, stream })
    t.equal(reply.status, 503)
    const { error } = await reply.json() as any
    t.equal(error.code, 'audit_unavailable')
    t.ok(reply.headers.get('retry-after'))
    t.notMatch(JSON.stringify(error), new RegExp(upstream.CONTENT), 'nothing of the answer')
  }
  t.equal((await gateway.ask({ ...asked, model: 'nobody' })).status, 503, 'a refusal that cannot be recorded')
  t.equal((await fetch(`${gateway.url}/audit/v1/records`, { headers: { authorization: `Bearer ${gateway.keys.auditor}` } })).status, 503, 'a reading that cannot be recorded')
  const ready = await fetch(`${gateway.url}/readyz`)
  t.equal(ready.status, 503)
  t.match(await ready.json(), { status: 'not ready', checks: { audit: { ok: false, reason: /disk I\/O error/ } } })
  t.equal((await fetch(`${gateway.url}/healthz`)).status, 200, 'alive all the same')
  mend()
  await until(async () => (await fetch(`${gateway.url}/readyz`)).status === 200)
  t.equal((await gateway.ask(asked)).status, 200)
})

t.test('a log that fails in the middle of a stream withholds the finish, and the client is told', async (t) => {
  const { gateway, fail, mend } = await failing(t)
  gateway.upstreams.progressive.reply(upstream.stream({ delay: 30 }))
  const reply = await gateway.ask({ ...asked, stream: true })
  t.equal(reply.status, 200)
  fail()
  const chunks = await events(reply)
  t.notOk(chunks.includes('[DONE]'))
  t.notOk(chunks.some((chunk) => chunk.choices?.[0]?.finish_reason), 'no finish')
  t.equal(chunks.at(-1).error.code, 'audit_unavailable')
  mend()
  const end = await until(async () => (await gateway.leaves()).find((leaf) => leaf.type === 'completion.end'))
  t.equal(end['status'], 'interrupted', 'the record is closed when the log can commit again, without a restart')
  t.ok(end['bytes_sent'] > 0)
})
