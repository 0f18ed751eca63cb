import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openSqliteLog } from '../../src/audit/sqlite.ts'
import { verifyExport } from '../../src/audit/verify.ts'
import { controlPath, serveControl } from '../../src/control.ts'
import { makeRetention } from '../../src/retention/retention.ts'
import { exchange, states } from '../contracts/transcripts.ts'
import { REAL, run } from '../cli/run.ts'
import { build, events, QUESTION, temporary, until, type Built } from '../helper.ts'

const CAUSE = { by: 'k_admin', reason: 'case 7' }

async function admin (gateway: Built, method: string, path: string, body?: unknown, key = gateway.keys.admin): Promise<{ status: number, body: any }> { // eslint-disable-line typescript/no-explicit-any -- each test knows what it asked for
  const reply = await fetch(`${gateway.url}/admin/v1${path}`, { method, headers: { authorization: `Bearer ${key}`, ...(body !== undefined && { 'content-type': 'application/json' }) }, ...(body !== undefined && { body: JSON.stringify(body) }) })
  return { status: reply.status, body: await reply.json() }
}

async function asked (gateway: Built, body: Record<string, unknown> = {}): Promise<string> {
  const reply = await gateway.ask({ model: 'A', messages: QUESTION, ...body })
  await reply.arrayBuffer()
  return reply.headers.get('x-audit-record')!
}

const verified = async (gateway: Built): Promise<{ wrong: string[], checked: string[] }> => {
  const text = await (await fetch(`${gateway.url}/audit/v1/export`, { headers: { authorization: `Bearer ${gateway.keys.auditor}` } })).text()
  return verifyExport((async function * () { yield * text.split('\n') })())
}

t.test('an erased exchange is gone for auditor and owner, is not served from the cache, and the log verifies and says so', async (t) => {
  const gateway = await build(t)
  const body = { temperature: 0, user: 'ann@example' }
  const record = await asked(gateway, body)
  t.match((await gateway.ask({ model: 'A', messages: QUESTION, ...body })).headers.get('cache-status'), /hit/)
  const done = await admin(gateway, 'POST', '/erasures', { record, reason: 'case 7' })
  t.match(done, { status: 200, body: { records: 1, held: [], open: [] } })
  t.match(await gateway.audit(`/audit/v1/records/${record}`), { payload: { state: 'erased' }, ends: [{ payload: { state: 'erased' } }] })
  const receipt = await fetch(`${gateway.url}/audit/v1/receipts/${record}`, { headers: { authorization: `Bearer ${gateway.keys.app}` } })
  t.match(await receipt.json(), { begin: { salt: null, proof: /c2sp.org/ }, ends: [{ salt: null }] })
  t.match((await gateway.ask({ model: 'A', messages: QUESTION, ...body })).headers.get('cache-status'), /fwd=miss/)
  const leaf = (await gateway.leaves()).find((one) => one.type === 'erasure')!
  t.match(leaf, { id: done.body.leaves[0], reason: 'case 7', records: [record], key: /^k_/ })
  const { wrong, checked } = await verified(gateway)
  t.same(wrong, [])
  t.match(checked.join('\n'), /2 transcripts that are gone, each by an erasure/)
})

t.test('all of an end user\'s exchanges are erased, JSON, streams and refusals, and nobody else\'s', async (t) => {
  const gateway = await build(t)
  const mine = [await asked(gateway, { user: 'ann@example' }), await asked(gateway, { safety_identifier: 'ann@example', user: 'not this one' }), await asked(gateway, { user: 'ann@example', model: 'nobody' })]
  const stream = await gateway.ask({ model: 'B', messages: QUESTION, stream: true, user: 'ann@example' })
  mine.push(stream.headers.get('x-audit-record')!)
  await events(stream)
  const others = [await asked(gateway, { user: 'bob' }), await asked(gateway)]
  const tenant = (await gateway.leaves()).find((one) => one.type === 'completion.begin')!['tenant'] as string
  const done = await admin(gateway, 'POST', '/erasures', { end_user: { tenant, id: 'ann@example' }, reason: 'case 8' })
  t.match(done, { status: 200, body: { records: 4 } })
  for (const record of mine) t.match(await gateway.audit(`/audit/v1/records/${record}`), { payload: { state: 'erased' } })
  for (const record of others) t.match(await gateway.audit(`/audit/v1/records/${record}`), { payload: { state: 'present' } })
  t.notOk((await gateway.leaves()).some((leaf) => JSON.stringify(leaf).includes('ann@example')), 'no leaf names her')
  t.same((await verified(gateway)).wrong, [])
  t.match(await admin(gateway, 'POST', '/erasures', { end_user: { tenant, id: 'ann@example' }, reason: 'again' }), { body: { records: 0, leaves: [] } })
})

