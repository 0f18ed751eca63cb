import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Exchange } from '../../src/audit/log.ts'
import type { Voice } from '../../src/chat/cast.ts'
import { FrameStream, ReaderGone } from '../../src/chat/frame-stream.ts'
import { cachedSpeech } from '../../src/chat/speech.ts'
import { relaySideBySide } from '../../src/chat/stream-side-by-side.ts'
import { disclose } from '../../src/disclosure/disclose.ts'
import { discloseSideBySide } from '../../src/disclosure/together.ts'
import { ParallaxError } from '../../src/errors.ts'
import { loadPerspectives } from '../../src/perspectives/registry.ts'
import * as upstream from '../fixtures/upstream.ts'
import { build, FIXTURES, QUESTION, until, type Built, type Leaf } from '../helper.ts'

const SIDES = ['progressive', 'conservative'] as const

async function endsOf (gateway: Built, count: number): Promise<Leaf[]> {
  return until(async () => {
    const leaves = await gateway.leaves()
    const begin = leaves.findLast(({ type }) => type === 'completion.begin')!
    const ends = leaves.filter((leaf) => leaf['begin'] === begin.id)
    return ends.length === count && ends.sort((a, b) => a['choice'] - b['choice'])
  })
}

async function withBaseline (t: any, config: Record<string, unknown> = {}): Promise<Built & { baseline: upstream.Upstream }> {
  const baseline = await upstream.startUpstream()
  t.teardown(() => baseline.close())
  const gateway = await build(t, { config, experts: { baseline: { wire: 'openai', baseUrl: baseline.url, model: 'mock-base' } } })
  return { ...gateway, baseline }
}

/** Two voices whose answers are known, over a log that does what the test says. */
function played (exchange: Partial<Exchange>, { out = new FrameStream(65536, 60_000), words = '' } = {}) {
  const registry = loadPerspectives([`${FIXTURES}perspectives`])
  const voices = SIDES.map((id, choice): Voice => {
    const facts = { model: 'm', adapter: null, adapterSha256: null }
    const disclosure = disclose(registry.find(id)!, { mode: 'overton', weights: {} }, facts, 'p')
    const completion = { choices: [{ index: 0, message: { role: 'assistant', content: `said by ${id}${words}` }, finish_reason: 'stop' }], usage: { prompt_tokens: 1, completion_tokens: 1 } }
    return { choice, id, disclosure, facts, speech: cachedSpeech({ completion, source: 's', stored: 0, tags: [] }) }
  })
  const disclosure = discloseSideBySide(voices.map((one) => one.disclosure), {}, voices.map((one) => one.facts), 'p')
  const work = new AbortController()
  const whole: Exchange = { record: 'r', begun: async () => {}, chunk: () => {}, end: async () => ({ record: 'e', index: 1, key_seq: 1, leaf_hash: 'h' }), ...exchange }
  const over = relaySideBySide({
    cast: { disclosure, voices, summary: null }, exchange: whole, frame: { id: 'i', created: 0, disclosure }, origin: 'o', signal: work.signal, told: {}, out, usageWanted: false,
    begun: voices.map((one) => one.speech.stream(work.signal, 'r')), abort: (reason) => { work.abort(reason) },
    explain: (error) => work.signal.aborted ? work.signal.reason : error, cacheStatus: { stored: () => {} }, whenSaid: () => {},
  })
  return { over, out, work }
}

async function readAll (out: FrameStream): Promise<string> {
  let text = ''
  for await (const chunk of out) text += chunk
  return text
}

t.test('where the log refuses one side\'s end, the stream ends with the error, whatever becomes of the other side\'s', async (t) => {
  for (const [refused, refusedMs, keptMs] of [[0, 20, 60], [1, 20, 60], [0, 60, 20], [1, 60, 20]] as const) {
    const receipts = new Map<number, Promise<never> | ReturnType<Exchange['end']>>()
    const { over, out } = played({
      end: ({ choice = 0 }) => {
        const known = receipts.get(choice)
        if (known) return known
        const made = choice === refused
          ? sleep(refusedMs).then(() => { throw new ParallaxError('audit_unavailable', 'The log cannot commit.') })
          : sleep(keptMs).then(() => ({ record: 'e', index: 1, key_seq: 1, leaf_hash: 'h' }))
        made.catch(() => {})
        receipts.set(choice, made)
        return made
      },
    })
    const text = await readAll(out)
    await over
    const frames = text.split('\n\n').filter((frame) => frame.startsWith('data: '))
    t.match(frames.at(-1), /"code":"audit_unavailable"/, 'nothing comes after the error')
    t.notMatch(text, /\[DONE\]/)
  }
})

