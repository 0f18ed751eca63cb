import { hash } from 'node:crypto'
import { parseList } from 'structured-headers'
import t from 'tap'
import * as upstream from '../fixtures/upstream.ts'
import { build, events, QUESTION, type Built, type Leaf } from '../helper.ts'

const SIDES = ['progressive', 'conservative'] as const

/** Three upstreams: the baseline too, for summaries. */
async function withBaseline (t: any): Promise<Built & { baseline: upstream.Upstream }> {
  const baseline = await upstream.startUpstream()
  t.teardown(() => baseline.close())
  const gateway = await build(t, { config: { limits: { totalMs: 4000 } } , experts: { baseline: { wire: 'openai', baseUrl: baseline.url, model: 'mock-base', apiKey: 'upstream-secret-c' } } })
  return { ...gateway, baseline }
}

const said = (chunks: any[], index: number): string => chunks.flatMap((chunk) => chunk.choices ?? []).filter((choice) => choice.index === index).map((choice) => choice.delta.content ?? '').join('')

async function ends (gateway: Built): Promise<{ begin: Leaf, ends: Leaf[] }> {
  const leaves = await gateway.leaves()
  const begin = leaves.findLast(({ type }) => type === 'completion.begin')!
  return { begin, ends: leaves.filter((leaf) => leaf['begin'] === begin.id).sort((a, b) => a['choice'] - b['choice']) }
}

t.test('both perspectives answer side by side, each choice says whose it is, and each has an end record that binds its bytes', async (t) => {
  const gateway = await build(t)
  for (const id of SIDES) gateway.upstreams[id].reply(upstream.json({ content: `said by ${id}` }))
  const reply = await gateway.ask({ model: 'both', messages: QUESTION })
  t.equal(reply.status, 200)
  const answer = await reply.json() as any
  t.same(answer.choices.map((choice: any) => [choice.index, choice.message.content, choice.finish_reason, choice.perspective.id, choice.perspective.mode]), [
    [0, 'said by progressive', 'stop', 'progressive', 'overton'], [1, 'said by conservative', 'stop', 'conservative', 'overton'],
  ])
  t.match(answer, { object: 'chat.completion', model: 'both', usage: { prompt_tokens: 22, completion_tokens: 14, total_tokens: 36 }, perspective: { id: 'both', mode: 'overton', voices: [{ id: 'progressive' }, { id: 'conservative' }] } })
  t.same(parseList(reply.headers.get('perspective')!).map(([token]) => String(token)), SIDES)
  for (const id of SIDES) t.match(reply.headers.get('perspective-notice'), `favour ${id} positions`)
  t.match(reply.headers.get('ai-disclosure'), /mode=machine-generated, model="progressive@mock-a \+ conservative@mock-b"/)

  const { begin, ends: leaves } = await ends(gateway)
  t.match(begin, { choices: 2, asked: 'both', perspective: { id: 'both', mode: 'overton' } })
  t.same(leaves.map((leaf) => [leaf['choice'], leaf['status'], leaf['perspective'].id]), [[0, 'complete', 'progressive'], [1, 'complete', 'conservative']])
  const receipt = await (await fetch(`${gateway.url}/audit/v1/receipts/${answer.audit.record}`, { headers: { authorization: `Bearer ${gateway.keys.app}` } })).json() as any
  for (const [at, choice] of answer.choices.entries()) {
    const end = receipt.ends.find((one: any) => one.index === choice.audit.index)
    const { audit: _audit, ...rest } = choice
    t.equal(JSON.parse(end.leaf).res_commit, hash('sha256', Buffer.concat([Buffer.from(end.salt, 'base64'), Buffer.from(end.record), Buffer.from(JSON.stringify(rest))]), 'base64'), `choice ${at}: the receipt's leaf commits to the choice without its receipt`)
  }
})

