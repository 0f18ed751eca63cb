import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { FrameStream } from '../../src/chat/frame-stream.ts'
import { keeping } from '../../src/idempotency/keeping.ts'
import { memoryIdempotency } from '../../src/idempotency/memory.ts'
import { isNew } from '../contracts/idempotency.ts'
import { until } from '../helper.ts'

const DONE = 'data: [DONE]\n\n'
const facts = () => ({ record: 'r', about: { id: 'progressive' } })

async function claimed () {
  const store = memoryIdempotency({ ttlMs: 60_000, bytes: 64 * 1024 * 1024 })
  const claim = isNew(await store.claim('t', 'k', 'f'))
  const free = async () => {
    const again = await store.claim('t', 'k', 'f').catch(() => null)
    if (again?.kind !== 'new') return false
    await again.release()
    return true
  }
  return { store, claim, free, kept: async () => { const again = await store.claim('t', 'k', 'f'); return again.kind === 'replay' ? again.reply : null } }
}

const streamed = async (claim: Parameters<typeof keeping>[0], stream: Readable, known: Parameters<typeof keeping>[2] = facts) => {
  const reply = await keeping(claim, async () => ({ kind: 'stream', stream }), known)
  if (reply.kind !== 'stream') throw new Error('wanted a stream')
  return reply.stream
}

t.test('a JSON answer is kept before it leaves', async (t) => {
  const { claim, kept } = await claimed()
  t.same(await keeping(claim, async () => ({ kind: 'json', text: '{"a":1}' }), facts), { kind: 'json', text: '{"a":1}' })
  t.same(await kept(), { kind: 'json', body: '{"a":1}', ...facts() })
})

t.test('an answer that fails, or is not to be kept, leaves the key free', async (t) => {
  const failed = await claimed()
  await t.rejects(keeping(failed.claim, async () => { throw new Error('the expert broke') }, facts), /the expert broke/)
  t.ok(await failed.free())
  const partial = await claimed()
  await keeping(partial.claim, async () => ({ kind: 'json', text: '{}' }), () => null)
  t.ok(await partial.free())
})

t.test('a stream passes frame by frame and is kept before its last frame leaves', async (t) => {
  const { claim, kept } = await claimed()
  const out = new FrameStream(65_536, 60_000)
  const stream = await streamed(claim, out)
  const seen: string[] = []
  stream.on('data', (frame: Buffer) => {
    seen.push(frame.toString())
    if (frame.toString().endsWith(DONE)) void kept().then((reply) => { seen.push(`kept ${reply?.body === seen[0]! + seen[1]! + seen[2]!}`) })
  })
  await out.write(Buffer.from('data: {"n":1}\n\n'))
  await until(() => seen.length === 1)
  await out.write(Buffer.from('data: {"n":"né"}\n\n'))
  await until(() => seen.length === 2)
  await out.write(Buffer.from(`data: {"n":3}\n\n${DONE}`))
  out.end()
  await until(() => seen.length === 4)
  t.same(seen.slice(3), ['kept true'])
  t.match(await kept(), { kind: 'stream', record: 'r' })
})

t.test('a stream that broke, ended without its end, or was left by its reader is not kept, and the key is free', async (t) => {
  const broken = await claimed()
  t.match(await text(await streamed(broken.claim, Readable.from([Buffer.from('data: {"error":{}}\n\n')]))), /error/)
  t.ok(await until(broken.free))

  const left = await claimed()
  const out = new FrameStream(65_536, 60_000)
  const stream = await streamed(left.claim, out)
  await out.write(Buffer.from('data: {"n":1}\n\n'))
  t.notOk(await left.free(), 'still being answered')
  stream.destroy()
  t.ok(await until(left.free))
  t.ok(out.destroyed, 'who writes it learns that the reader has gone')
})

t.test('a stream too large to be kept passes whole', async (t) => {
  const { claim, free } = await claimed()
  const frames = [...Array.from({ length: 50 }, () => Buffer.alloc(100_000, 'x')), Buffer.from(DONE)]
  t.equal((await text(await streamed(claim, Readable.from(frames)))).length, 5_000_000 + DONE.length)
  t.ok(await until(free))
})

t.test('a slow reader is not run ahead of', async (t) => {
  const { claim } = await claimed()
  const out = new FrameStream(1000, 60_000)
  const stream = await streamed(claim, out)
  let written = 0
  void (async () => { for (; written < 100; written++) await out.write(Buffer.alloc(500, 'x')) })().catch(() => {})
  await new Promise((resolve) => setTimeout(resolve, 50))
  t.ok(written < 10, `${written} frames of 500 bytes wait for a reader that takes none`)
  stream.resume()
  await until(() => written === 100)
})
