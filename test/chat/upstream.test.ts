import t from 'tap'
import * as upstream from '../fixtures/upstream.ts'
import { build, events, QUESTION, until, type Built } from '../helper.ts'

const whole = { model: 'progressive', messages: QUESTION }
const streamed = { ...whole, stream: true }
const LIMITS = { limits: { firstChunkMs: 400, chunkGapMs: 400 } }

const lastEnd = async (gateway: Built) => (await gateway.leaves()).findLast((leaf) => leaf.type === 'completion.end')

/** Nobody else was asked instead. */
const onlyOne = (t: any, gateway: Built): void => { t.equal(gateway.upstreams.conservative.requests.length, 0, 'the other side was not asked') }

const KEPT: [string, upstream.Behaviour, number, string][] = [
  ['a bad request stays the caller\'s', upstream.badRequest(), 400, 'expert_rejected'],
  ['a rate limit stays 429', upstream.rateLimited('17'), 429, 'expert_rate_limited'],
  ['refused credentials are ours, not the caller\'s', upstream.unauthorized(), 502, 'expert_failed'],
  ['a full queue stays 503', upstream.unavailable(), 503, 'expert_overloaded'],
  ['an HTML error page is a bad gateway', upstream.htmlError(500), 502, 'expert_failed'],
  ['a context that is too small stays 400, with the numbers', upstream.contextExceeded(5000, 2048), 400, 'context_length_exceeded'],
  ['garbage is a bad gateway', upstream.garbage('text'), 502, 'expert_failed'],
  ['a connection that is cut at once is a bad gateway', upstream.resets(), 502, 'expert_failed'],
  ['silence is a time-out', upstream.silence(), 504, 'expert_timeout'],
]

for (const [name, behaviour, status, code] of KEPT) {
  t.test(`${name}, whole and streamed, and is on record`, async (t) => {
    const gateway = await build(t, { config: LIMITS })
    gateway.upstreams.progressive.reply(behaviour)
    for (const body of [whole, streamed]) {
      const reply = await gateway.ask(body)
      t.equal(reply.status, status)
      const { error } = await reply.json() as any
      t.equal(error.code, code)
      t.notMatch(JSON.stringify(error), /127\.0\.0\.1|upstream-secret|sk-mock|localhost/, 'neither host nor key leaks')
      if (status === 429) t.equal(reply.headers.get('retry-after'), '17')
      if (code === 'context_length_exceeded') t.match(error, { n_prompt_tokens: 5000, n_ctx: 2048, param: 'messages' })
      t.match(reply.headers.get('perspective'), /^progressive;/)
      t.equal(reply.headers.get('ai-disclosure'), 'mode=none')
      t.ok(reply.headers.get('x-audit-record'))
      t.match(await lastEnd(gateway), { status: 'upstream_error', error: code })
    }
    onlyOne(t, gateway)
  })
}

t.test('every kind of garbage in the place of a JSON answer is a bad gateway', async (t) => {
  const gateway = await build(t)
  for (const behaviour of [upstream.garbage('html'), upstream.garbage('binary'), upstream.halfJson(), upstream.emptyChoices(), upstream.invalidUtf8()]) {
    gateway.upstreams.progressive.reply(behaviour)
    const reply = await gateway.ask(whole)
    t.equal(reply.status, 502, behaviour.name)
    t.equal((await reply.json() as any).error.code, 'expert_failed')
  }
  onlyOne(t, gateway)
})

const BREAKS: [string, upstream.Behaviour, string][] = [
  ['half a frame and a cut', upstream.halfFrame(), 'expert_failed'],
  ['a clean end without a finish (bifrost 5546)', upstream.stopsUnfinished(), 'expert_failed'],
  ['an error frame', upstream.errorFrame(), 'expert_failed'],
  ['a frame that is not JSON', upstream.garbageFrame(), 'expert_failed'],
  ['invalid UTF-8', upstream.invalidUtf8(), 'expert_failed'],
  ['a stall', upstream.stalls(), 'expert_timeout'],
]

for (const [name, behaviour, code] of BREAKS) {
  t.test(`a stream that breaks by ${name} ends with an error and never with [DONE]`, async (t) => {
    const gateway = await build(t, { config: LIMITS })
    gateway.upstreams.progressive.reply(behaviour)
    const reply = await gateway.ask(streamed)
    t.equal(reply.status, 200)
    const text = await reply.clone().text()
    const chunks = await events(reply)
    t.notOk(chunks.includes('[DONE]'))
    t.equal(chunks.at(-1).error.code, code)
    t.notOk(chunks.some((chunk) => chunk.audit), 'no receipt for what is not whole')
    t.notMatch(text, /10\.0\.0\.7/, 'the upstream\'s address does not leak')
    const end = await lastEnd(gateway)
    t.match(end, { status: 'upstream_error', error: code })
    const record = await gateway.audit(`/audit/v1/records/${reply.headers.get('x-audit-record')}`)
    t.equal(text.replace(/^: parallax\n\n/, ''), record.ends[0].payload.text, 'what was sent is what is on record')
    onlyOne(t, gateway)
  })
}

