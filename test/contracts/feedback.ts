/** What feedback promises, on every store and beside a real log: the same tests on each. */
import { createHash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { Test } from 'tap'
import type { AuditLog, EndStatus } from '../../src/audit/log.ts'
import { makeFeedback } from '../../src/feedback/collect.ts'
import type { Feedback, FeedbackStore, Given, Judged, Saying } from '../../src/feedback/feedback.ts'
import { contentOf } from '../../src/feedback/wire.ts'
import { newId } from '../../src/ids.ts'
import { makeRetention } from '../../src/retention/retention.ts'
import { until } from '../helper.ts'
import { begin, END } from './audit-log.ts'

export interface Replica { readonly audit: AuditLog, readonly store: FeedbackStore }
/** One more gateway on the same fresh place; what it opens is closed at the end of the test. */
export type OpenReplica = () => Promise<Replica>

const CAUSE = { by: 'k_admin', reason: 'case 7' }
const ANN = { tenant: 't_1', key: 'k_ann', request: 'r' }
const BOB = { tenant: 't_2', key: 'k_bob', request: 'r' }
const plain = { comment: null, consent: false, consentVersion: null }
const agreed = { comment: null, consent: true, consentVersion: '2026-11' }
const rating = (record: string, rating: 'good' | 'bad' = 'good', more: object = {}): Saying<Judged> => ({ kind: 'rating', rating, about: { record, choice: 0 }, ...plain, ...more })
const preferring = (preferred: Judged, over: Judged, more: object = {}): Saying<Judged> => ({ kind: 'choice', preferred, over, ...plain, ...more })

/** An exchange of a tenant's with so many voices, all ended but those that are left out. */
async function exchange (audit: AuditLog, { tenant = 't_1', voices = 1, missing = 0, status = 'complete', finish = ['stop'], user = 'ann' }: { tenant?: string, voices?: number, missing?: number, status?: EndStatus, finish?: string[], user?: string } = {}): Promise<string> {
  const draft = begin('k_1', { owner: { tenant, user } })
  const open = audit.open({ ...draft, fields: { ...draft.fields, tenant, choices: voices } })
  await open.begun()
  for (let choice = 0; choice < voices - missing; choice++) await open.end({ status, fields: { ...END.fields, finish, perspective: { id: choice === 1 ? 'conservative' : 'progressive' }, adapter_sha256: `${choice}`.repeat(64) }, answer: Buffer.from('the answer'), ...(voices > 1 && { choice }) })
  // durable is not yet placed, on a log that others write to as well
  await until(() => audit.record(open.record))
  return open.record
}

const leavesOf = async (audit: AuditLog): Promise<any[]> => (await audit.records({ type: 'feedback', limit: 1000 })).map(({ leaf }) => JSON.parse(leaf))
const all = async (feedback: Feedback, consent?: boolean): Promise<Given[]> => {
  const found: Given[] = []
  for await (const one of feedback.everything(consent)) found.push(one)
  return found
}

export function feedbackContract (t: Test, make: (t: Test) => Promise<OpenReplica>): void {
  const start = async (t: Test, open?: OpenReplica) => {
    const { audit, store } = await (open ?? await make(t))()
    const made = makeFeedback({ audit, store, onError: (error) => t.fail(String(error)) })
    // ids of one millisecond have no order: what follows here comes later
    const feedback: Feedback = { ...made, async give (...what) { try { return await made.give(...what) } finally { await pause(2) } } }
    const retention = makeRetention({ audit, cache: null, feedback, days: 1 })
    t.teardown(async () => { await retention.close(); await feedback.close() })
    return { audit, store, feedback, retention }
  }

  t.test('a rating is kept as it was given, and its leaf commits to it without a word of it', async (t) => {
    const { audit, feedback } = await start(t)
    const record = await exchange(audit)
    const given = await feedback.give(rating(record, 'bad', { ...agreed, comment: 'Left out the other side.\u0000 \u{1f600}' }), ANN)
    t.match(given.said, { kind: 'rating', rating: 'bad', about: { record, choice: 0, perspective: 'progressive', adapterSha256: '0'.repeat(64) }, comment: 'Left out the other side.\u0000 \u{1f600}', consent: true, consentVersion: '2026-11' })
    const [kept] = await feedback.list('t_1', { limit: 10 })
    const { receipt, ...rest } = given
    t.same({ ...kept, salt: Buffer.from(kept!.salt) }, { ...rest, salt: Buffer.from(rest.salt) })
    const [leaf] = await leavesOf(audit)
    t.match(leaf, { type: 'feedback', event: 'given', id: given.id, key: 'k_ann', tenant: 't_1', kind: 'rating', records: [record], choices: [0], consent: true, consent_version: '2026-11' })
    t.notMatch(JSON.stringify(leaf), /Left out|bad/)
    t.equal(leaf.content_commit, createHash('sha256').update(given.salt).update(given.id).update(contentOf(given.said)).digest('base64'))
    t.equal((await audit.record(given.id))!.index, receipt.index)
    t.match(feedback.told, { bad: 1, good: 0 })
  })

  t.test('a choice names two answers, within a record or across two, and each whose it was', async (t) => {
    const { audit, feedback } = await start(t)
    const [both, other] = [await exchange(audit, { voices: 2 }), await exchange(audit)]
    const within = await feedback.give(preferring({ record: both, choice: 1 }, { record: both, choice: 0 }), ANN)
    t.match(within.said, { preferred: { choice: 1, perspective: 'conservative', adapterSha256: '1'.repeat(64) }, over: { choice: 0, perspective: 'progressive' } })
    const across = await feedback.give(preferring({ record: both, choice: 0 }, { record: other, choice: 0 }), ANN)
    t.match((await leavesOf(audit)).map(({ records, choices }) => [records, choices]), [[[both], [1, 0]], [[both, other], [0, 0]]])
    t.same((await feedback.list('t_1', { limit: 10 })).map(({ id }) => id), [across.id, within.id], 'newest first')
  })

  t.test('the newest of a key about the same thing takes the older one\'s place, whichever way round; another key\'s stands beside it', async (t) => {
    const { audit, feedback } = await start(t)
    const [one, two] = [await exchange(audit), await exchange(audit)]
    const first = await feedback.give(rating(one, 'good', { comment: 'first' }), ANN)
    await feedback.give(rating(one, 'bad'), ANN)
    const before = await feedback.give(preferring({ record: one, choice: 0 }, { record: two, choice: 0 }), ANN)
    await feedback.give(preferring({ record: two, choice: 0 }, { record: one, choice: 0 }), ANN)
    await feedback.give(rating(one), { ...ANN, key: 'k_anns_second' })
    const found = await feedback.list('t_1', { limit: 10 })
    t.match(found.map(({ key, said }) => [key, said.kind === 'rating' ? said.rating : said.preferred.record]), [['k_anns_second', 'good'], ['k_ann', two], ['k_ann', 'bad']])
    t.match((await leavesOf(audit)).map(({ replaces }) => replaces), [undefined, first.id, undefined, before.id, undefined])
  })

  t.test('only whole answers of one\'s own tenant are judged, and each refusal says why', async (t) => {
    const { audit, feedback } = await start(t)
    const mine = await exchange(audit)
    const refused = async (saying: Saying<Judged>, code: string, message: RegExp, by = ANN): Promise<void> => { await t.rejects(feedback.give(saying, by), { code, message }) }
    await refused(rating(newId()), 'record_not_found', /no answer .* of yours/)
    await refused(rating(mine), 'record_not_found', /no answer .* of yours/, BOB)
    await refused(preferring({ record: mine, choice: 0 }, { record: await exchange(audit, { tenant: 't_2' }), choice: 0 }), 'record_not_found', /of yours/)
    await refused(rating(audit.size() > 0 ? (await audit.records({ limit: 1 }))[0]!.id : ''), 'record_not_found', /of yours/)
    await refused(rating(await exchange(audit, { missing: 1 })), 'record_open', /still being given/)
    const half = await exchange(audit, { voices: 2, missing: 1 })
    await feedback.give(rating(half), ANN)
    await refused(preferring({ record: half, choice: 0 }, { record: half, choice: 1 }), 'record_open', /still being given/)
    await refused(preferring({ record: half, choice: 0 }, { record: half, choice: 2 }), 'invalid_request', /choices 0 to 1; "over" names 2/)
    await refused(rating(mine, 'good', { about: { record: mine, choice: 1 } }), 'invalid_request', /one choice, 0; "choice" names 1/)
    await refused(rating(await exchange(audit, { status: 'interrupted' })), 'invalid_request', /did not come to its end \(interrupted\)/)
    const several = await exchange(audit, { finish: ['stop', 'stop', 'stop'] })
    await feedback.give(preferring({ record: several, choice: 2 }, { record: several, choice: 0 }), ANN)
    await refused(rating(several, 'good', { about: { record: several, choice: 3 } }), 'invalid_request', /choices 0 to 2/)
    t.equal((await leavesOf(audit)).length, 2, 'a refusal leaves nothing')
  })

  t.test('a log that refuses keeps nothing, withdraws nothing, and nothing is half there', async (t) => {
    const open = await make(t)
    const { audit, store } = await open()
    let refusing = false
    const failing = new Proxy(audit, {
      get (log, name) {
        if (name === 'append' && refusing) return async () => { throw Object.assign(new Error('no'), { code: 'audit_unavailable' }) }
        const value: unknown = Reflect.get(log, name, log)
        return typeof value === 'function' ? value.bind(log) as unknown : value
      },
    })
    const feedback = makeFeedback({ audit: failing, store })
    t.teardown(() => feedback.close())
    const record = await exchange(audit)
    const kept = await feedback.give(rating(record), ANN)
    refusing = true
    await t.rejects(feedback.give(rating(record, 'bad'), ANN), { code: 'audit_unavailable' })
    await t.rejects(feedback.withdraw(kept.id, ANN), { code: 'audit_unavailable' })
    t.match(await feedback.list('t_1', { limit: 10 }), [{ id: kept.id, said: { rating: 'good' } }])
  })

  t.test('what was said is withdrawn by its own tenant only, on record, and is gone', async (t) => {
    const { audit, feedback } = await start(t)
    const given = await feedback.give(rating(await exchange(audit)), ANN)
    await t.rejects(feedback.withdraw(given.id, BOB), { code: 'not_found' })
    await feedback.withdraw(given.id, { ...ANN, key: 'k_anns_second' })
    t.same(await feedback.list('t_1', { limit: 10 }), [])
    t.match((await leavesOf(audit)).at(-1), { event: 'withdrawn', feedback: given.id, key: 'k_anns_second', tenant: 't_1' })
    await t.rejects(feedback.withdraw(given.id, ANN), { code: 'not_found' })
  })

  t.test('erasing a record, or an end user, takes what was said of it, by either side of a choice; the rest stays', async (t) => {
    const { audit, feedback, retention } = await start(t)
    const [one, two, bobs, stays] = [await exchange(audit), await exchange(audit), await exchange(audit, { user: 'bob' }), await exchange(audit, { user: 'bob' })]
    await feedback.give(rating(one, 'good', { comment: 'mine' }), ANN)
    await feedback.give(preferring({ record: stays, choice: 0 }, { record: one, choice: 0 }), ANN)
    await feedback.give(preferring({ record: two, choice: 0 }, { record: stays, choice: 0 }), ANN)
    const kept = [await feedback.give(rating(stays), ANN), await feedback.give(rating(bobs), ANN)]
    await retention.erase({ record: one }, CAUSE)
    t.equal((await feedback.list('t_1', { limit: 10 })).length, 3)
    await retention.erase({ tenant: 't_1', user: 'ann' }, CAUSE)
    t.same((await feedback.list('t_1', { limit: 10 })).map(({ id }) => id), kept.map(({ id }) => id).reverse())
    await t.rejects(feedback.give(rating(one), ANN), { code: 'record_not_found', message: /erased/ })
  })

  t.test('what expires takes what was said of it along', async (t) => {
    const { audit, feedback } = await start(t)
    const [old, young] = [await exchange(audit), await exchange(audit)]
    await feedback.give(rating(old), ANN)
    const kept = await feedback.give(rating(young), ANN)
    await audit.append([{ type: 'payload.expired', id: newId(), key: null, fields: { from: 0, before: (await audit.record(young))!.index }, effect: { expire: { from: 0, before: (await audit.record(young))!.index } } }])
    await feedback.follow()
    t.same((await feedback.list('t_1', { limit: 10 })).map(({ id }) => id), [kept.id])
  })

  t.test('what is under a hold is neither erased, nor replaced, nor withdrawn, until the hold is lifted', async (t) => {
    const { audit, feedback, retention } = await start(t)
    const record = await exchange(audit)
    const given = await feedback.give(rating(record), ANN)
    await retention.hold('court', { records: [record] }, CAUSE)
    await t.rejects(retention.erase({ record }, CAUSE), { code: 'record_held' })
    // as a hold of another gateway does that comes between the look and the leaf: the store keeps the transcript, though a leaf names it
    await audit.append([{ type: 'erasure', id: newId(), key: null, fields: { records: [record] }, effect: { erase: [record] } }])
    await feedback.follow()
    await t.rejects(feedback.give(rating(record, 'bad'), ANN), { code: 'record_held', message: /"court".*replaced/ })
    await t.rejects(feedback.withdraw(given.id, ANN), { code: 'record_held', message: /"court".*withdrawn/ })
    t.match(await feedback.list('t_1', { limit: 10 }), [{ id: given.id, said: { rating: 'good' } }])
    await retention.lift('court', CAUSE)
    await feedback.withdraw(given.id, ANN)
    t.same(await feedback.list('t_1', { limit: 10 }), [])
  })

  t.test('an erasure that a gateway could not finish is finished by the next start, of any gateway', async (t) => {
    const open = await make(t)
    const { audit, feedback } = await start(t, open)
    const record = await exchange(audit)
    await feedback.give(rating(record), ANN)
    // the leaf is there, and the gateway died
    await audit.append([{ type: 'erasure', id: newId(), key: null, fields: { records: [record] }, effect: { erase: [record] } }])
    t.equal((await feedback.list('t_1', { limit: 10 })).length, 1)
    const next = await start(t, open)
    await next.feedback.follow()
    t.same(await feedback.list('t_1', { limit: 10 }), [])
  })

  t.test('a log that was set back is followed from its beginning', async (t) => {
    const open = await make(t)
    const { audit, feedback, store } = await start(t, open)
    const record = await exchange(audit)
    await feedback.give(rating(record), ANN)
    await feedback.follow()
    await store.followedTo(1_000_000, await store.followed())
    await store.followedTo(2_000_000, 5)
    t.equal(await store.followed(), 1_000_000, 'who did not know how far it was does not move it')
    await audit.append([{ type: 'erasure', id: newId(), key: null, fields: { records: [record] }, effect: { erase: [record] } }])
    const next = await start(t, open)
    await next.feedback.follow()
    t.same(await feedback.list('t_1', { limit: 10 }), [])
    t.ok(await store.followed() <= next.audit.size(), 'and from there on as before')
  })

  t.test('feedback that meets an erasure leaves nothing behind, whichever is first', async (t) => {
    const { audit, feedback, store, retention } = await start(t)
    const erasing = new Proxy(store, {
      get (inner, name) {
        if (name === 'put') {
          return async (...what: Parameters<FeedbackStore['put']>) => {
            await retention.erase({ record: what[0].said.kind === 'rating' ? what[0].said.about.record : '' }, CAUSE)
            return inner.put(...what)
          }
        }
        const value: unknown = Reflect.get(inner, name, inner)
        return typeof value === 'function' ? value.bind(inner) as unknown : value
      },
    })
    const late = makeFeedback({ audit, store: erasing })
    await t.rejects(late.give(rating(await exchange(audit)), ANN), { code: 'record_not_found', message: /erased meanwhile/ })
    t.same(await feedback.list('t_1', { limit: 10 }), [], 'erased between the leaf and the row')
    for (let round = 0; round < 5; round++) {
      const record = await exchange(audit)
      await Promise.all([feedback.give(rating(record), ANN).catch((error: unknown) => { t.match(error, { code: 'record_not_found' }) }), retention.erase({ record }, CAUSE)])
      t.same(await feedback.list('t_1', { limit: 10 }), [], `round ${round}`)
    }
    await feedback.follow()
    t.equal(await store.followed(), audit.size(), 'what was followed is not followed again')
  })

  t.test('what one gateway was told the others know: its place, its page and its count', async (t) => {
    const open = await make(t)
    const [one, two] = [await start(t, open), await start(t, open)]
    const record = await exchange(one.audit)
    await one.feedback.give(rating(record, 'good', agreed), ANN)
    await two.feedback.give(rating(record, 'bad', agreed), ANN)
    for (const { feedback } of [one, two]) t.match(await feedback.list('t_1', { limit: 10 }), [{ said: { rating: 'bad' } }])
    t.same((await leavesOf(two.audit)).map(({ replaces }) => replaces !== undefined), [false, true])
    t.same(await one.feedback.counts(), await two.feedback.counts())
  })

  t.test('everything, for training: in order, in pages, with or without consent, and no comment; and who said how much', async (t) => {
    const { audit, feedback, store } = await start(t)
    const records = await Promise.all(Array.from({ length: 6 }, () => exchange(audit)))
    for (const [at, record] of records.entries()) await feedback.give(rating(record, at % 3 === 0 ? 'bad' : 'good', { ...(at % 2 === 0 ? agreed : plain), comment: 'secret' }), at < 4 ? ANN : { ...ANN, key: 'k_z' })
    await feedback.give(preferring({ record: records[0]!, choice: 0 }, { record: records[1]!, choice: 0 }, agreed), ANN)
    const found = await all(feedback)
    t.same(found.map(({ id }) => id), (await feedback.list('t_1', { limit: 100 })).map(({ id }) => id).reverse())
    t.ok(found.every(({ said }) => said.comment === null))
    t.same([(await all(feedback, true)).length, (await all(feedback, false)).length], [4, 3])
    t.same((await store.all(found[1]!.id, 2, undefined)).map(({ id }) => id), found.slice(2, 4).map(({ id }) => id))
    t.same((await store.ofTenant('t_1', found[3]!.id, 2)).map(({ id }) => id), [found[2]!.id, found[1]!.id])
    t.same(await feedback.counts(), [{ key: 'k_ann', good: 2, bad: 2, choices: 1, consented: 3 }, { key: 'k_z', good: 2, bad: 0, choices: 0, consented: 1 }])
  })
}
