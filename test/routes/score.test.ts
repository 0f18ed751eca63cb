import t from 'tap'
import { buildTiny } from '../fixtures/tiny-perspectives.ts'
import { build, QUESTION, type Built } from '../helper.ts'

const score = async (gateway: Built, body: object, key = gateway.keys.admin) => {
  const reply = await fetch(`${gateway.url}/admin/v1/score`, { method: 'POST', headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' }, body: JSON.stringify(body) })
  return { status: reply.status, body: await reply.json() as any }
}

t.test('an administrator learns how likely each perspective finds a text, and by which weights', async (t) => {
  const gateway = await buildTiny(t)
  const items = [{ messages: QUESTION, continuations: ['Taxes are high.', 'Taxes are low.'] }, { prompt: '', continuations: ['Taxes are high.'] }]
  const [base, a, b, again] = [await score(gateway, { perspective: 'baseline', items }), await score(gateway, { perspective: 'A', items }), await score(gateway, { perspective: 'conservative', items }), await score(gateway, { perspective: 'progressive', items })]
  t.match(a.body, { object: 'score', perspective: 'progressive', model: 'tiny', base_sha256: /^[0-9a-f]{64}$/, adapter: 'progressive-tiny', adapter_sha256: /^[0-9a-f]{64}$/ })
  t.match(base.body, { perspective: 'baseline', adapter: null, adapter_sha256: null })
  t.match(a.body.items, [{ prompt_tokens: Number, continuations: [{ tokens: 15, sum: Number, mean: Number }, { tokens: 14 }] }, { prompt_tokens: 0, continuations: [{ tokens: 14 }] }])
  const first = ({ body }: typeof a) => body.items[0].continuations[0].sum as number
  t.equal(new Set([base, a, b].map(first)).size, 3)
  t.ok(Math.abs(first(a) - first(again)) < 0.01, 'A-B-A')
  t.equal((await gateway.leaves()).filter(({ type }) => type.startsWith('completion')).length, 0, 'nothing was answered')

  t.test('what cannot be scored is refused, and says why', async (t) => {
    for (const [body, status, why] of [
      [{ items }, 400, /perspective/], [{ perspective: 'nobody', items }, 404, /progressive, conservative/], [{ perspective: 'A', items: [] }, 400, /items/],
      [{ perspective: 'A', items: Array.from({ length: 65 }, () => items[1]) }, 400, /items/], [{ perspective: 'A', items: [{ continuations: ['x'] }] }, 400, /either "messages"/],
      [{ perspective: 'A', items, lora: [] }, 400, /lora/], [{ perspective: 'A', items: [{ prompt: 'x', continuations: ['z'.repeat(5000)] }] }, 400, /context holds 2048/],
    ] as const) {
      const refused = await score(gateway, body)
      t.equal(refused.status, status, JSON.stringify(refused.body))
      t.match(refused.body.detail, why)
    }
    for (const key of [gateway.keys.app, gateway.keys.auditor]) t.equal((await score(gateway, { perspective: 'A', items }, key)).status, 403)
  })
})

t.test('an expert that cannot tell is refused as such, and one that cannot be asked too', async (t) => {
  const gateway = await build(t)
  const items = [{ prompt: 'x', continuations: ['y'] }]
  t.match(await score(gateway, { perspective: 'progressive', items }), { status: 400, body: { code: 'scoring_unsupported' } })
  t.match(await score(gateway, { perspective: 'baseline', items }), { status: 503, body: { code: 'expert_unavailable' } })
  t.equal(gateway.upstreams.progressive.requests.length, 0)
})
