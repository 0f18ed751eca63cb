/** What every store of Idempotency-Keys promises: the same tests on each. */
import fc from 'fast-check'
import type { Test } from 'tap'
import type { Claim, Idempotency, KeptReply, NewClaim } from '../../src/idempotency/idempotency.ts'

/** Two replicas on one fresh store (the same one twice where there is only one); a reply is kept for `ttlMs`. */
export type OpenIdempotency = (t: Test, ttlMs: number) => Promise<{ readonly replicas: readonly [Idempotency, Idempotency], readonly pass: (ms: number) => Promise<void> }>

const HOUR = 3_600_000
let records = 0
export const reply = (some: Partial<KeptReply> = {}): KeptReply => ({ kind: 'json', body: '{"answer":"né 😀","audit":{"index":7}}', record: `record-${++records}`, about: { perspective: 'conservative' }, ...some })

export function isNew (claim: Claim): NewClaim {
  if (claim.kind !== 'new') throw new Error(`wanted a new claim, got ${claim.kind}`)
  return claim
}

export function idempotencyContract (t: Test, open: OpenIdempotency): void {
  t.test('the first answer is given again to the byte, by each replica, as often as it is asked for', async (t) => {
    const { replicas: [one, other] } = await open(t, HOUR)
    const kept = reply()
    t.equal(await isNew(await one.claim('t_1', 'key', 'f')).keep(kept), true)
    for (const replica of [one, other, one]) t.same(await replica.claim('t_1', 'key', 'f'), { kind: 'replay', reply: kept })
    const counts = [...new Set([one.counts, other.counts])]
    t.same([counts.reduce((sum, { new: some }) => sum + some, 0), counts.reduce((sum, { replayed }) => sum + replayed, 0)], [1, 3])
  })

  t.test('a stream comes again as a stream, frames and all', async (t) => {
    const { replicas: [one, other] } = await open(t, HOUR)
    const kept = reply({ kind: 'stream', body: 'data: {"x":1}\n\ndata: [DONE]\n\n' })
    await isNew(await one.claim('t_1', 'key', 'f')).keep(kept)
    t.same(await other.claim('t_1', 'key', 'f'), { kind: 'replay', reply: kept })
  })

  t.test('another request with the same key is a conflict, while the first is answered and afterwards', async (t) => {
    const { replicas: [one, other] } = await open(t, HOUR)
    const claim = isNew(await one.claim('t_1', 'key', 'f'))
    await t.rejects(other.claim('t_1', 'key', 'g'), { code: 'idempotency_conflict', statusCode: 422, retryable: false })
    await claim.keep(reply())
    await t.rejects(one.claim('t_1', 'key', 'g'), { code: 'idempotency_conflict' })
    t.equal((await other.claim('t_1', 'key', 'f')).kind, 'replay', 'and spoils nothing')
  })

  t.test('the same request while the first is answered is told to come again', async (t) => {
    const { replicas: [one, other] } = await open(t, HOUR)
    const claim = isNew(await one.claim('t_1', 'key', 'f'))
    for (const replica of [one, other]) await t.rejects(replica.claim('t_1', 'key', 'f'), { code: 'idempotency_in_flight', statusCode: 409, retryable: true, retryAfter: 2 })
    await claim.release()
    isNew(await other.claim('t_1', 'key', 'f'))
  })

  t.test('an answer that failed leaves the key free, also for another request', async (t) => {
    const { replicas: [one, other] } = await open(t, HOUR)
    await isNew(await one.claim('t_1', 'key', 'f')).release()
    const second = isNew(await other.claim('t_1', 'key', 'g'))
    t.equal(await second.keep(reply()), true)
    t.equal((await one.claim('t_1', 'key', 'g')).kind, 'replay')
  })

  t.test('a claim ends once: what comes later changes nothing', async (t) => {
    const { replicas: [one, other] } = await open(t, HOUR)
    const first = isNew(await one.claim('t_1', 'key', 'f'))
    await first.release()
    const second = isNew(await other.claim('t_1', 'key', 'f'))
    t.equal(await first.keep(reply()), false)
    await first.release()
    await t.rejects(one.claim('t_1', 'key', 'f'), { code: 'idempotency_in_flight' }, 'the second is still at it')
    const kept = reply()
    t.equal(await second.keep(kept), true)
    await second.release()
    t.equal(await second.keep(reply({ body: 'other' })), false)
    t.same(await one.claim('t_1', 'key', 'f'), { kind: 'replay', reply: kept })
  })

  t.test('a key of one tenant is nothing to another\'s, however they are spelt', async (t) => {
    const { replicas: [one] } = await open(t, HOUR)
    await isNew(await one.claim('t_1', 'key', 'f')).keep(reply())
    for (const [tenant, key] of [['t_2', 'key'], ['t_1', 'key '], ['t_1k', 'ey'], ['t_', '1key']] as const) isNew(await one.claim(tenant, key, 'g'))
  })

  t.test('a hundred who come at once: one answers', async (t) => {
    const { replicas } = await open(t, HOUR)
    const claims = await Promise.allSettled(Array.from({ length: 100 }, (_, at) => replicas[at % 2]!.claim('t_1', 'key', 'f')))
    t.equal(claims.filter((one) => one.status === 'fulfilled').length, 1)
    t.ok(claims.every((one) => one.status === 'fulfilled' || (one.reason as { code: string }).code === 'idempotency_in_flight'))
  })

  t.test('an answer is kept for its time and no longer', async (t) => {
    const { replicas: [one], pass } = await open(t, 400)
    await isNew(await one.claim('t_1', 'key', 'f')).keep(reply())
    await pass(100)
    t.equal((await one.claim('t_1', 'key', 'f')).kind, 'replay')
    await pass(400)
    isNew(await one.claim('t_1', 'key', 'g'))
  })

  t.test('what was erased is not replayed by any replica, nor kept where it arrives later', async (t) => {
    const { replicas: [one, other] } = await open(t, HOUR)
    const [erased, stays] = [reply(), reply()]
    await isNew(await one.claim('t_1', 'erased', 'f')).keep(erased)
    await isNew(await one.claim('t_1', 'stays', 'f')).keep(stays)
    const late = isNew(await one.claim('t_1', 'late', 'f'))
    await other.forget(new Set([erased.record, 'late', 'never seen']))
    for (const replica of [one, other]) await isNew(await replica.claim('t_1', 'erased', 'f')).release()
    t.same(await other.claim('t_1', 'stays', 'f'), { kind: 'replay', reply: stays })
    t.equal(await late.keep(reply({ record: 'late' })), false)
    isNew(await other.claim('t_1', 'late', 'f'))
    isNew(await one.claim('t_1', 'erased', 'another request'))
  })

  t.test('a reply that is too large is not kept, and its key is free', async (t) => {
    const { replicas: [one, other] } = await open(t, HOUR)
    t.equal(await isNew(await one.claim('t_1', 'key', 'f')).keep(reply({ body: 'x'.repeat(9_000_000) })), false)
    t.equal(one.counts.unkept, 1)
    isNew(await other.claim('t_1', 'key', 'f'))
  })

  t.test('property: whatever is claimed, kept, released and forgotten in whatever order, a key answers with what was kept for it last, or not at all', async (t) => {
    const { replicas } = await open(t, HOUR)
    const step = fc.record({ what: fc.constantFrom('claim', 'keep', 'release', 'forget'), key: fc.constantFrom('a', 'b'), print: fc.constantFrom('f', 'g'), replica: fc.constantFrom(0, 1) })
    let run = 0
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const tenant = `t_${run++}`
      const model = new Map<string, { print: string, claim?: NewClaim, kept?: KeptReply }>()
      for (const { what, key, print, replica } of steps) {
        const known = model.get(key)
        if (what === 'keep' && known?.claim) {
          known.kept = reply()
          await known.claim.keep(known.kept)
          delete known.claim
        } else if (what === 'release' && known?.claim) {
          await known.claim.release()
          model.delete(key)
        } else if (what === 'forget' && known?.kept) {
          await replicas[replica].forget(new Set([known.kept.record]))
          model.delete(key)
        } else if (what === 'claim') {
          const wanted = !known ? 'new' : known.print !== print ? 'idempotency_conflict' : known.kept ? known.kept.record : 'idempotency_in_flight'
          const claim = await replicas[replica].claim(tenant, key, print).catch((error: { code: string }) => error)
          const got = 'code' in claim ? claim.code : claim.kind === 'new' ? 'new' : claim.reply.record
          if (got !== wanted) throw new Error(`wanted ${wanted}, got ${got}`)
          if (!('code' in claim) && claim.kind === 'new') model.set(key, { print, claim })
        }
      }
      for (const { claim } of model.values()) await claim?.release()
    }), { numRuns: 50 })
    t.pass()
  })
}
