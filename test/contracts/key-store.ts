/** What every store of keys keeps, whichever it is. */
import type { Test } from 'tap'
import { makeKey } from '../../src/keys/key.ts'
import type { KeyStore } from '../../src/keys/keys.ts'
import type { KeyLeaves } from '../../src/keys/leaves.ts'
import type { KeysOptions } from '../../src/keys/stored-keys.ts'
import { UNLIMITED } from '../../src/quota.ts'
import { memoryLog } from '../keys/memory-log.ts'

export const START = Date.UTC(2026, 10, 24)

/** A place for keys that can be opened again and again. */
export type Place = (options: Omit<KeysOptions, 'reload'>) => Promise<KeyStore>

const types = (log: { leaves: readonly { type: string }[] }) => log.leaves.map((leaf) => leaf.type)

export function keyStoreContract (t: Test, place: (t: Test) => Place): void {
  async function open (t: Test) {
    const log = memoryLog()
    const clock = { now: START }
    const at = place(t)
    const store = await at({ audit: log, now: () => clock.now })
    t.teardown(() => store.close())
    return { store, log, clock, again: (audit: KeyLeaves, more: Partial<KeysOptions> = {}) => at({ audit, ...more }) }
  }

  t.test('a created key is found with all that its owner set, and after a restart too', async (t) => {
    const { store, log, again } = await open(t)
    const { secret, record } = await store.create({ scopes: ['auditor', 'app', 'app'], name: 'Zoë’s laptop', defaultPerspective: 'conservative' }, 'k_aaaaaaaaaaaa')
    t.match(record, { id: /^k_[0-9a-f]{12}$/, tenant: /^t_[0-9a-f]{12}$/, scopes: ['app', 'auditor'], expires: null, revoked: null, lastUsed: null, created: START })
    const expected = { key: record.id, tenant: record.tenant, name: 'Zoë’s laptop', defaultPerspective: 'conservative', scopes: new Set(['app', 'auditor']), quota: UNLIMITED }
    t.same(store.find(secret), expected)
    t.equal(store.find(secret), store.find(secret), 'the same object each time')
    await store.close()
    const reopened = await again(log)
    t.equal(reopened.list()[0]?.lastUsed, START, 'the time of last use is written on close')
    t.same(reopened.find(secret), expected)
    await reopened.close()
  })

  t.test('a key\'s own limits come over the configuration\'s, stand in its leaf, and survive a restart and a rotation', async (t) => {
    const at = place(t)
    const log = memoryLog()
    const quota = { requestsPerMinute: 60, tokensPerMinute: 9000, streams: 4, tokensPerDay: null }
    const open = () => at({ audit: log, quota })
    let store = await open()
    const plain = await store.create({ scopes: ['app'] }, null)
    const { secret, record } = await store.create({ scopes: ['app'], quota: { requestsPerMinute: 5, streams: null, tokensPerDay: 1_000_000 } }, null)
    const own = { requestsPerMinute: 5, tokensPerMinute: 9000, streams: null, tokensPerDay: 1_000_000 }
    t.same(store.find(plain.secret)?.quota, quota)
    t.same(store.find(secret)?.quota, own)
    t.ok(Object.isFrozen(store.find(secret)?.quota))
    t.same(record.quota, { requestsPerMinute: 5, streams: null, tokensPerDay: 1_000_000 })
    t.notOk('quota' in log.leaves[0]!.fields)
    t.same(log.leaves[1]!.fields['quota'], { requests_per_minute: 5, streams: null, tokens_per_day: 1_000_000 })
    await store.close()
    store = await open()
    t.same(store.find(secret)?.quota, own)
    const rotated = (await store.rotate(record.id, 0, null))!
    t.same(store.find(rotated.secret)?.quota, own)
    await store.close()
    store = await at({ audit: log })
    t.same(store.find(rotated.secret)?.quota, { ...own, tokensPerMinute: null }, 'what it leaves to the configuration follows the configuration')
    for (const wrong of [0, -1, 1.5, 1e13, '5' as unknown as number, Number.NaN]) await t.rejects(store.create({ scopes: ['app'], quota: { streams: wrong } }, null), { code: 'invalid_request', param: 'quota', message: /streams as a whole number from 1/ })
    await store.close()
  })

  t.test('what is malformed, unknown or merely similar is nobody', async (t) => {
    const { store } = await open(t)
    const { secret } = await store.create({ scopes: ['app'] }, null)
    for (const odd of ['', 'plx_', secret.toLowerCase(), ` ${secret}`, `Bearer ${secret}`, makeKey(), undefined as unknown as string, {} as unknown as string]) t.equal(store.find(odd), null)
  })

  t.test('a caller who was found is known to work as long as the key does, here and nowhere else', async (t) => {
    const { store, clock } = await open(t)
    const { store: other } = await open(t)
    const [short, revoked] = [await store.create({ scopes: ['app'], expiresInSeconds: 60 }, null), await store.create({ scopes: ['app'] }, null)]
    const [ends, stays] = [store.find(short.secret)!, store.find(revoked.secret)!]
    clock.now += 59_999
    t.same([store.works(ends), store.works(stays), other.works(stays), store.works({ ...stays })], [true, true, false, false])
    t.equal(store.list()[0]!.lastUsed, clock.now, 'a look counts as a use')
    clock.now += 1
    t.same([store.works(ends), store.works(stays)], [false, true])
    await store.revoke(revoked.record.id, null)
    t.equal(store.works(stays), false)
  })

  t.test('the leaf is durable before the key works', async (t) => {
    const { store, log } = await open(t)
    const prepared = store.prepare([{ scopes: ['app'], name: 'secret project' }], 'k_bbbbbbbbbbbb')
    const { secret, record } = prepared.keys[0]!
    log.before = () => { t.equal(store.find(secret), null, 'not yet') }
    await prepared.commit()
    t.ok(store.find(secret))
    t.match(log.leaves, [{ type: 'key.created', key: 'k_bbbbbbbbbbbb', fields: { subject: record.id, tenant: record.tenant, scopes: ['app'], expires: null } }])
    t.notOk(JSON.stringify(log.leaves).includes('secret project'), 'names stay out of what cannot forget')
    t.notOk(JSON.stringify(log.leaves).includes(secret.slice(4)))
  })

  t.test('a log that refuses: no key, now or after a restart', async (t) => {
    for (const mode of ['refuse', 'lose-answer'] as const) {
      const { store, log, again } = await open(t)
      log.mode = mode
      const prepared = store.prepare([{ scopes: ['app'] }, { scopes: ['admin'] }], null)
      await t.rejects(prepared.commit(), { code: 'audit_unavailable' })
      t.same(store.list(), [])
      await store.close()
      const reopened = await again(memoryLog())
      for (const { secret } of prepared.keys) t.equal(reopened.find(secret), null)
      await reopened.close()
    }
  })

  t.test('keys that were prepared and never committed do not exist', async (t) => {
    const { store, log } = await open(t)
    const { keys } = store.prepare([{ scopes: ['app'] }], null)
    t.equal(store.find(keys[0]!.secret), null)
    t.same(store.list(), [])
    t.same(log.leaves, [])
  })

  t.test('a key expires on the millisecond', async (t) => {
    const { store, clock } = await open(t)
    const { secret, record } = await store.create({ scopes: ['app'], expiresInSeconds: 60 }, null)
    t.equal(record.expires, START + 60_000)
    clock.now = START + 59_999
    t.ok(store.find(secret))
    clock.now = START + 60_000
    t.equal(store.find(secret), null)
  })

  t.test('a revoked key stops at once, stays revoked, and is a leaf once', async (t) => {
    const { store, log, again } = await open(t)
    const { secret, record } = await store.create({ scopes: ['app'] }, null)
    const revoking = store.revoke(record.id, 'k_cccccccccccc')
    t.equal(store.find(secret), null, 'before the leaf is durable')
    t.equal((await revoking)?.revoked, START)
    t.equal((await store.revoke(record.id, null))?.revoked, START)
    t.same(types(log), ['key.created', 'key.revoked'])
    t.match(log.leaves[1], { key: 'k_cccccccccccc', fields: { subject: record.id, effective: START } })
    t.equal(await store.revoke('k_000000000000', null), null)
    t.equal(await store.revoke('__proto__', null), null)
    await store.close()
    const reopened = await again(log)
    t.equal(reopened.find(secret), null)
    await reopened.close()
  })

  t.test('a revocation that the log refused holds, and its leaf comes later, once', async (t) => {
    for (const mode of ['refuse', 'lose-answer'] as const) {
      const { store, log, again } = await open(t)
      const { secret, record } = await store.create({ scopes: ['app'] }, null)
      log.mode = mode
      const revoking = store.revoke(record.id, 'k_dddddddddddd')
      // a refusal of what was kept all the same is none
      if (mode === 'lose-answer') t.ok(await revoking)
      else await t.rejects(revoking, { code: 'audit_unavailable', message: /no longer works/ })
      t.equal(store.find(secret), null)
      await store.close()
      log.mode = 'accept'
      const reopened = await again(log)
      t.equal(reopened.find(secret), null)
      t.same(types(log), ['key.created', 'key.revoked'], mode)
      t.match(log.leaves[1], { key: 'k_dddddddddddd' }, 'in the name of who did it')
      await reopened.revoke(record.id, null)
      t.equal(log.leaves.length, 2)
      await reopened.close()
    }
  })

  t.test('the same revocation asked for again writes the leaf that is owed', async (t) => {
    const { store, log } = await open(t)
    const { record } = await store.create({ scopes: ['app'] }, null)
    log.mode = 'refuse'
    await t.rejects(store.revoke(record.id, null))
    log.mode = 'accept'
    await Promise.all([store.revoke(record.id, null), store.revoke(record.id, null), store.revoke(record.id, null)])
    t.same(types(log), ['key.created', 'key.revoked'])
  })

  t.test('rotation: same tenant and rights, both keys during the overlap, only the new one after it', async (t) => {
    const { store, log, clock } = await open(t)
    const old = await store.create({ scopes: ['app', 'admin'], name: 'ci', defaultPerspective: 'progressive', expiresInSeconds: 1000 }, null)
    clock.now = START + 400_000
    const rotated = await store.rotate(old.record.id, 60, 'k_eeeeeeeeeeee')
    t.ok(rotated)
    const { tenant, name, scopes, defaultPerspective } = old.record
    t.match(rotated?.record, { tenant, name, scopes, defaultPerspective })
    t.equal(rotated?.record.expires, clock.now + 1_000_000, 'the same lifetime, from now')
    t.not(rotated?.record.id, old.record.id)
    clock.now += 59_999
    t.ok(store.find(old.secret))
    t.ok(store.find(rotated!.secret))
    clock.now += 1
    t.equal(store.find(old.secret), null)
    t.ok(store.find(rotated!.secret))
    t.same(types(log), ['key.created', 'key.created', 'key.revoked'])
    t.match(log.leaves[1], { key: 'k_eeeeeeeeeeee', fields: { subject: rotated!.record.id, replaces: old.record.id } })
    t.match(log.leaves[2], { fields: { subject: old.record.id, effective: START + 460_000 } })
  })

  t.test('rotation without overlap revokes the old key, and never lengthens its life', async (t) => {
    const { store, clock } = await open(t)
    const old = await store.create({ scopes: ['app'] }, null)
    t.ok(await store.rotate(old.record.id, 0, null))
    t.equal(store.find(old.secret), null)
    const short = await store.create({ scopes: ['app'], expiresInSeconds: 10 }, null)
    await store.rotate(short.record.id, 86_400, null)
    clock.now += 10_000
    t.equal(store.find(short.secret), null)
  })

  t.test('what is revoked, expired, already rotated or unknown is not rotated', async (t) => {
    const { store, log, clock } = await open(t)
    const one = await store.create({ scopes: ['app'] }, null)
    const next = await store.rotate(one.record.id, 60, null)
    await t.rejects(store.rotate(one.record.id, 60, null), { code: 'invalid_request', message: new RegExp(`already rotated to ${next?.record.id}`) })
    const two = await store.create({ scopes: ['app'], expiresInSeconds: 5 }, null)
    await store.revoke(next!.record.id, null)
    await t.rejects(store.rotate(next!.record.id, 0, null), /is revoked/)
    clock.now += 5000
    await t.rejects(store.rotate(two.record.id, 0, null), /has expired/)
    t.equal(await store.rotate('k_000000000000', 0, null), null)
    for (const overlap of [-1, 0.5, Number.NaN, Infinity, 91 * 86_400]) await t.rejects(store.rotate(one.record.id, overlap, null), { code: 'invalid_request', param: 'overlap_seconds' })
    log.mode = 'refuse'
    const three = store.list().length
    const four = await openAnd(store, log)
    await t.rejects(store.rotate(four, 60, null), { code: 'audit_unavailable' })
    t.equal(store.list().length, three + 1, 'no new key')
    t.equal(store.list().at(-1)?.replacedBy, null, 'and the old one as it was')

    async function openAnd (keys: typeof store, audit: typeof log): Promise<string> {
      audit.mode = 'accept'
      const { record } = await keys.create({ scopes: ['app'] }, null)
      audit.mode = 'refuse'
      return record.id
    }
  })

  t.test('two rotations of one key at once give one new key', async (t) => {
    const { store } = await open(t)
    const { record } = await store.create({ scopes: ['app'] }, null)
    const results = await Promise.allSettled([store.rotate(record.id, 60, null), store.rotate(record.id, 60, null)])
    t.same(results.map((one) => one.status).sort(), ['fulfilled', 'rejected'])
    t.equal(store.list().length, 2)
  })

  t.test('two keys of one tenant are two callers of one tenant', async (t) => {
    const { store } = await open(t)
    const one = await store.create({ scopes: ['app'], tenant: 't_acme' }, null)
    const two = await store.create({ scopes: ['app'], tenant: 't_acme' }, null)
    t.equal(store.find(one.secret)?.tenant, 't_acme')
    t.equal(store.find(two.secret)?.tenant, 't_acme')
    t.not(store.find(one.secret)?.key, store.find(two.secret)?.key)
    await store.revoke(one.record.id, null)
    t.equal(store.find(one.secret), null)
    t.ok(store.find(two.secret))
    const other = await store.create({ scopes: ['app'] }, null)
    t.not(other.record.tenant, 't_acme')
  })

  t.test('a request for a key that cannot be is refused, naming the member', async (t) => {
    const { store, log } = await open(t)
    const bad: [object, string][] = [
      [{ scopes: [] }, 'scopes'], [{ scopes: ['root'] }, 'scopes'], [{ scopes: ['app', '__proto__'] }, 'scopes'],
      [{ scopes: ['app'], name: '' }, 'name'], [{ scopes: ['app'], name: 'a\u001b[31m' }, 'name'], [{ scopes: ['app'], name: '\u202eevil' }, 'name'], [{ scopes: ['app'], name: 'x'.repeat(101) }, 'name'],
      [{ scopes: ['app'], tenant: 'acme' }, 'tenant'], [{ scopes: ['app'], tenant: 't_' }, 'tenant'], [{ scopes: ['app'], tenant: 't_a b' }, 'tenant'],
      [{ scopes: ['app'], defaultPerspective: 'Far Left' }, 'default_perspective'],
      [{ scopes: ['app'], expiresInSeconds: 0 }, 'expires_in_seconds'], [{ scopes: ['app'], expiresInSeconds: 1.5 }, 'expires_in_seconds'], [{ scopes: ['app'], expiresInSeconds: 1e12 }, 'expires_in_seconds'],
    ]
    for (const [request, param] of bad) await t.rejects(store.create(request as never, null), { code: 'invalid_request', param }, JSON.stringify(request))
    t.same(log.leaves, [])
  })

  t.test('finding a key costs microseconds, not milliseconds', async (t) => {
    const { store } = await open(t)
    const { secret } = await store.create({ scopes: ['app'] }, null)
    const rounds = 20_000
    for (let round = 0; round < rounds; round++) store.find(secret)
    const before = process.cpuUsage()
    for (let round = 0; round < rounds; round++) store.find(secret)
    const { user, system } = process.cpuUsage(before)
    const each = (user + system) / rounds
    // measured 3 µs; the limit leaves room for a busy machine and still catches a database or an HMAC object per call
    t.ok(each < 30, `${each.toFixed(1)} µs of CPU`)
  })
}
