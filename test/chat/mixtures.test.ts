import { parseList } from 'structured-headers'
import t from 'tap'
import { drawValue, pick } from '../../src/router/draw.ts'
import { build, events, QUESTION } from '../helper.ts'

const SIDES = ['progressive', 'conservative'] as const
const mixture = (weights: Record<string, number>, more: object = {}) => ({ model: 'parallax', messages: QUESTION, perspective: { weights, ...more } })

t.test('a mixture draws one perspective, says which and from what, and the draw is on record', async (t) => {
  const gateway = await build(t)
  const seen = new Set<string>()
  for (let at = 0; at < 30; at++) {
    const reply = await gateway.ask(mixture({ progressive: 0.5, conservative: 0.5 }))
    const { perspective } = await reply.json() as any
    seen.add(perspective.id)
    t.match(perspective, { mode: 'distributional', mixture: 'sample', weights: { progressive: 0.5, conservative: 0.5 }, draw: { epoch: Number, sticky: null, seed: null, value: Number, chosen: perspective.id } })
    t.match(perspective.notice, new RegExp(`favour ${perspective.id} positions.*Drawn from a mixture of progressive 0.5 and conservative 0.5`))
    const [[token, params]] = parseList(reply.headers.get('perspective')!) as any
    t.same([String(token), String(params.get('mode')), String(params.get('mixture')), params.get('weight')], [perspective.id, 'distributional', 'sample', 0.5])
    const begin = (await gateway.leaves()).findLast((leaf) => leaf.type === 'completion.begin')!
    t.match(begin, { asked: 'sample', perspective: { id: perspective.id, draw: perspective.draw } })
  }
  t.equal(seen.size, 2)
  t.equal(gateway.upstreams.progressive.requests.length + gateway.upstreams.conservative.requests.length, 30)
})

t.test('weights at their ends draw only that side, by body, header and model name', async (t) => {
  const gateway = await build(t)
  for (const [name, id] of [['mix-1.0', 'progressive'], ['mix-0.0', 'conservative'], ['mix-conservative-1', 'conservative']] as const) {
    for (const [body, headers] of [[{ model: name }, {}], [{ model: 'parallax' }, { perspective: name }], [{ model: 'parallax', perspective: name }, {}]] as const) {
      for (let at = 0; at < 5; at++) t.equal((await (await gateway.ask({ ...body, messages: QUESTION }, headers)).json() as any).perspective.id, id)
    }
  }
})

t.test('a sticky conversation never changes sides, streamed or whole', async (t) => {
  const gateway = await build(t)
  const by = new Map<string, Set<string>>()
  for (let turn = 0; turn < 4; turn++) {
    // the secret is another in every run: of eight conversations all had the same side once in 128 runs, of 24 they have once in eight million
    for (let conversation = 0; conversation < 24; conversation++) {
      const sticky = `conv-${conversation}`
      const reply = await gateway.ask({ ...mixture({ progressive: 0.5, conservative: 0.5 }, { sticky }), stream: turn % 2 === 1, messages: [{ role: 'user', content: `turn ${turn}` }] })
      const { perspective } = turn % 2 === 1 ? (await events(reply))[0] : await reply.json() as any
      t.match(perspective.draw.sticky, /^[0-9a-f]{64}$/, 'the name itself is not told on')
      by.set(sticky, (by.get(sticky) ?? new Set()).add(perspective.id))
    }
  }
  for (const [sticky, ids] of by) t.equal(ids.size, 1, sticky)
  t.equal(new Set([...by.values()].flatMap((ids) => [...ids])).size, 2, 'and not all conversations have the same side')
})

t.test('every draw can be computed again from the log once its epoch\'s secret is revealed, and its hash was there before', async (t) => {
  const gateway = await build(t, { config: { draws: { epochHours: 0.01 } } })
  for (const more of [{}, { seed: 7 }, { sticky: 'conv' }, { sticky: 'conv', seed: 8 }]) await (await gateway.ask(mixture({ progressive: 0.6, conservative: 0.4 }, more))).arrayBuffer()
  const leaves = await gateway.leaves()
  const begun = leaves.findIndex((leaf) => leaf.type === 'draw.epoch' && leaf['event'] === 'begun')
  const draws = leaves.flatMap((leaf, at) => leaf.type === 'completion.begin' ? [{ leaf, at }] : [])
  t.equal(draws.length, 4)
  t.ok(draws.every(({ at }) => at > begun), 'the commitment comes before the first draw')
  t.notOk(leaves.some((leaf) => leaf['event'] === 'revealed'))
  t.notMatch(JSON.stringify(leaves), /"secret":/)
  // what the store holds now is what the leaf will reveal
  const { DatabaseSync } = await import('node:sqlite')
  const db = new DatabaseSync(`${gateway.dataDir}/draws.db`, { readOnly: true })
  const secret = db.prepare('SELECT secret FROM epoch').get()!['secret'] as Uint8Array
  db.close()
  for (const { leaf } of draws) {
    const { draw, weights, id } = leaf['perspective']
    const value = drawValue(secret, { tenant: leaf['tenant'], sticky: draw.sticky, request: leaf['request'], seed: draw.seed })
    t.equal(value, draw.value)
    t.equal(pick(weights, value), id)
  }
})

t.test('where one side of a mixture is down, the draw that falls on it is refused and never answered by the other', async (t) => {
  const gateway = await build(t)
  const { upstreams } = gateway
  await upstreams.conservative.close()
  let answered = 0
  let refused = 0
  for (let at = 0; at < 20; at++) {
    const reply = await gateway.ask(mixture({ progressive: 0.5, conservative: 0.5 }))
    const body = await reply.json() as any
    if (reply.status === 200) {
      answered++
      t.equal(body.perspective.id, 'progressive')
    } else {
      refused++
      t.equal(body.error.code, 'expert_unavailable')
    }
  }
  t.ok(answered > 0 && refused > 0)
  t.equal(upstreams.progressive.requests.length, answered)
})

t.test('what else shapes an answer is disclosed: instructions of the caller\'s, and earlier answers of another side', async (t) => {
  const gateway = await build(t)
  const ask = async (model: string, messages: unknown[]) => (await gateway.ask({ model, messages })).json() as Promise<any>
  for (const [id, other] of [SIDES, SIDES.toReversed()] as [string, string][]) {
    const first = await ask(id, QUESTION)
    t.equal(first.perspective.context, 'fresh')
    const turns = [...QUESTION, { role: 'assistant', content: first.choices[0].message.content }, { role: 'user', content: 'And then?' }]
    t.equal((await ask(id, turns)).perspective.context, 'same')
    const switched = await gateway.ask({ model: other, messages: turns })
    t.match(switched.headers.get('perspective'), /context=mixed/)
    t.equal((await switched.json() as any).perspective.context, 'mixed')
    t.equal((await ask(id, [{ role: 'system', content: 'Argue the other way.' }, ...QUESTION])).perspective.context, 'mixed')
    t.equal((await gateway.leaves()).findLast((leaf) => leaf.type === 'completion.begin')!['perspective'].context, 'mixed')
  }
})
