/** The promise of Flights, for one process and for replicas that share a store. */
import type { Test } from 'tap'
import type { Ask, Cache, Flights, Flown } from '../../src/cache/cache.ts'
import { LAG_CHARS, REPLAY_CHARS } from '../../src/cache/flight.ts'
import { choicesOf } from '../../src/completion/completion.ts'
import type { Wire } from '../../src/experts/expert.ts'
import { keyOf } from './cache.ts'

export interface Replica { readonly cache: Cache, readonly flights: Flights }

export const never = new AbortController().signal

export const ask = (name: string, change: Partial<Ask> = {}): Ask => ({ key: keyOf(name), tags: ['perspective:progressive'], ttlSeconds: 60, ...change })

export const whole = (content: string, finish: string | null = 'stop'): Wire => ({ choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: finish }], usage: { total_tokens: 3 } })

const delta = (content: string): Wire => ({ choices: [{ index: 0, delta: { content }, finish_reason: null }] })
const FINISH: Wire = { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }

export const contentOf = (completion: Wire): unknown => choicesOf(completion)[0]?.message?.['content']

export async function textOf (chunks: AsyncIterable<Wire[]>): Promise<string> {
  let text = ''
  for await (const batch of chunks) for (const chunk of batch) for (const { delta: part } of choicesOf(chunk)) text += typeof part?.['content'] === 'string' ? part['content'] : ''
  return text
}

export function called<T> (flown: Flown<T>): Extract<Flown<T>, { called: T }> {
  if ('cached' in flown) throw new Error('wanted a call of now, came a kept answer')
  return flown
}

/** An upstream whose chunks come when the test says so. */
export function upstream () {
  const chunks: Wire[] = []
  let wake = (): void => {}
  let end: { readonly failure?: Error } | undefined
  const seen = { calls: 0, pulled: 0, aborted: undefined as unknown }
  return {
    seen,
    send (...contents: string[]) { chunks.push(...contents.map(delta)); wake() },
    finish () { chunks.push(FINISH); end = {}; wake() },
    stop () { end = {}; wake() },
    fail (failure: Error) { end = { failure }; wake() },
    call: async (signal: AbortSignal): Promise<AsyncIterable<Wire[]>> => {
      seen.calls++
      signal.addEventListener('abort', () => { seen.aborted = signal.reason; wake() })
      return (async function * () {
        for (;;) {
          if (signal.aborted) throw signal.reason
          const next = chunks.shift()
          if (next) { seen.pulled++; yield [next] } else if (end) { if (end.failure) throw end.failure; return } else await new Promise<void>((resolve) => { wake = resolve })
        }
      })()
    },
  }
}