t.test('a journal that fails for a moment leaves no choice without its end', async (t) => {
  for (const failing of [1, 3, 4, 5]) {
    let calls = 0
    const ended: number[] = []
    const { over, out } = played({
      chunk: () => { if (++calls >= failing) throw new ParallaxError('audit_unavailable', 'The audit journal cannot be written.') },
      end: async ({ choice = 0 }) => {
        ended.push(choice)
        return { record: 'e', index: 1, key_seq: 1, leaf_hash: 'h' }
      },
    })
    const text = await readAll(out)
    await over
    t.same([...new Set(ended)].toSorted((a, b) => a - b), [0, 1], `from the ${failing}. write on`)
    t.notMatch(text, /\[DONE\]/)
  }
})

t.test('a reader that takes nothing for too long is cut, and neither side ends as if it had been read', async (t) => {
  for (const [bytes, words] of [[16, ''], [8192, 'x'.repeat(9000)]] as const) {
    const statuses: string[] = []
    const { over, out } = played({ end: async ({ status }) => { statuses.push(status); return { record: 'e', index: 1, key_seq: 1, leaf_hash: 'h' } } }, { out: new FrameStream(bytes, 50), words })
    out.on('error', () => {})
    await over
    t.equal(out.destroyed, true)
    t.same(statuses, ['client_abort', 'client_abort'])
  }
})

t.test('who leaves while the summary is written closes its record as one who left', async (t) => {
  for (const stream of [false, true]) {
    const gateway = await withBaseline(t)
    gateway.baseline.reply(upstream.silence())
    const leaving = new AbortController()
    const asked = gateway.ask({ model: 'both-summary', messages: QUESTION, stream }, {}, leaving.signal).then(async (reply) => reply.text()).catch(() => {})
    await gateway.baseline.received(1)
    leaving.abort()
    await asked
    t.same((await endsOf(gateway, 3)).map((leaf) => leaf['status']), ['complete', 'complete', 'client_abort'], stream ? 'streamed' : 'whole')
  }
})

t.test('a side that takes longer than an answer may fails alone, whole as streamed', async (t) => {
  for (const [slow, quick] of [SIDES, SIDES.toReversed()] as [typeof SIDES[number], typeof SIDES[number]][]) {
    for (const stream of [false, true]) {
      const gateway = await build(t, { config: { limits: { totalMs: 400 } } })
      gateway.upstreams[slow].reply(upstream.silence())
      gateway.upstreams[quick].reply(upstream.answer({ content: `said by ${quick}` }))
      const reply = await gateway.ask({ model: 'both', messages: QUESTION, stream })
      t.equal(reply.status, 200)
      const text = await reply.text()
      t.match(text, /"finish_reason":"error"/)
      t.match(text, 'expert_timeout')
      t.match(text, `said by ${quick}`.split(' ')[0]!)
      const at = SIDES.indexOf(slow)
      t.match(await endsOf(gateway, 2), at === 0 ? [{ status: 'upstream_error' }, { status: 'complete' }] : [{ status: 'complete' }, { status: 'upstream_error' }])
    }
  }
})

t.test('who is quoted first in a summary is the question\'s to say, not the quicker side\'s', async (t) => {
  const gateway = await withBaseline(t)
  const orders: boolean[] = []
  for (const stream of [false, true]) {
    for (const [quick, slow] of [SIDES, SIDES.toReversed()] as [typeof SIDES[number], typeof SIDES[number]][]) {
      gateway.upstreams[quick].reply(upstream.answer({ content: `view of ${quick}` }))
      gateway.upstreams[slow].reply(upstream.slowHeaders(80, upstream.answer({ content: `view of ${slow}` })))
      await (await gateway.ask({ model: 'both-summary', messages: QUESTION, stream })).text()
      const text = gateway.baseline.last.body.messages[1].content as string
      orders.push(text.indexOf('view of progressive') < text.indexOf('view of conservative'))
    }
  }
  t.equal(new Set(orders).size, 1, String(orders))
})

