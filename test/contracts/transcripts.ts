/** What every audit log keeps of its transcripts: sealed, erasable, holdable, expiring, with keys that can be rotated. */
import type { Test } from 'tap'
import { v7 as uuidv7 } from 'uuid'
import type { AuditLog, Effect, LeafDraft, Owner } from '../../src/audit/log.ts'
import { begin, END, everything, note, soundness, treeIsSound, type Store } from './audit-log.ts'

/** A leaf that does something to transcripts, and says what, as retention's do. */
export function effect (type: LeafDraft['type'], doing: Effect): LeafDraft {
  const fields = 'erase' in doing ? { records: doing.erase } : 'expire' in doing ? doing.expire : {}
  return note(null, { type, fields, effect: doing })
}

/** One whole exchange of an owner's; its record. */
export async function exchange (log: AuditLog, owner?: Owner): Promise<string> {
  const open = log.open(begin('k_1', owner ? { owner } : {}), { deferMs: 1000 })
  await open.end({ ...END, answer: Buffer.from('the answer') })
  return open.record
}

/** States of a record's transcripts: its begin's, then its ends'. */
export const states = async (log: AuditLog, record: string): Promise<string[]> =>
  [(await log.record(record))!, ...await log.endsOf(record)].map(({ payload }) => payload.state)

