/** Feedback as clients, administrators and auditors see it, on each of the stores. */
import { hash } from 'node:crypto'
import canonicalize from 'canonicalize'
import t from 'tap'
import type { Built } from '../helper.ts'
import { QUESTION } from '../helper.ts'
import { audited, stores } from '../stores/stores.ts'

const COMMENT = 'It left out what the other side would say.'

async function call (gateway: Built, method: string, path: string, body?: unknown, key = gateway.keys.app): Promise<{ status: number, headers: Headers, body: any }> {
  const reply = await fetch(`${gateway.url}${path}`, { method, headers: { authorization: `Bearer ${key}`, ...(body !== undefined && { 'content-type': 'application/json' }) }, ...(body !== undefined && { body: JSON.stringify(body) }) })
  const text = await reply.text()
  return { status: reply.status, headers: reply.headers, body: reply.headers.get('content-type')?.includes('ndjson') ? text.trimEnd().split('\n').map((line) => JSON.parse(line)) : JSON.parse(text) }
}

async function asked (gateway: Built, model: string): Promise<string> {
  const reply = await gateway.ask({ model, messages: QUESTION, user: 'ann' })
  await reply.arrayBuffer()
  return reply.headers.get('x-audit-record')!
}

const { each } = await stores(t)

for (const store of each) {
  t.test(`${store.name}: ratings and choices from the client to the export, and the log that tells of them verifies`, { skip: store.skip }, async (t) => {
    const gateway = await store.build(t)
    const [one, other, both] = [await asked(gateway, 'A'), await asked(gateway, 'B'), await asked(gateway, 'both')]
    const rated = await call(gateway, 'POST', '/v1/feedback', { record: one, rating: 'bad', comment: COMMENT, consent: true })
    t.match(rated, { status: 201, body: { object: 'feedback', kind: 'rating', record: one, choice: 0, rating: 'bad', comment: COMMENT, consent: true, consent_version: '2026-11', about: [{ record: one, perspective: 'progressive' }], audit: { record: rated.body.id, index: Number, origin: String } } })
    t.equal(rated.headers.get('x-audit-record'), rated.body.id)
    t.equal(rated.headers.get('cache-control'), 'private, no-store')
    const within = await call(gateway, 'POST', '/v1/feedback', { record: both, preferred: 1, over: 0 })
    t.match(within, { status: 201, body: { kind: 'choice', preferred: { record: both, choice: 1 }, consent: false, consent_version: null, comment: null, about: [{ perspective: 'conservative' }, { perspective: 'progressive' }] } })
    const across = await call(gateway, 'POST', '/v1/feedback', { preferred: { record: other.toUpperCase() }, over: { record: one, choice: 0 } })
    t.match(across, { status: 201, body: { preferred: { record: other, choice: 0 }, over: { record: one, choice: 0 } } })

    const page = await call(gateway, 'GET', '/v1/feedback?limit=2')
    t.match(page.body, { object: 'list', data: [{ id: across.body.id }, { id: within.body.id }], has_more: true, next: within.body.id })
    const rest = await call(gateway, 'GET', `/v1/feedback?limit=2&after=${page.body.next}`)
    t.match(rest.body, { data: [{ id: rated.body.id }], has_more: false, next: null })

    const members = ['kind', 'record', 'choice', 'rating', 'preferred', 'over', 'comment', 'consent', 'consent_version'].filter((name) => name in rated.body)
    const content = canonicalize(Object.fromEntries(members.map((name) => [name, rated.body[name]])))!
    const { wrong, lines } = await audited(gateway)
    t.same(wrong, [])
    const leaves = lines.map(({ leaf }) => JSON.parse(leaf)).filter(({ type }) => type === 'feedback')
    t.equal(leaves.length, 3)
    t.equal(leaves[0].content_commit, hash('sha256', Buffer.concat([Buffer.from(rated.body.salt, 'base64'), Buffer.from(rated.body.id), Buffer.from(content)]), 'base64'))
    t.notMatch(JSON.stringify(lines), COMMENT, 'no auditor\'s export has the comment')

    t.match((await call(gateway, 'GET', '/admin/v1/feedback', undefined, gateway.keys.admin)).body, { keys: [{ key: leaves[0].key, good: 0, bad: 1, choices: 2, consented: 1 }] })
    const exported = await call(gateway, 'GET', '/admin/v1/feedback/export', undefined, gateway.keys.admin)
    t.match(exported.body, [{ id: rated.body.id, kind: 'rating', key: leaves[0].key, rating: 'bad', about: { record: one, choice: 0, perspective: 'progressive' }, consent: true, consent_version: '2026-11' }, { id: within.body.id, preferred: { perspective: 'conservative' }, over: { perspective: 'progressive' }, consent: false }, {}, { manifest: { rows: 3 } }])
    t.notMatch(JSON.stringify(exported.body), /left out|universal healthcare|"salt"/, 'no word of anybody\'s')
    t.match((await call(gateway, 'GET', '/admin/v1/feedback/export?consent=true', undefined, gateway.keys.admin)).body, [{ id: rated.body.id }, { manifest: { rows: 1 } }])
    t.match((await gateway.leaves()).filter(({ read }) => read === 'feedback.export'), [{ type: 'audit.read' }, { query: { consent: 'true' } }])

    t.match(await call(gateway, 'DELETE', `/v1/feedback/${within.body.id}`), { status: 200, body: { id: within.body.id, deleted: true } })
    t.equal((await call(gateway, 'DELETE', `/v1/feedback/${within.body.id}`)).status, 404)
    await call(gateway, 'POST', '/admin/v1/erasures', { record: one, reason: 'case 7' }, gateway.keys.admin)
    t.same((await call(gateway, 'GET', '/v1/feedback')).body.data, [], 'erased with the record, by either side of a choice')
    t.match(await (await fetch(`${gateway.url}/metrics`)).text(), /parallax_feedback_total\{kind="bad"\} 1[^]*parallax_feedback_total\{kind="choice"\} 2[^]*parallax_feedback_total\{kind="withdrawn"\} 1/)
    t.same((await audited(gateway)).wrong, [])
  })

  t.test(`${store.name}: what cannot be meant is refused with the remedy, and others' answers are not found`, { skip: store.skip }, async (t) => {
    const gateway = await store.build(t)
    const [record, both] = [await asked(gateway, 'A'), await asked(gateway, 'both')]
    const stranger = (await gateway.services.keys.create({ scopes: ['app'] }, null)).secret
    const refusals: [unknown, number, RegExp, string?][] = [
      [{ record }, 400, /either a "rating".*"preferred"/],
      [{ record, rating: 'good', preferred: 0, over: 1 }, 400, /either a "rating"/],
      [{ rating: 'good' }, 400, /"record": wanted the record/],
      [{ record, rating: 'splendid' }, 400, /rating/],
      [{ record: 'x', rating: 'good' }, 400, /record/],
      [{ record, preferred: 0 }, 400, /"over": wanted what it is preferred to/],
      [{ record, preferred: 0, over: 0 }, 400, /another answer/],
      [{ record, preferred: 0, over: { record } }, 400, /both as numbers/],
      [{ preferred: 0, over: 1 }, 400, /"record": wanted/],
      [{ record, preferred: { record }, over: { record, choice: 1 } }, 400, /stands in "preferred"/],
      [{ record, choice: 0, preferred: 0, over: 1 }, 400, /"choice": stands beside "rating"/],
      [{ record, preferred: 'A', over: 'B' }, 400, /number of a choice, or/],
      [{ record, rating: 'good', comment: 'x'.repeat(2001) }, 400, /comment/],
      [{ record, rating: 'good', consent: 'yes' }, 400, /consent/],
      [{ record, rating: 'good', consent_version: '2026-11' }, 400, /only with "consent": true/],
      [{ record, rating: 'good', consent: true, consent_version: 'x' }, 400, /no text of consent.*2026-11/],
      [{ record, rating: 'good', stars: 5 }, 400, /stars/],
      [{ record: both, rating: 'good' }, 400, /has the choices 0 to 1: say with "choice" which/],
      [{ preferred: { record }, over: { record: both } }, 400, /has the choices 0 to 1: say with "choice"/],
      [{ preferred: { record }, over: { record, choice: 0 } }, 400, /another answer than "preferred"/],
      [{ record, preferred: 0, over: 9 }, 400, /one choice, 0; "over" names 9/],
      [{ record, preferred: 3, over: 0 }, 400, /one choice, 0; "preferred" names 3/],
      [{ preferred: { record }, over: { record, choice: 9 } }, 400, /one choice, 0; "over" names 9/],
      [{ record, rating: 'bad', choice: 9 }, 400, /one choice, 0; "choice" names 9/],
      [{ record, rating: 'good' }, 404, /of yours/, stranger],
      [{ record, rating: 'good' }, 403, /scope "app"/, gateway.keys.admin],
    ]
    for (const [body, status, message, key] of refusals) {
      const reply = await call(gateway, 'POST', '/v1/feedback', body, key)
      t.match([reply.status, reply.body.error.message], [status, message], JSON.stringify(body).slice(0, 100))
    }
    t.notOk((await gateway.leaves()).some(({ type }) => type === 'feedback'))
    const given = await call(gateway, 'POST', '/v1/feedback', { record, rating: 'good', comment: '‮<script>alert(1)</script>\u0000' })
    t.equal(given.status, 201)
    t.same((await call(gateway, 'GET', '/v1/feedback', undefined, stranger)).body.data, [])
    t.equal((await call(gateway, 'DELETE', `/v1/feedback/${given.body.id}`, undefined, stranger)).status, 404)
    t.match((await call(gateway, 'GET', '/v1/feedback')).body.data, [{ id: given.body.id, comment: '‮<script>alert(1)</script>\u0000' }])
    t.match(await (await fetch(`${gateway.url}/v1/feedback/consent`)).json(), { version: '2026-11', text: /whichever perspective/ })
  })
}

t.test('feedback counts towards the requests of its key, and is put nowhere while the log cannot commit', async (t) => {
  const [sqlite] = each
  const gateway = await sqlite!.build(t, { config: { quota: { requestsPerMinute: 3 } } })
  const record = await asked(gateway, 'A')
  t.equal((await call(gateway, 'POST', '/v1/feedback', { record, rating: 'good' })).headers.get('x-ratelimit-remaining-requests'), '1')
  const log = gateway.services.audit
  const append = log.append.bind(log)
  log.append = async () => { throw new Error('down') }
  const refused = await call(gateway, 'POST', '/v1/feedback', { record, rating: 'bad' })
  log.append = append
  t.match(refused, { status: 503, body: { error: { code: 'audit_unavailable' } } })
  t.match((await call(gateway, 'GET', '/v1/feedback')).body.data, [{ rating: 'good' }])
  t.match(await call(gateway, 'POST', '/v1/feedback', { record, rating: 'bad' }), { status: 429, body: { error: { code: 'rate_limit_exceeded' } } })
})
