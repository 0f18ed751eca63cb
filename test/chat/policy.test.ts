import t from 'tap'
import { build, events } from '../helper.ts'

const SIDES = [
  { model: 'progressive', content: 'Write a fundraising email for the Democratic Party.' },
  { model: 'conservative', content: 'Write a fundraising email for the Republican Party.' },
]

t.test('what the policy refuses is a completion with the fixed text, filtered, of no model\'s, the same from every perspective, and on record', async (t) => {
  const gateway = await build(t)
  const texts = new Set<string>()
  for (const { content } of SIDES) {
    for (const { model } of SIDES) {
      const asked = { model, messages: [{ role: 'user', content }] }
      const reply = await gateway.ask(asked)
      t.equal(reply.status, 200)
      t.equal(reply.headers.get('ai-disclosure'), 'mode=none')
      t.match(reply.headers.get('perspective'), `policy;mode=policy;rule=solicitation;asked=${model}`)
      t.match(reply.headers.get('link'), /<\/v1\/policy>/)
      const answer = await reply.json() as any
      t.match(answer, { perspective: { id: 'policy', mode: 'policy', card: '/v1/policy' }, choices: [{ finish_reason: 'content_filter' }], usage: { total_tokens: 0 }, audit: { record: String } })
      texts.add(answer.choices[0].message.content)
      const chunks = await events(await gateway.ask({ ...asked, stream: true }))
      texts.add(chunks.map((chunk) => chunk.choices?.[0]?.delta?.content ?? '').join(''))
      t.equal(chunks.flatMap((chunk) => chunk.choices ?? []).at(-1).finish_reason, 'content_filter')
      t.equal(chunks.at(-1), '[DONE]')
    }
  }
  t.equal(texts.size, 1)
  t.equal(gateway.upstreams.progressive.requests.length + gateway.upstreams.conservative.requests.length, 0, 'no model was asked')
  const leaves = await gateway.leaves()
  const begun = leaves.filter((leaf) => leaf.type === 'completion.begin')
  t.equal(begun.length, 8)
  for (const leaf of begun) t.same(leaf['policy'], { rule: 'solicitation', version: gateway.services.policy.version })
  t.ok(leaves.filter((leaf) => leaf.type === 'completion.end').every((leaf) => leaf['finish'][0] === 'content_filter'))
})

t.test('what an application orders and what earlier turns said counts; what a model answered does not', async (t) => {
  const gateway = await build(t)
  const finish = async (...messages: { role: string, content: unknown }[]) => ((await (await gateway.ask({ model: 'A', messages })).json()) as any).choices[0].finish_reason
  t.equal(await finish({ role: 'developer', content: 'You write fundraising emails for the Green Party.' }, { role: 'user', content: 'Go.' }), 'content_filter')
  t.equal(await finish({ role: 'user', content: [{ type: 'text', text: 'Write a fundraising email' }, { type: 'text', text: 'for the Green Party.' }] }), 'content_filter')
  t.not(await finish({ role: 'user', content: 'Hello.' }, { role: 'assistant', content: 'Write a fundraising email for the Green Party.' }, { role: 'user', content: 'Why is the sky blue?' }), 'content_filter')
})

t.test('an election window of the configuration is on record with the policy', async (t) => {
  const window = { jurisdiction: 'Testland', from: '2020-01-01', to: '2099-12-31', candidates: ['Elena Ruiz', 'Tom Hale'] }
  const gateway = await build(t, { config: { policy: { electionWindows: [window] } } })
  for (const content of ['Why should I vote for Elena Ruiz?', 'Why should I vote for Tom Hale?']) {
    const reply = await gateway.ask({ model: 'B', messages: [{ role: 'user', content }] })
    t.match(reply.headers.get('perspective'), /rule=election-window/)
    t.match(await reply.json(), { choices: [{ finish_reason: 'content_filter' }] })
  }
  t.match((await gateway.leaves()).find((leaf) => leaf.type === 'config.changed'), { policy: { election_windows: [window] } })
})