t.test('every lawful framing of a stream gives the same answer', async (t) => {
  const gateway = await build(t)
  for (const framing of ['plain', 'crlf', 'comments', 'multi-line', 'byte-by-byte', 'one-write'] as const) {
    gateway.upstreams.progressive.reply(upstream.stream({ framing }))
    const chunks = await events(await gateway.ask(streamed))
    t.equal(chunks.flatMap((chunk) => chunk.choices ?? []).map((choice) => choice.delta.content ?? '').join(''), upstream.CONTENT, framing)
    t.equal(chunks.at(-1), '[DONE]')
  }
  for (const done of [0, 2] as const) {
    gateway.upstreams.progressive.reply(upstream.stream({ done }))
    t.equal((await events(await gateway.ask(streamed))).filter((chunk) => chunk === '[DONE]').length, 1, `${done} [DONE] from the expert`)
  }
})

t.test('a single frame of 5 MB passes, and one beyond the limit breaks the stream', async (t) => {
  const gateway = await build(t, { config: { limits: { answerBytes: 8 * 1024 * 1024 } } })
  gateway.upstreams.progressive.reply(upstream.longFrame(5 * 1024 * 1024))
  t.equal((await events(await gateway.ask(streamed))).at(-1), '[DONE]')
  gateway.upstreams.progressive.reply(upstream.longFrame(20 * 1024 * 1024))
  t.equal((await events(await gateway.ask(streamed))).at(-1).error.code, 'expert_failed')
})

t.test('a client that leaves a stream ends the upstream call within a second, and its record closes with what had been sent (bifrost 3003, 3164)', async (t) => {
  const gateway = await build(t)
  gateway.upstreams.progressive.reply(upstream.endless(5))
  const leaving = new AbortController()
  const reply = await gateway.ask(streamed, {}, leaving.signal)
  const reader = reply.body!.getReader()
  let got = ''
  while (got.length < 2000) got += new TextDecoder().decode((await reader.read()).value)
  const left = Date.now()
  leaving.abort()
  const { last } = gateway.upstreams.progressive
  await until(() => last.aborted)
  t.ok(last.abortedAt! - left < 1000, `${last.abortedAt! - left} ms`)
  const end = await until(async () => (await lastEnd(gateway)))
  t.match(end, { status: 'client_abort', error: 'client_abort' })
  const record = await gateway.audit(`/audit/v1/records/${reply.headers.get('x-audit-record')}`)
  t.ok(record.ends[0].payload.text.startsWith(got.replace(/^: parallax\n\n/, '')), 'the client\'s bytes are a prefix of the record\'s')
})

t.test('a client that leaves while it waits for a whole answer, or for the first chunk, is on record as such', async (t) => {
  const gateway = await build(t)
  gateway.upstreams.progressive.reply(upstream.silence())
  for (const body of [whole, streamed]) {
    const before = gateway.upstreams.progressive.requests.length
    const leaving = new AbortController()
    const asking = gateway.ask(body, {}, leaving.signal).catch((error: Error) => error.name)
    await gateway.upstreams.progressive.received(before + 1)
    leaving.abort()
    t.equal(await asking, 'AbortError')
    await until(() => gateway.upstreams.progressive.last.aborted)
    await until(async () => (await gateway.leaves()).filter((leaf) => leaf['status'] === 'client_abort').length === before + 1)
  }
})

t.test('an answer that takes too long altogether is broken off', async (t) => {
  const gateway = await build(t, { config: { limits: { totalMs: 500 } } })
  gateway.upstreams.progressive.reply(upstream.endless(5))
  const chunks = await events(await gateway.ask(streamed))
  t.equal(chunks.at(-1).error.code, 'expert_timeout')
  gateway.upstreams.progressive.reply(upstream.silence())
  t.equal((await gateway.ask(whole)).status, 504)
})

t.test('an expert that cannot be reached is 503, and the other perspective goes on', async (t) => {
  const gateway = await build(t)
  await gateway.upstreams.progressive.close()
  const reply = await gateway.ask(whole)
  t.equal(reply.status, 503)
  t.equal((await reply.json() as any).error.code, 'expert_unavailable')
  onlyOne(t, gateway)
  t.equal((await gateway.ask({ ...whole, model: 'conservative' })).status, 200)
})

t.test('a reader that takes nothing does not make the gateway hold the answer, and is let go after a while', async (t) => {
  const gateway = await build(t, { config: { limits: { readerBufferBytes: 16 * 1024, readerStallMs: 500 } } })
  gateway.upstreams.progressive.reply(upstream.endless(0, 'x'.repeat(64 * 1024)))
  const reply = await gateway.ask(streamed)
  await reply.body!.getReader().read()
  await until(async () => (await lastEnd(gateway))?.['status'] === 'client_abort', 15_000)
  t.ok(gateway.upstreams.progressive.last.aborted)
  t.ok((await lastEnd(gateway))!['bytes_sent'] < 64 * 1024 * 1024)
})
