import t from 'tap'
import * as upstream from '../fixtures/upstream.ts'
import { build, events, QUESTION, until, type Built } from '../helper.ts'

const QUOTA = 100_000

/** Tokens that a key has left, asked by what is answered from the cache. */
async function watched (t: any): Promise<Built & { spent: () => Promise<number> }> {
  const gateway = await build(t, { config: { quota: { tokensPerMinute: QUOTA } } })
  const probe = async (): Promise<number> => {
    const reply = await gateway.ask({ messages: QUESTION, max_tokens: 1, model: 'A', temperature: 0 })
    await reply.arrayBuffer()
    return Number(reply.headers.get('x-ratelimit-remaining-tokens'))
  }
  await probe()
  const start = await probe()
  return { ...gateway, spent: async () => start - await probe() }
}

t.test('who leaves a stream pays for the prompt and for what was said by then, side by side as alone', async (t) => {
  for (const [model, experts] of [['A', 1], ['B', 1], ['both', 2]] as const) {
    const gateway = await watched(t)
    for (const one of Object.values(gateway.upstreams)) one.reply(upstream.endless(2))
    const leaving = new AbortController()
    const reader = (await gateway.ask({ model, messages: [{ role: 'user', content: 'x'.repeat(4000) }], stream: true }, {}, leaving.signal)).body!.getReader()
    for (let bytes = 0; bytes < 8000;) bytes += (await reader.read()).value!.length
    leaving.abort()
    // the reservation is more than that: settled when it is down to what was used
    const cost = await until(async () => { const now = await gateway.spent(); return now > 0 && now < 1600 * experts && now })
    t.ok(cost >= 1000 * experts, `${model}: ${cost}`)
  }
})

t.test('what an expert does not count is estimated, whole, streamed and side by side', async (t) => {
  for (const model of ['A', 'B', 'both']) {
    for (const stream of [false, true]) {
      const gateway = await watched(t)
      for (const one of Object.values(gateway.upstreams)) one.reply(upstream.answer({ content: 'word '.repeat(200), usage: 'never' }))
      await (await gateway.ask({ model, messages: [{ role: 'user', content: 'x'.repeat(4000) }], stream })).text()
      const experts = model === 'both' ? 2 : 1
      const cost = await gateway.spent()
      t.ok(cost >= 1150 * experts && cost <= 1400 * experts, `${model} ${stream ? 'streamed' : 'whole'}: ${cost}`)
    }
  }
})

t.test('where one side is counted and the other is not, both cost', async (t) => {
  for (const stream of [false, true]) {
    const gateway = await watched(t)
    gateway.upstreams.progressive.reply(upstream.answer({ content: 'word', usage: 'never' }))
    await (await gateway.ask({ model: 'both', messages: [{ role: 'user', content: 'x'.repeat(400) }], stream })).text()
    t.ok(await gateway.spent() >= 100)
  }
})

t.test('an answer from the cache costs nothing, also to who leaves it', async (t) => {
  for (const model of ['B', 'both']) {
    const gateway = await watched(t)
    for (const one of Object.values(gateway.upstreams)) one.reply(upstream.answer({ content: 'word '.repeat(100_000) }))
    const ask = { model, messages: [{ role: 'user', content: 'long' }], temperature: 0 }
    await (await gateway.ask(ask)).text()
    const before = await gateway.spent()
    const leaving = new AbortController()
    const reader = (await gateway.ask({ ...ask, stream: true }, {}, leaving.signal)).body!.getReader()
    await reader.read()
    leaving.abort()
    await until(async () => (await gateway.leaves()).filter((leaf) => leaf.type === 'completion.end' && leaf['source']).length >= (model === 'both' ? 2 : 1))
    t.equal(await until(async () => await gateway.spent() === before), true, model)
  }
})

t.test('who joins another\'s call is told of tokens that it did not spend, streamed as whole', async (t) => {
  for (const model of ['A', 'B', 'both']) {
    for (const stream of [false, true]) {
      const gateway = await build(t)
      for (const one of Object.values(gateway.upstreams)) one.reply(upstream.slowHeaders(200))
      const ask = async () => {
        const reply = await gateway.ask({ model, messages: QUESTION, temperature: 0, stream, ...(stream && { stream_options: { include_usage: true } }) })
        const { usage } = stream ? (await events(reply)).at(-2) : await reply.json() as any
        return [usage.prompt_tokens, usage.prompt_tokens_details?.cached_tokens ?? 0] as [number, number]
      }
      const told = await Promise.all([ask(), ask()])
      const [[prompt]] = told
      t.same(told.toSorted((a, b) => a[1] - b[1]), [[prompt, 0], [prompt, prompt]], `${model} ${stream ? 'streamed' : 'whole'}`)
    }
  }
})