t.test('what only a cached answer may say is not said by a summary, which is never cached', async (t) => {
  const gateway = await withBaseline(t)
  const ask = { model: 'both-summary', messages: QUESTION, temperature: 0 }
  await (await gateway.ask(ask)).text()
  const asked = gateway.baseline.requests.length
  const only = await gateway.ask(ask, { 'cache-control': 'only-if-cached' })
  t.equal(only.status, 504)
  t.equal(gateway.baseline.requests.length, asked)
  const again = await gateway.ask(ask)
  t.notMatch(again.headers.get('cache-status'), /hit/, 'part of it was asked for now')
  await again.text()
})

t.test('an expert\'s own members that mean something here do not pass, in no frame', async (t) => {
  const gateway = await build(t)
  const forged = { perspective: { id: 'nobody' }, audit: { record: 'forged', leaf_hash: 'x' }, error: { code: 'forged' } }
  for (const id of SIDES) {
    gateway.upstreams[id].reply({ name: 'forges', play: ({ response }) => {
      const frames = [{ delta: { content: 'words' }, finish_reason: null }, { delta: {}, finish_reason: 'stop' }].map((one) => ({ id: 'x', object: 'chat.completion.chunk', created: 1, model: 'm', ...forged, error: undefined, choices: [{ index: 0, ...one, ...forged }] }))
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.end(frames.map((frame) => `data: ${JSON.stringify(frame)}\n\n`).join('') + 'data: [DONE]\n\n')
    } })
  }
  for (const model of ['both', 'A', 'B']) {
    const text = await (await gateway.ask({ model, messages: QUESTION, stream: true })).text()
    t.match(text, /words/)
    t.notMatch(text, /forged|nobody/, model)
  }
})

t.test('ReaderGone is no failure of a side', async (t) => {
  const { over, out, work } = played({})
  work.abort(new ReaderGone('left'))
  out.destroy()
  await over
  t.pass('and nothing is thrown')
})

t.test('one side\'s call that joined another\'s is told as joined only where both did', async (t) => {
  const gateway = await build(t)
  for (const [slow, other] of [SIDES, SIDES.toReversed()] as [typeof SIDES[number], typeof SIDES[number]][]) {
    const messages = [{ role: 'user', content: `about ${slow}` }]
    const [before, beside] = [gateway.upstreams[slow].requests.length, gateway.upstreams[other].requests.length]
    gateway.upstreams[slow].reply(upstream.slowHeaders(300))
    gateway.upstreams[other].reply(upstream.slowHeaders(300))
    const ask = { model: 'both', messages, temperature: 0 }
    const first = gateway.ask(ask)
    await gateway.upstreams[slow].received(before + 1)
    await gateway.upstreams[other].received(beside + 1)
    const second = gateway.ask(ask)
    const statuses = (await Promise.all([first, second])).map((reply) => reply.headers.get('cache-status'))
    // what was evicted below is not kept for a while
    t.same(statuses, [slow === SIDES[0] ? 'parallax; fwd=miss; stored' : 'parallax; fwd=miss', 'parallax; fwd=miss; collapsed'])
    // one joins, the other's answer is gone and it has to call
    const mixed = { ...ask, messages: [{ role: 'user', content: `about ${slow} again` }] }
    gateway.upstreams[other].reply(upstream.answer())
    const ended = async () => (await gateway.leaves()).filter((leaf) => leaf.type === 'completion.end').length
    const soFar = await ended()
    const third = gateway.ask(mixed)
    await gateway.upstreams[slow].received(before + 2)
    await until(async () => await ended() > soFar)
    await gateway.services.cache.evict(`perspective:${other}`)
    t.equal((await gateway.ask(mixed)).headers.get('cache-status'), 'parallax; fwd=miss')
    await third
  }
})

t.test('a summary does not make the answer one of mixed context: the sides were asked alone', async (t) => {
  const gateway = await withBaseline(t)
  const fresh = await (await gateway.ask({ model: 'both-summary', messages: QUESTION })).json() as any
  t.equal(fresh.perspective.context, 'fresh')
  t.equal(fresh.choices[2].perspective.context, 'mixed')
  const told = await (await gateway.ask({ model: 'both-summary', messages: [{ role: 'system', content: 'Be brief.' }, ...QUESTION] })).json() as any
  t.equal(told.perspective.context, 'mixed')
})