t.test('what is held, open, unknown or malformed is refused with the reason', async (t) => {
  const gateway = await build(t)
  const record = await asked(gateway)
  t.match(await admin(gateway, 'POST', '/holds', { name: 'court-1', records: [record], reason: 'subpoena' }), { status: 201, body: { name: 'court-1', records: [record] } })
  t.match(await admin(gateway, 'POST', '/holds', { name: 'court-1', all: true, reason: 'x' }), { status: 400, body: { code: 'invalid_request' } })
  t.match(await admin(gateway, 'POST', '/erasures', { record, reason: 'r' }), { status: 409, body: { code: 'record_held', detail: /court-1/ } })
  t.match(await admin(gateway, 'GET', '/holds'), { body: { holds: [{ name: 'court-1' }] } })
  t.match(await admin(gateway, 'POST', '/holds/court-1/lift', { reason: 'over' }), { status: 200 })
  t.match(await admin(gateway, 'POST', '/holds/court-1/lift', { reason: 'over' }), { status: 404 })
  t.match(await admin(gateway, 'POST', '/erasures', { record, reason: 'r' }), { status: 200 })
  t.match(await admin(gateway, 'POST', '/erasures', { record: '018f0000-0000-7000-8000-000000000000', reason: 'r' }), { status: 404, body: { code: 'record_not_found' } })
  for (const body of [{}, { record }, { reason: 'r' }, { record, end_user: { tenant: 't', id: 'x' }, reason: 'r' }, { record, reason: '' }, { record: 'x', reason: 'r' }]) {
    t.match(await admin(gateway, 'POST', '/erasures', body), { status: 400 }, JSON.stringify(body))
  }
  for (const body of [{ name: 'a' }, { name: 'a b', all: true, reason: 'r' }, { name: 'a', all: true, tenant: 't', reason: 'r' }]) t.match(await admin(gateway, 'POST', '/holds', body), { status: 400 })
  for (const key of [gateway.keys.app, gateway.keys.auditor]) t.match(await admin(gateway, 'POST', '/erasures', { record, reason: 'r' }, key), { status: 403 })
  t.same((await gateway.leaves()).filter((leaf) => leaf.type.startsWith('hold.')).map((leaf) => [leaf.type, leaf['name'], leaf['reason']]), [['hold.set', 'court-1', 'subpoena'], ['hold.lifted', 'court-1', 'over']])
})

t.test('an exchange that is still being answered is not half erased', async (t) => {
  const directory = temporary(t)
  const log = await openSqliteLog({ directory })
  const retention = makeRetention({ audit: log, cache: null, days: null })
  const open = log.open({ type: 'completion.begin', id: crypto.randomUUID(), key: 'k_1', fields: {}, payload: Buffer.from('q'), owner: { tenant: 't_1', user: 'ann@example' } })
  await open.begun()
  const closed = await exchange(log, { tenant: 't_1', user: 'ann@example' })
  await t.rejects(retention.erase({ record: open.record }, CAUSE), { code: 'record_open' })
  t.same(await retention.erase({ tenant: 't_1', user: 'ann@example' }, CAUSE).then(({ records, open: left }) => ({ records, left })), { records: 1, left: [open.record] })
  t.same(await states(log, closed), ['erased', 'erased'])
  const end = await open.end({ status: 'complete', fields: {} })
  t.match(await retention.erase({ record: end.record }, CAUSE), { records: 1 }, 'by its end\'s id as well')
  t.same(await states(log, open.record), ['erased', 'erased'])
  await retention.close()
  await log.close()
})

t.test('transcripts expire by age, on schedule, in as many leaves as it takes; what is held stays and goes when it is lifted', async (t) => {
  const directory = temporary(t)
  let now = Date.now()
  const log = await openSqliteLog({ directory, direct: { clock: () => now } })
  const held = await exchange(log)
  await log.append(Array.from({ length: 2500 }, () => ({ type: 'feedback' as const, id: crypto.randomUUID(), key: 'k_1', fields: {}, payload: Buffer.from('x') })))
  now += 100 * 86_400_000
  const young = await exchange(log)
  now += 100 * 86_400_000
  const retention = makeRetention({ audit: log, cache: null, days: 180, everyMs: 20, clock: () => now })
  await retention.hold('case', { records: [held] }, CAUSE)
  const leaves = async () => (await log.records({ type: 'payload.expired', limit: 100 })).map((one) => JSON.parse(one.leaf))
  await until(async () => (await leaves()).length === 3)
  t.same((await leaves()).map((leaf) => leaf.transcripts), [1000, 1000, 500])
  t.same([await states(log, held), await states(log, young)], [['present', 'present'], ['present', 'present']])
  await retention.lift('case', CAUSE)
  await until(async () => (await states(log, held))[0] === 'expired')
  t.same(await states(log, young), ['present', 'present'])
  t.same(await retention.expire(50).then((done) => done.transcripts), 2)
  await retention.close()
  const size = log.size()
  await new Promise((resolve) => setTimeout(resolve, 60))
  t.equal(log.size(), size, 'nothing to do writes nothing')
  await log.close()
})