t.test('a stream opens with a role for every index in order, interleaves, and each finish carries its own receipt', async (t) => {
  const gateway = await build(t)
  // the second side is the quick one: it must not wait, and must not come first
  gateway.upstreams.progressive.reply(upstream.stream({ content: 'slow words of one side', delay: 30 }))
  gateway.upstreams.conservative.reply(upstream.stream({ content: 'quick words of the other' }))
  const reply = await gateway.ask({ model: 'parallax', perspective: 'both', messages: QUESTION, stream: true, stream_options: { include_usage: true } })
  const chunks = await events(reply)
  t.equal(chunks.at(-1), '[DONE]')
  t.same(chunks.slice(0, 2).map((chunk) => [chunk.choices[0].index, chunk.choices[0].delta.role, chunk.choices[0].perspective.id]), [[0, 'assistant', 'progressive'], [1, 'assistant', 'conservative']])
  t.equal(chunks[0].perspective.id, 'both')
  t.equal(chunks.filter((chunk) => chunk.perspective).length, 1)
  t.equal(said(chunks, 0), 'slow words of one side')
  t.equal(said(chunks, 1), 'quick words of the other')
  const finish = chunks.filter((chunk) => chunk.choices?.[0]?.finish_reason)
  t.same(finish.map((chunk) => chunk.choices[0].index), [1, 0], 'the quick side does not wait for the slow one')
  t.equal(new Set(finish.map((chunk) => chunk.audit.index)).size, 2)
  t.match(chunks.at(-2), { choices: [], usage: { total_tokens: 36 } })
  const { ends: leaves } = await ends(gateway)
  t.same(leaves.map((leaf) => leaf['status']), ['complete', 'complete'])
})

t.test('one side that fails fails only its own choice, whole and streamed, in a form that SDKs read', async (t) => {
  for (const [down, up] of [['progressive', 'conservative'], ['conservative', 'progressive']] as const) {
    for (const failure of [upstream.htmlError(500), upstream.rateLimited('1'), upstream.stopsUnfinished()]) {
      // each for itself: an expert that fails again and again, or asks to be left alone, is not asked for a while
      const gateway = await build(t)
      gateway.upstreams[down].reply(failure)
      gateway.upstreams[up].reply(upstream.answer({ content: `said by ${up}` }))
      const index = SIDES.indexOf(down)
      const chunks = await events(await gateway.ask({ model: 'both', messages: QUESTION, stream: true }))
      t.equal(chunks.at(-1), '[DONE]', failure.name)
      t.equal(said(chunks, 1 - index), `said by ${up}`)
      const failed = chunks.find((chunk) => chunk.choices?.[0]?.finish_reason === 'error')
      t.match(failed, { choices: [{ index, perspective: { id: down }, error: { message: String, type: String, code: /^expert_/ } }], audit: { index: Number } }, failure.name)
      t.same((await ends(gateway)).ends.map((leaf) => leaf['status']), index === 0 ? ['upstream_error', 'complete'] : ['complete', 'upstream_error'])

      if (failure.name.includes('unfinished')) continue
      const answer = await (await gateway.ask({ model: 'both', messages: QUESTION })).json() as any
      t.match(answer.choices[index], { index, finish_reason: 'error', message: { role: 'assistant', content: null }, error: { code: /^expert_/ }, perspective: { id: down }, audit: { index: Number } }, failure.name)
      t.match(answer.choices[1 - index], { finish_reason: 'stop', message: { content: `said by ${up}` } })
    }
  }
})

t.test('where every side fails the answer fails: an error, whole; no [DONE], streamed', async (t) => {
  const gateway = await build(t)
  for (const id of SIDES) gateway.upstreams[id].reply(upstream.htmlError(500))
  for (const stream of [false, true]) {
    const reply = await gateway.ask({ model: 'both', messages: QUESTION, stream })
    t.equal(reply.status, 502)
    t.equal((await reply.json() as any).error.code, 'expert_failed')
    t.same((await ends(gateway)).ends.map((leaf) => leaf['status']), ['upstream_error', 'upstream_error'])
  }
  for (const id of SIDES) gateway.upstreams[id].reply(upstream.stopsUnfinished())
  const chunks = await events(await gateway.ask({ model: 'both', messages: QUESTION, stream: true }))
  t.not(chunks.at(-1), '[DONE]')
  t.match(chunks.at(-1), { error: { code: 'expert_failed' } })
  t.equal(chunks.filter((chunk) => chunk.choices?.[0]?.finish_reason === 'error').length, 2)
})