export const soon = (ms = 20): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** `make` gives one replica with a store of its own. */
export function flightsContract (t: Test, make: (t: Test) => Promise<Replica>): void {
  t.test('two hundred who ask the same at once are one call and two hundred equal answers, kept once', async (t) => {
    const { cache, flights } = await make(t)
    let calls = 0
    const flown = await Promise.all(Array.from({ length: 200 }, (_, at) => flights.whole(ask('same', { record: `begin-${at}` }), async () => { calls++; await soon(); return whole('one') }, never)))
    t.equal(calls, 1)
    t.equal(flown.filter((one) => contentOf(called(one).called) === 'one').length, 200)
    t.equal(flown.filter((one) => called(one).shared).length, 199)
    t.equal(new Set(flown.map((one) => called(one).leader)).size, 1)
    t.equal(flown.filter((one, at) => called(one).keep(`end-${at}`)).length, 1)
    await soon()
    t.same((await cache.get(keyOf('same')))!.source, 'end-0')
    t.same((await cache.get(keyOf('same')))!.tags, ['perspective:progressive'])
    t.same(flights.counts(), { called: 1, collapsed: 199 })
  })

  t.test('another key is another call', async (t) => {
    const { flights } = await make(t)
    const [a, b] = await Promise.all(['a', 'b'].map((name) => flights.whole(ask(name), async () => whole(name), never)))
    t.equal(contentOf(called(a!).called), 'a')
    t.equal(contentOf(called(b!).called), 'b')
  })

  t.test('who asks between the answer and its being kept still joins; who asks afterwards gets what was kept', async (t) => {
    const { flights } = await make(t)
    const first = called(await flights.whole(ask('k'), async () => whole('one'), never))
    const between = called(await flights.whole(ask('k'), async () => whole('two'), never))
    t.equal(between.shared, true)
    t.equal(contentOf(between.called), 'one')
    t.equal(first.keep('end'), true)
    await soon()
    const after = await flights.whole(ask('k'), async () => whole('three'), never)
    t.same('cached' in after && { source: after.cached.source, content: contentOf(after.cached.completion) }, { source: 'end', content: 'one' })
  })

  t.test('a kept answer that is too old for the asker is not given to it', async (t) => {
    const { flights } = await make(t)
    called(await flights.whole(ask('k'), async () => whole('old'), never)).keep('end')
    await soon()
    const flown = called(await flights.whole(ask('k', { usable: () => false }), async () => whole('new'), never))
    t.equal(contentOf(flown.called), 'new')
    t.equal(flown.keep('end 2'), true)
  })

  t.test('a failure is everybody\'s who joined, is not kept, and the next asker calls anew (appstrate 436)', async (t) => {
    const { cache, flights } = await make(t)
    let calls = 0
    const refuse = async (): Promise<Wire> => { calls++; await soon(); throw new Error('429') }
    const all = await Promise.allSettled(Array.from({ length: 5 }, () => flights.whole(ask('k'), refuse, never)))
    t.same(all.map((one) => one.status === 'rejected' && (one.reason as Error).message), Array.from({ length: 5 }, () => '429'))
    t.equal(calls, 1)
    t.equal(await cache.get(keyOf('k')), undefined)
    const next = called(await flights.whole(ask('k'), async () => { calls++; return whole('recovered') }, never))
    t.equal(contentOf(next.called), 'recovered')
    t.equal(calls, 2)
  })

  t.test('an answer without a finish_reason is given and not kept, and the next asker calls anew', async (t) => {
    const { cache, flights } = await make(t)
    const cut = called(await flights.whole(ask('k'), async () => whole('cut', null), never))
    t.equal(cut.keep('end'), false)
    t.equal(await cache.get(keyOf('k')), undefined)
    t.equal(called(await flights.whole(ask('k'), async () => whole('whole'), never)).shared, false)
  })

  t.test('who joins a stream late gets it from its first chunk, and a slow reader slows nobody', async (t) => {
    const { flights } = await make(t)
    const from = upstream()
    const leader = called(await flights.stream(ask('k'), from.call, never))
    from.send('a', 'b')
    const slow = called(await flights.stream(ask('k'), from.call, never)).called[Symbol.asyncIterator]()
    const reading = textOf(leader.called)
    await soon()
    const late = called(await flights.stream(ask('k'), from.call, never))
    t.equal(late.shared, true)
    from.send('c')
    from.finish()
    t.equal(await reading, 'abc')
    const pieces: unknown[] = []
    for await (const batch of late.called) pieces.push(...batch.flatMap(choicesOf).map(({ delta, finish_reason: end }) => delta?.['content'] ?? end))
    t.same(pieces.slice(0, 2), ['ab', 'c'], 'what had been read is not held piece by piece')
    t.equal(pieces.filter((piece) => piece === 'stop').length, 1)
    t.equal(await textOf({ [Symbol.asyncIterator]: () => slow }), 'abc')
    t.equal(from.seen.calls, 1)
    t.equal(late.keep('late end'), true)
    t.equal(leader.keep('leader end'), false)
    await soon()
    const kept = await flights.whole(ask('k'), async () => whole('never'), never)
    t.equal('cached' in kept && contentOf(kept.cached.completion), 'abc')
  })

  t.test('JSON and stream askers share one call, whichever came first', async (t) => {
    const { flights } = await make(t)
    const from = upstream()
    const streaming = called(await flights.stream(ask('s'), from.call, never))
    const json = flights.whole(ask('s'), async () => whole('second call'), never)
    from.send('a', 'b')
    from.finish()
    t.equal(contentOf(called(await json).called), 'ab')
    t.equal(await textOf(streaming.called), 'ab')
    const first = flights.whole(ask('w'), async () => { await soon(); return whole('cd') }, never)
    const joined = called(await flights.stream(ask('w'), from.call, never))
    t.equal(await textOf(joined.called), 'cd')
    t.equal(called(await first).shared, false)
    t.equal(joined.shared, true)
    t.equal(from.seen.calls, 1)
  })

  t.test('who leaves takes only itself, the leader too; the call goes on for the others', async (t) => {
    const { flights } = await make(t)
    const [one, two] = [new AbortController(), new AbortController()]
    const from = upstream()
    const leader = called(await flights.stream(ask('k'), from.call, one.signal))
    const other = called(await flights.stream(ask('k'), from.call, two.signal))
    const json = flights.whole(ask('k'), async () => whole('second call'), never)
    from.send('a')
    const broken = textOf(leader.called)
    const reading = textOf(other.called)
    await soon()
    one.abort(new Error('gone'))
    await t.rejects(broken, { message: 'gone' })
    t.equal(from.seen.aborted, undefined)
    from.send('b')
    from.finish()
    t.equal(await reading, 'ab')
    t.equal(contentOf(called(await json).called), 'ab')
    t.equal(other.keep('end'), true)
  })

  t.test('the last who leaves ends the upstream call at once, and the next asker calls anew', async (t) => {
    const { flights } = await make(t)
    const [one, two] = [new AbortController(), new AbortController()]
    let aborted: unknown
    const hang = (signal: AbortSignal): Promise<Wire> => new Promise((_resolve, reject) => { signal.addEventListener('abort', () => { aborted = signal.reason; reject(signal.reason as Error) }) })
    const asked = [flights.whole(ask('k'), hang, one.signal), flights.whole(ask('k'), hang, two.signal)]
    await soon()
    one.abort(new Error('first'))
    await t.rejects(asked[0]!, { message: 'first' })
    t.equal(aborted, undefined)
    two.abort(new Error('last'))
    await t.rejects(asked[1]!, { message: 'last' })
    t.match(aborted, { message: 'last' })
    t.equal(called(await flights.whole(ask('k'), async () => whole('anew'), never)).shared, false)
  })

  t.test('a stream whose only reader stops reading, or leaves before it reads, is ended', async (t) => {
    const { flights } = await make(t)
    const [from, unread] = [upstream(), upstream()]
    const leaving = new AbortController()
    from.send('a', 'b')
    for await (const batch of called(await flights.stream(ask('k'), from.call, never)).called) { t.equal(batch.length, 1); break }
    await soon()
    t.match(from.seen.aborted, { message: 'The reader has left.' })
    await flights.stream(ask('u'), unread.call, leaving.signal)
    leaving.abort(new Error('left'))
    await soon()
    t.match(unread.seen.aborted, { message: 'left' })
    await t.rejects(flights.stream(ask('u'), unread.call, leaving.signal), { message: 'left' })
  })

  t.test('a stream that breaks breaks for all who joined, after what had come; one that ends without its finish is not kept', async (t) => {
    const { flights } = await make(t)
    const from = upstream()
    const [one, two] = [called(await flights.stream(ask('k'), from.call, never)), called(await flights.stream(ask('k'), from.call, never))]
    const json = flights.whole(ask('k'), async () => whole('second call'), never)
    json.catch(() => {})
    from.send('a')
    from.fail(new Error('died'))
    for (const flown of [one, two]) {
      const steps = flown.called[Symbol.asyncIterator]()
      t.match((await steps.next()).value, [{ choices: [{ delta: { content: 'a' } }] }])
      await t.rejects(steps.next(), { message: 'died' })
    }
    await t.rejects(json, { message: 'died' })
    const cut = upstream()
    const short = called(await flights.stream(ask('k'), cut.call, never))
    t.equal(short.shared, false)
    const gathering = flights.whole(ask('k'), async () => whole('second call'), never)
    cut.send('half')
    cut.stop()
    t.equal(await textOf(short.called), 'half')
    await t.rejects(gathering, { code: 'expert_failed' })
    t.equal(short.keep('end'), false)
    t.equal(called(await flights.stream(ask('k'), upstream().call, never)).shared, false)
  })

  t.test('the fastest reader waits for one that is far behind, and goes on when that one leaves', async (t) => {
    const { flights } = await make(t)
    const from = upstream()
    const leaving = new AbortController()
    const fast = called(await flights.stream(ask('k'), from.call, never))
    await flights.stream(ask('k'), from.call, leaving.signal)
    const part = 'x'.repeat(LAG_CHARS / 8)
    from.send(...Array.from({ length: 30 }, () => part))
    from.finish()
    const reading = textOf(fast.called)
    await soon(50)
    t.ok(from.seen.pulled >= 8 && from.seen.pulled <= 10, `${from.seen.pulled} chunks were held`)
    leaving.abort(new Error('too slow'))
    t.equal((await reading).length, 30 * part.length)
  })

  t.test('a stream that is too long to be held is given to those aboard, not to late joiners, and not kept', async (t) => {
    const { flights } = await make(t)
    const from = upstream()
    const reader = called(await flights.stream(ask('k'), from.call, never))
    const part = 'x'.repeat(REPLAY_CHARS / 4)
    from.send(part, part, part, part, part)
    const reading = textOf(reader.called)
    await soon(50)
    const other = upstream()
    const late = flights.stream(ask('k'), other.call, AbortSignal.timeout(400))
    late.catch(() => {})
    from.finish()
    t.equal((await reading).length, 5 * part.length)
    t.equal(reader.keep('end'), false)
    await late
    t.equal(other.seen.calls, 1)
  })
}
