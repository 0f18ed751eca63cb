/** An upstream's stream as it is read by our own handler: real connections, what a stream may do wrong, and who is held back. */
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { ParallaxError } from '../../src/errors.ts'
import { Transport } from '../../src/experts/transport.ts'
import type { Wire } from '../../src/experts/expert.ts'
import { temporary, until } from '../helper.ts'

const never = new AbortController().signal
const piece = (content: string): string => `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`
const DONE = 'data: [DONE]\n\n'
const said = (batches: readonly Wire[][]): string => batches.flat().map((chunk) => (chunk['choices'] as { delta: { content: string } }[])[0]!.delta.content).join('')

interface Asked { readonly response: ServerResponse, closed: boolean }

async function serve (t: Test, answer: (response: ServerResponse, number: number) => void, limits: Partial<{ answerBytes: number, firstChunkMs: number, chunkGapMs: number }> = {}): Promise<{ transport: Transport, asked: Asked[], sockets: Set<unknown> }> {
  const asked: Asked[] = []
  const sockets = new Set<unknown>()
  const server = createServer((_request, response) => {
    const one: Asked = { response, closed: false }
    asked.push(one)
    response.on('close', () => { one.closed = true })
    answer(response, asked.length)
  })
  server.on('connection', (socket) => sockets.add(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const transport = new Transport({ baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, apiKey: 'key-of-ours', limits: { answerBytes: 1 << 20, firstChunkMs: 5000, chunkGapMs: 5000, ...limits } })
  t.teardown(async () => {
    await transport.close()
    server.closeAllConnections()
    server.close()
  })
  return { transport, asked, sockets }
}

const open = (response: ServerResponse): void => { response.writeHead(200, { 'content-type': 'text/event-stream' }) }

async function all (stream: AsyncIterable<Wire[]>, into: Wire[][] = []): Promise<Wire[][]> {
  for await (const batch of stream) into.push(batch)
  return into
}

t.test('what one read brings is one batch, whatever the parts; the connection is used again', async (t) => {
  const { transport, sockets } = await serve(t, (response) => {
    open(response)
    response.cork()
    // each a chunk of HTTP of its own, one of them torn
    for (const text of ['a', 'b', 'c']) response.write(piece(text))
    response.write(piece('d').slice(0, 20))
    response.write(piece('d').slice(20) + DONE)
    response.uncork()
    response.end()
  })
  for (let call = 0; call < 6; call++) {
    const batches = await all(await transport.events('/x', {}, never))
    t.equal(said(batches), 'abcd')
    t.ok(batches.length <= 2, `${batches.length} batches`)
  }
  t.ok(sockets.size <= 2, 'the end is told when [DONE] is read, perhaps before the connection is free')
})

t.test('a reader who does not read holds the upstream back, and loses nothing when it reads', async (t) => {
  const text = 'x'.repeat(8192)
  let written = 0
  const { transport } = await serve(t, (response) => {
    open(response)
    void (async () => {
      for (; written < 4000; written++) if (!response.write(piece(String(written).padStart(6, '0') + text))) await once(response, 'drain')
      response.end(DONE)
    })()
  })
  const stream = await transport.events('/x', {}, never)
  const iterator = stream[Symbol.asyncIterator]()
  await iterator.next()
  await sleep(500)
  const held = written
  await sleep(200)
  t.equal(written, held, 'it stands still')
  t.ok(held < 3000, `after ${held} of 4000, the most of it in the sockets' own buffers`)
  const rest = await all({ [Symbol.asyncIterator]: () => iterator })
  t.equal(written, 4000)
  const numbers = rest.flat().map((chunk) => Number(said([[chunk]]).slice(0, 6)))
  t.same(numbers, Array.from({ length: numbers.length }, (_, at) => 4000 - numbers.length + at))
})

t.test('what came before a failure is given first', async (t) => {
  const endings: [string, (response: ServerResponse) => void, RegExp][] = [
    ['a broken connection', (response) => { response.socket!.destroy() }, /broke before its answer was whole/],
    ['no chunk', (response) => { response.write('data: {not json\n\n') }, /not a chunk/],
    ['broken UTF-8', (response) => { response.write(Buffer.from([0x64, 0xff, 0xfe])) }, /not valid UTF-8/],
    ['an error frame', (response) => { response.write('data: {"error":{"message":"no"}}\n\n') }, /broke off with an error of its own|no/],
    ['silence', () => {}, /stopped in the middle/],
  ]
  for (const [name, ending, words] of endings) {
    const { transport, asked } = await serve(t, (response) => {
      open(response)
      response.write(piece('a'))
      setTimeout(() => { ending(response) }, 50)
    }, { chunkGapMs: 1000 })
    const got: Wire[][] = []
    const stream = await transport.events('/x', {}, never)
    await t.rejects(all(stream, got), { message: words }, name)
    t.equal(said(got), 'a', name)
    t.same(await stream[Symbol.asyncIterator]().next(), { done: true, value: undefined }, 'told once')
    t.ok(await until(() => asked[0]!.closed), `${name}: the upstream does not go on`)
  }
})

t.test('refusals, other content, and ends without an answer reject with what they mean, and nothing of the address', async (t) => {
  const answers: ((response: ServerResponse) => void)[] = [
    (response) => { response.writeHead(503, { 'retry-after': '7' }).end('{"error":{"message":"busy at http://secret.example"}}') },
    (response) => { response.writeHead(400).write('{"error":{"message":"too much"}}'); response.end() },
    (response) => { response.writeHead(200, { 'content-type': 'application/json' }).end('{}') },
    (response) => { response.writeHead(500); setInterval(() => response.write('x'.repeat(60_000)), 1).unref() },
    (response) => { response.socket!.destroy() },
  ]
  const { transport, asked } = await serve(t, (response, number) => { answers[number - 1]!(response) })
  const failed = async (): Promise<ParallaxError> => transport.events('/x', {}, never).then(() => { throw new Error('it was accepted') }, (error: unknown) => error as ParallaxError)
  const [busy, refused, other, endless, broken] = [await failed(), await failed(), await failed(), await failed(), await failed()]
  t.match(busy, { code: 'expert_overloaded', retryAfter: 7 })
  t.notMatch(busy.message, /secret/)
  t.match(refused, { code: 'expert_rejected', message: /too much/ })
  t.match(other, { code: 'expert_failed', message: /something else/ })
  t.match(endless, { code: 'expert_failed', message: /status 500/ })
  t.match(broken, { code: 'expert_failed' })
  t.ok(await until(() => asked.every((one) => one.closed)), 'an endless refusal is cut')
})

t.test('leaving: by the signal before and after, by returning; an endless tail after [DONE] is cut', async (t) => {
  const { transport, asked } = await serve(t, (response, number) => {
    if (number === 1) return
    open(response)
    response.write(piece('a'))
    if (number === 4) {
      response.write(DONE)
      const timer = setInterval(() => response.write('x'.repeat(10_000)), 1)
      response.on('close', () => { clearInterval(timer) })
    }
  })
  const reason = new Error('the client has left')
  const before = new AbortController()
  const waiting = transport.events('/x', {}, before.signal)
  await until(() => asked.length === 1)
  before.abort(reason)
  await t.rejects(waiting, reason)
  await t.rejects(transport.events('/x', {}, before.signal), reason)
  t.equal(asked.length, 1, 'who has left asks nobody')

  const after = new AbortController()
  const iterator = (await transport.events('/x', {}, after.signal))[Symbol.asyncIterator]()
  await iterator.next()
  const next = iterator.next()
  after.abort(reason)
  await t.rejects(next, reason)

  for await (const batch of await transport.events('/x', {}, never)) { t.equal(said([batch]), 'a'); break }
  t.equal(said(await all(await transport.events('/x', {}, never))), 'a')
  t.ok(await until(() => asked.length === 4 && asked.every((one) => one.closed)), 'no upstream goes on')
})

t.test('an address is taken out of an upstream\'s sentence, and a word that only is a host\'s name is not', async (t) => {
  let sentence = ''
  const server = createServer((_request, response) => { response.writeHead(400).end(JSON.stringify({ error: { message: sentence, code: 'unsupported_parameter' } })) })
  const socketPath = join(temporary(t), 'engine.sock')
  server.listen(socketPath)
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  for (const [host, message, told] of [
    ['engine', 'The embedded engine cannot do what "tools" asks for.', 'The embedded engine cannot do what "tools" asks for.'],
    ['engine:8080', 'The engine behind http://engine:8080/v1 cannot.', 'The engine behind … cannot.'],
  ] as const) {
    sentence = message
    const transport = new Transport({ baseUrl: `http://${host}/v1`, socketPath, limits: { answerBytes: 1 << 20, firstChunkMs: 5000, chunkGapMs: 5000 } })
    t.teardown(() => transport.close())
    await t.rejects(transport.json('/chat/completions', {}, never), { message: told })
    await t.rejects(transport.events('/chat/completions', {}, never), { message: told })
  }
  const tcp = createServer((_request, response) => { response.writeHead(400).end(JSON.stringify({ error: { message: `no model at localhost:${(tcp.address() as AddressInfo).port}; a localhost model is wanted` } })) })
  tcp.listen(0, 'localhost')
  await once(tcp, 'listening')
  const transport = new Transport({ baseUrl: `http://localhost:${(tcp.address() as AddressInfo).port}/v1`, limits: { answerBytes: 1 << 20, firstChunkMs: 5000, chunkGapMs: 5000 } })
  t.teardown(async () => {
    await transport.close()
    tcp.close()
  })
  await t.rejects(transport.json('/chat/completions', {}, never), { message: /no model at …; a localhost model is wanted/ })
})