export function transcriptsContract (t: Test, make: (t: Test) => Store): void {
  t.test('a transcript comes back as it was, and without its bytes where they were not asked for', async (t) => {
    const log = await make(t).open()
    const sizes = [0, 1, 15, 16, 17, 5000, 300_000]
    const drafts = sizes.map((size) => note('k_1', { payload: Buffer.alloc(size, size % 251) }))
    await log.append(drafts)
    for (const [at, draft] of drafts.entries()) {
      const { payload } = (await log.record(draft.id))!
      t.ok(payload.state === 'present' && Buffer.from(payload.bytes).equals(Buffer.alloc(sizes[at]!, sizes[at]! % 251)), `${sizes[at]} bytes`)
    }
    t.equal((await log.sealing()).keks.length, 1)
    await soundness(t, log)
    await log.close()
  })

  t.test('an erasure takes the transcripts of its records, both of them and no other, and the tree holds', async (t) => {
    const store = make(t)
    let log = await store.open()
    const [gone, stays] = [await exchange(log), await exchange(log)]
    const size = log.size()
    await log.append([effect('erasure', { erase: [gone] })])
    t.equal(log.size(), size + 1)
    t.same(await states(log, gone), ['erased', 'erased'])
    t.same(await states(log, stays), ['present', 'present'])
    await log.append([effect('erasure', { erase: [gone, uuidv7()] })])
    await soundness(t, log)
    await treeIsSound(t, log)
    await log.close()
    log = await store.open()
    t.same(await states(log, gone), ['erased', 'erased'], 'also after a restart')
    await log.close()
  })

  t.test('an end user\'s records are found within the tenant, by name, until they are erased', async (t) => {
    const log = await make(t).open()
    const [ann, bob, other] = [{ tenant: 't_1', user: 'ann@example' }, { tenant: 't_1', user: 'bob@example' }, { tenant: 't_2', user: 'ann@example' }]
    const anns = [await exchange(log, ann), await exchange(log, ann), await exchange(log, ann)]
    await exchange(log, bob)
    const elsewhere = await exchange(log, other)
    await exchange(log, { tenant: 't_1' })
    const found = await log.transcripts.ofUser(ann, 10)
    t.same(found.map((one) => one.record), anns)
    t.same((await log.transcripts.ofUser(ann, 2)).map((one) => one.record), anns.slice(0, 2))
    t.same((await log.transcripts.ofUser(ann, 10, found[0]!.index)).map((one) => one.record), anns.slice(1))
    t.same((await log.transcripts.ofUser(other, 10)).map((one) => one.record), [elsewhere])
    await log.append([effect('erasure', { erase: anns })])
    t.same(await log.transcripts.ofUser(ann, 10), [])
    t.equal((await log.transcripts.ofUser(bob, 10)).length, 1)
    t.notOk((await everything(log)).some((one) => /@example/.test(one.leaf)), 'no leaf names anybody')
    await log.close()
  })

  t.test('what is held is neither erased nor expired, whichever way it is held, until it is lifted', async (t) => {
    const log = await make(t).open()
    const ann = { tenant: 't_1', user: 'ann@example' }
    for (const scope of ['records', 'tenant', 'user', 'all'] as const) {
      const record = await exchange(log, ann)
      const free = await exchange(log, { tenant: 't_2', user: 'ann@example' })
      const hold = { records: { records: [record] }, tenant: { tenant: 't_1' }, user: ann, all: { all: true } as const }[scope]
      await log.append([effect('hold.set', { hold: { name: 'case-1', scope: hold } })])
      t.same(await log.transcripts.held([record]), new Map([[record, 'case-1']]), scope)
      t.equal((await log.transcripts.holds()).length, 1)
      await log.append([effect('erasure', { erase: [record, free] })])
      t.same(await states(log, record), ['present', 'present'], `${scope}: kept from erasure`)
      t.equal((await states(log, free))[0], scope === 'all' ? 'present' : 'erased')
      await log.append([effect('payload.expired', { expire: { from: 0, before: log.size() } })])
      t.same(await states(log, record), ['present', 'present'], `${scope}: kept from expiry`)
      await log.append([effect('hold.lifted', { lift: 'case-1' })])
      t.same(await log.transcripts.holds(), [])
      await log.append([effect('erasure', { erase: [record] })])
      t.same(await states(log, record), ['erased', 'erased'], `${scope}: lifted`)
    }
    await soundness(t, log)
    await log.close()
  })

  t.test('what is old may expire, in steps, and nothing younger', async (t) => {
    const log = await make(t).open()
    const old = await exchange(log)
    await new Promise((resolve) => setTimeout(resolve, 20))
    const cut = Date.now()
    await new Promise((resolve) => setTimeout(resolve, 20))
    const young = await exchange(log)
    t.equal(await log.transcripts.expirable(0), null)
    const next = (await log.transcripts.expirable(cut))!
    t.equal(next.count, 2)
    await log.append([effect('payload.expired', { expire: { from: next.from, before: next.before } })])
    t.same([await states(log, old), await states(log, young)], [['expired', 'expired'], ['present', 'present']])
    t.equal(await log.transcripts.expirable(cut), null)
    t.equal((await log.transcripts.expirable(Date.now() + 1000))!.count, 2)
    await soundness(t, log)
    await log.close()
  })

  t.test('an exchange that has not ended is known as open', async (t) => {
    const log = await make(t).open()
    const open = log.open(begin())
    await open.begun()
    const closed = await exchange(log)
    t.same(await log.transcripts.open([open.record, closed, uuidv7()]), new Set([open.record]))
    await open.end(END)
    t.same(await log.transcripts.open([open.record]), new Set())
    await log.close()
  })

  t.test('the key-encryption key is rotated while the log goes on, and everything opens before, meanwhile and after', async (t) => {
    const store = make(t)
    let log = await store.open()
    const records: string[] = []
    for (let at = 0; at < 30; at++) records.push(await exchange(log, { tenant: 't_1', user: 'ann@example' }))
    const [before] = (await log.sealing()).keks
    const streaming = log.open(begin())
    await streaming.begun()
    streaming.chunk(Buffer.from('half '))
    const [rotated] = await Promise.all([log.rotateKek(), ...Array.from({ length: 20 }, async () => { records.push(await exchange(log)) })])
    streaming.chunk(Buffer.from('and half'))
    await streaming.end(END)
    t.same(rotated.from, [before])
    t.not(rotated.to, before)
    t.ok(rotated.rewrapped >= 60, `${rotated.rewrapped} transcripts`)
    t.same((await log.sealing()).keks, [rotated.to])
    t.match(JSON.parse((await log.record(rotated.record))!.leaf), { type: 'kek.rotated', from: [before], to: rotated.to })
    for (const record of records) t.same(await states(log, record), ['present', 'present'])
    t.ok((await log.transcripts.ofUser({ tenant: 't_1', user: 'ann@example' }, 100)).length === 30, 'end users are found as before')
    await soundness(t, log)
    await log.close()
    log = await store.open()
    await soundness(t, log)
    t.same((await log.sealing()).keks, [rotated.to])
    await exchange(log)
    await log.close()
  })
}