t.test('a client that leaves ends both upstream calls and closes both records', async (t) => {
  const gateway = await build(t)
  for (const id of SIDES) gateway.upstreams[id].reply(upstream.stream({ content: 'a b c d e f g h i j k l m n o p q r s t', delay: 100 }))
  const leaving = new AbortController()
  const reply = await gateway.ask({ model: 'both', messages: QUESTION, stream: true }, {}, leaving.signal)
  await reply.body!.getReader().read()
  leaving.abort()
  for (const id of SIDES) await gateway.upstreams[id].last.over
  t.ok(SIDES.every((id) => gateway.upstreams[id].last.aborted))
  for (let tries = 0; tries < 100 && (await ends(gateway)).ends.length < 2; tries++) await new Promise((resolve) => { setTimeout(resolve, 20) })
  t.same((await ends(gateway)).ends.map((leaf) => leaf['status']), ['client_abort', 'client_abort'])
})

t.test('a summary is the baseline\'s own choice after the others: it quotes them in an order that favours neither, and merges nothing', async (t) => {
  const gateway = await withBaseline(t)
  for (const id of SIDES) gateway.upstreams[id].reply(upstream.answer({ content: `the view of ${id}` }))
  gateway.baseline.reply(upstream.answer({ content: 'Agreement: … Contradiction: … Left out: …' }))
  const answer = await (await gateway.ask({ model: 'parallax', perspective: { id: 'both', summary: true }, messages: QUESTION })).json() as any
  t.same(answer.choices.map((choice: any) => choice.perspective.id), ['progressive', 'conservative', 'baseline'])
  t.match(answer.choices[2], { message: { content: /Agreement/ }, perspective: { id: 'baseline', role: 'summary', context: 'mixed' } })
  t.match(answer.perspective.notice, /Progressive: .*Conservative: .*summary by Baseline/)
  const asked = JSON.stringify(gateway.baseline.last.body.messages)
  for (const id of SIDES) t.match(asked, `the view of ${id}`)
  t.match(asked, /never merge/)
  const chunks = await events(await gateway.ask({ model: 'both-summary', messages: QUESTION, stream: true }))
  t.equal(chunks.at(-1), '[DONE]')
  t.match(said(chunks, 2), /Agreement/)
  t.same((await ends(gateway)).ends.map((leaf) => [leaf['choice'], leaf['status'], leaf['perspective'].role]), [[0, 'complete', undefined], [1, 'complete', undefined], [2, 'complete', 'summary']])

  gateway.upstreams.progressive.reply(upstream.htmlError(500))
  const short = await (await gateway.ask({ model: 'both-summary', messages: QUESTION })).json() as any
  t.match(short.choices[2], { finish_reason: 'error', error: { message: /at least 2 answers/ } })
  // over many questions each side is quoted first about as often
  const first = new Set<string>()
  gateway.upstreams.progressive.reply(upstream.answer({ content: 'the view of progressive' }))
  for (let at = 0; at < 12; at++) {
    await (await gateway.ask({ model: 'both-summary', messages: [{ role: 'user', content: `Question ${at}?` }] })).arrayBuffer()
    const text = gateway.baseline.last.body.messages[1].content as string
    first.add(text.indexOf('Progressive:') < text.indexOf('Conservative:') ? 'progressive' : 'conservative')
  }
  t.equal(first.size, 2)
})

t.test('side by side each answer is cached by itself, and a hit names the record that it came from', async (t) => {
  const gateway = await build(t)
  const ask = { model: 'both', messages: QUESTION, temperature: 0 }
  const one = await gateway.ask(ask)
  t.equal(one.headers.get('cache-status'), 'parallax; fwd=miss; stored')
  const first = await one.json() as any
  for (const stream of [false, true]) {
    const again = await gateway.ask({ ...ask, stream })
    t.match(again.headers.get('cache-status'), /^parallax; hit/)
    const texts = stream ? await events(again).then((chunks) => SIDES.map((_, at) => said(chunks, at))) : (await again.json() as any).choices.map((choice: any) => choice.message.content)
    t.same(texts, first.choices.map((choice: any) => choice.message.content))
    const { ends: leaves } = await ends(gateway)
    t.ok(leaves.every((leaf) => typeof leaf['source'] === 'string'))
    t.same(leaves.map((leaf) => leaf['tokens']), [[0, 0], [0, 0]])
  }
  for (const id of SIDES) t.equal(gateway.upstreams[id].requests.length, 1)
  await (await gateway.ask({ ...ask, model: 'progressive' })).arrayBuffer()
  t.equal(gateway.upstreams.progressive.requests.length, 2, 'another mode is another answer')
})