t.test('a transcript that is gone without a leaf that says so is found by verify', async (t) => {
  const gateway = await build(t)
  const record = await asked(gateway)
  await admin(gateway, 'POST', '/erasures', { record, reason: 'case 7' })
  await asked(gateway)
  await admin(gateway, 'POST', '/expiry', { days: 0 })
  const text = await (await fetch(`${gateway.url}/audit/v1/export`, { headers: { authorization: `Bearer ${gateway.keys.auditor}` } })).text()
  const check = async (altered: string): Promise<string> => (await verifyExport((async function * () { yield * altered.split('\n') })())).wrong.join('\n')
  t.equal(await check(text), '')
  t.match(text, /"state":"expired"/)
  const untold = (type: string): string => text.split('\n').filter((line) => !line.includes(`\\"type\\":\\"${type}\\"`)).join('\n')
  t.match(await check(untold('erasure')), /a leaf is missing/)
  const edit = (change: (line: any) => void): string => text.split('\n').map((line) => { // eslint-disable-line typescript/no-explicit-any -- lines differ
    if (line === '') return line
    const parsed = JSON.parse(line)
    if (!parsed.manifest) change(parsed)
    return JSON.stringify(parsed)
  }).join('\n')
  t.match(await check(edit((line) => { if (line.payload.state === 'erased') line.payload.state = 'none' })), /is missing, and nothing says that it was erased/)
  t.match(await check(edit((line) => { if (line.payload.state === 'erased') line.payload.state = 'expired' })), /transcript of leaf \d+ expired, and no leaf/)
  t.match(await check(edit((line) => { if (line.payload.state === 'expired') line.payload.state = 'erased' })), /was erased, and no leaf/)
  t.match(await check(edit((line) => { if (line.payload.state === 'expired') line.payload.state = 'damaged' })), /cannot be opened/)
})

t.test('the command erases, holds and rotates: by the running gateway, and by itself where none runs', async (t) => {
  const gateway = await build(t)
  const record = await asked(gateway, { user: 'ann@example' })
  const control = await serveControl({ path: controlPath(gateway.dataDir), handler: (request, response) => { gateway.app.routing(request, response) } })
  const audit = (...args: string[]) => run(REAL, ['audit', ...args, '--data-dir', gateway.dataDir], { env: { ...process.env, PARALLAX_MODEL: 'none' } })
  t.match(await audit('hold', 'case-1', '--record', record, '--reason', 'subpoena'), { code: 0, out: /"case-1" is set/ })
  t.match(await audit('holds'), { code: 0, out: /^case-1 {2}1 record\n/ })
  t.match(await audit('erase', '--record', record, '--reason', 'r'), { code: 1, err: /under the hold "case-1"/ })
  t.match(await audit('lift', 'case-1', '--reason', 'over'), { code: 0 })
  t.match(await audit('rotate-log-key', '--reason', 'r'), { code: 1, err: /Stop the gateway, run this again/ })
  t.match(await audit('rotate-kek'), { code: 0, out: /^The keys of \d+ transcripts are under [0-9a-f]{16} now/ })
  t.match(await audit('erase', '--record', record, '--reason', 'r', '--json'), { code: 0, out: /"records":1/ })
  t.match(await gateway.audit(`/audit/v1/records/${record}`), { payload: { state: 'erased' } })
  await control.close()

  const directory = temporary(t)
  const log = await openSqliteLog({ directory })
  const alone = await exchange(log, { tenant: 't_1', user: 'ann@example' })
  await log.close()
  const here = (...args: string[]) => run(REAL, ['audit', ...args, '--data-dir', directory], { env: { ...process.env, PARALLAX_MODEL: 'none' } })
  t.match(await here('erase', '--tenant', 't_1', '--user', 'ann@example', '--reason', 'case 9'), { code: 0, out: /^Erased the transcripts of 1 exchange, on record as / })
  t.match(await here('erase', '--tenant', 't_1', '--user', 'nobody', '--reason', 'case 9'), { code: 0, out: /^Nothing was erased: .*"parallax keys list"/ })
  t.match(await here('erase', '--record', 'nonsense', '--reason', 'r'), { err: /--record: wanted an exchange's id, as it stands in the header X-Audit-Record/ })
  t.match(await here('hold', 'two words', '--all', '--reason', 'r'), { code: 2, err: /The hold's name: wanted 1 to 60 letters/ })
  t.match(await here('hold', 'case-2', '--reason', 'r'), { code: 2, err: /Wanted one of --record, --tenant .* and --all/ })
  t.match(await here('expire', '--older-than', '0'), { code: 0, out: /^0 transcripts expired/ })
  t.match(await here('rotate-kek'), { code: 0 })
  for (const args of [['erase'], ['erase', '--user', 'x', '--reason', 'r'], ['erase', '--record', 'nonsense', '--reason', 'r'], ['hold', '--all', '--reason', 'r'], ['expire', '--older-than', '3h'], ['nothing'], []]) {
    t.match(await here(...args), { code: 2, err: /Run "parallax audit --help"/ }, args.join(' '))
  }
  const again = await openSqliteLog({ directory })
  t.same(await states(again, alone), ['erased', 'erased'])
  await again.close()
  writeFileSync(join(directory, 'kek.keys'), 'AAAA')
  t.match(await here('holds'), { code: 1, err: /should have 32/ })
})
