import t from 'tap'
import { openPostgresLog } from '../../src/audit/postgres.ts'
import { openSqliteLog } from '../../src/audit/sqlite.ts'
import * as upstream from '../fixtures/upstream.ts'
import { QUESTION, until, type Built } from '../helper.ts'
import { audited, stores } from './stores.ts'

type Faults = Partial<Record<'beforeCommit' | 'afterCommit' | 'beforeInsert' | 'afterInsert', () => void>>

const { each, server } = await stores(t)
const [sqlite, postgres] = each

/** Each store's place where a commit fails, before it was kept or after. */
const CASES = [
  { store: sqlite!, before: 'beforeCommit', after: 'afterCommit', open: (faults: Faults) => (directory: string) => openSqliteLog({ directory, direct: { faults }, limits: { probeMs: 50 } }) },
  { store: postgres!, before: 'beforeInsert', after: 'afterInsert', open: (faults: Faults) => async (directory: string) => openPostgresLog({ directory, url: await server!.database(), faults, tendMs: 50, limits: { probeMs: 50 } }) },
] as const

const ready = async ({ url }: Built): Promise<number> => (await fetch(`${url}/readyz`)).status

for (const { store, before, after, open } of CASES) {
  const { name, skip } = store
  for (const [what, where] of [['failed and not kept', before], ['failed but kept', after]] as const) {
    t.test(`${name}, ${what}: whole answers, streams and readings are refused, every record is closed again, and verify finds nothing wrong`, { skip }, async (t) => {
      const faults: Faults = {}
      const gateway = await store.build(t, { openers: { audit: open(faults) } })
      const asked = [{ model: 'A' }, { model: 'B', stream: true }, { model: 'nobody' }]
      for (const one of asked) await (await gateway.ask({ ...one, messages: QUESTION })).text()
      for (const one of asked) {
        const fail = (): void => { throw new Error('the answer to a commit was lost') }
        faults[where] = fail
        const reply = await gateway.ask({ ...one, messages: QUESTION })
        t.equal(reply.status, 503)
        t.match(await reply.json(), { error: { code: 'audit_unavailable' } })
        t.equal(await ready(gateway), 503)
        const reading = await fetch(`${gateway.url}/audit/v1/export`, { headers: { authorization: `Bearer ${gateway.keys.auditor}` } })
        t.equal(reading.status, 503, 'what cannot be recorded is not read')
        delete faults[where]
        await until(async () => await ready(gateway) === 200)
      }
      await (await gateway.ask({ model: 'A', messages: QUESTION })).text()
      await until(async () => !(await audited(gateway)).notChecked.some((one) => one.includes('begun and not ended')))
      const { wrong, lines } = await audited(gateway)
      t.same(wrong, [])
      t.ok(lines.length > 8)
    })
  }
}

t.test('a log that fails between begin and end of a stream: each way, the record is closed by itself, and verify finds nothing wrong', async (t) => {
  for (const { store, before, after, open } of CASES) {
    if (store.skip) { t.comment(`${store.name}: ${store.skip}`); continue }
    for (const where of [before, after]) {
      const faults: Faults = {}
      const gateway = await store.build(t, { openers: { audit: open(faults) } })
      gateway.upstreams.progressive.reply(upstream.stream({ delay: 50 }))
      const reply = await gateway.ask({ model: 'A', messages: QUESTION, stream: true })
      faults[where] = () => { throw new Error('the answer to a commit was lost') }
      const text = await reply.text()
      delete faults[where]
      t.notOk(text.includes('[DONE]'), 'not a whole stream')
      t.match(text, /audit_unavailable/)
      await until(async () => await ready(gateway) === 200)
      await until(async () => (await gateway.leaves()).some((leaf) => leaf.type === 'completion.end'))
      t.same((await audited(gateway)).wrong, [], `${store.name}, ${where}`)
    }
  }
})

t.test('a slow answer whose begin was refused, while the store is well again before it ends: on record with its begin, answered or refused as the record says', async (t) => {
  for (const { store, before, after, open } of CASES) {
    if (store.skip) { t.comment(`${store.name}: ${store.skip}`); continue }
    for (const where of [before, after]) {
      const faults: Faults = {}
      const gateway = await store.build(t, { openers: { audit: open(faults) } })
      gateway.upstreams.progressive.reply(upstream.slowHeaders(900))
      let failed = 0
      faults[where] = () => { failed++; delete faults[where]; throw new Error('the answer to a commit was lost') }
      const reply = await gateway.ask({ model: 'A', messages: QUESTION })
      t.equal(failed, 1)
      const end = await until(async () => (await gateway.leaves()).find((leaf) => leaf.type === 'completion.end'))
      t.equal(end['status'], reply.status === 200 ? 'complete' : 'interrupted', `${store.name}, ${where}: ${reply.status}`)
      t.same((await audited(gateway)).wrong, [])
    }
  }
})

t.test('what is refused while the store is down is not remembered: neither written later nor held in memory', async (t) => {
  for (const { store, before, open } of CASES) {
    if (store.skip) { t.comment(`${store.name}: ${store.skip}`); continue }
    const faults: Faults = {}
    const gateway = await store.build(t, { openers: { audit: open(faults) } })
    faults[before] = () => { throw new Error('no space left on device') }
    const ask = async (model: string, stream: boolean): Promise<number> => {
      const reply = await gateway.ask({ model, stream, messages: QUESTION })
      await reply.text()
      return reply.status
    }
    t.equal(await ask('A', false), 503)
    const refused = await Promise.all(Array.from({ length: 40 }, (_, at) => ask(at % 2 ? 'A' : 'B', at % 3 === 0)))
    t.ok(refused.every((status) => status === 503))
    delete faults[before]
    await until(async () => await ready(gateway) === 200)
    t.equal(await ask('B', true), 200)
    // one was in the store's hands when it failed; nobody can know what became of it, so it is closed on record
    const begun = (await gateway.leaves()).filter((leaf) => leaf.type === 'completion.begin')
    t.ok(begun.length >= 1 && begun.length <= 4, `${store.name}: ${begun.length} of 42 are on record`)
    t.same((await audited(gateway)).wrong, [])
  }
})
