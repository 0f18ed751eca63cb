import { connect } from 'node:net'
import { join } from 'node:path'
import { once } from 'node:events'
import type { Test } from 'tap'
import t from 'tap'
import type { Ending } from '../../src/engine/generate.ts'
import { serve, type Model } from '../../src/engine/server.ts'
import type { Job, Piece } from '../../src/engine/wire.ts'
import { temporary, until } from '../helper.ts'
import { ask, chunks } from './running.ts'

const ENDING: Ending = { finish: 'stop', usage: { promptTokens: 3, completionTokens: 2 } }
const HELLO = { messages: [{ role: 'user', content: 'hello' }] }

type Answer = (job: Job, signal: AbortSignal) => AsyncGenerator<Piece, Ending>

/** A server before a model that the test plays. */
async function served (t: Test, answer: Answer | null): Promise<{ socketPath: string, defects: unknown[] }> {
  const socketPath = join(temporary(t), 's')
  const defects: unknown[] = []
  const model: Model | null = answer && { name: 'fake', props: {}, adapters: [], load: () => ({ active: 0, waiting: 0 }), answer, async * score () {} }
  const server = serve(() => model, (error) => { defects.push(error) })
  server.listen(socketPath)
  await once(server, 'listening')
  t.teardown(() => { server.close(); server.closeAllConnections() })
  return { socketPath, defects }
}

t.test('until the model is loaded everything is 503 in OpenAI\'s shape, with the time to wait', async (t) => {
  const engine = await served(t, null)
  for (const [path, body] of [['/health', undefined], ['/props', undefined], ['/v1/chat/completions', HELLO]] as const) {
    const { status, headers, body: { error } } = await ask(engine, body, { path })
    t.equal(status, 503, path)
    t.match(error, { message: String, type: 'unavailable_error', param: null, code: 'engine_starting' })
    t.equal(headers['retry-after'], '2')
  }
})

t.test('a caller who stops reading and leaves ends the generation', async (t) => {
  let ended = false
  let pieces = 0
  const { socketPath } = await served(t, async function * () {
    try {
      for (;; pieces++) yield { text: 'x'.repeat(10_000), logprobs: null }
    } finally { ended = true }
  })
  const socket = connect(socketPath)
  const body = JSON.stringify({ ...HELLO, stream: true })
  socket.write(`POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
  socket.pause()
  let before = -1
  // it has stopped by itself: what is not read is not generated
  await until(async () => {
    const same = pieces > 0 && pieces === before
    before = pieces
    await new Promise((resolve) => setTimeout(resolve, 50))
    return same
  })
  t.ok(pieces < 1000, `${pieces} pieces waited`)
  t.notOk(ended)
  socket.destroy()
  await until(() => ended, 1000)
  t.pass()
})

t.test('a generation that breaks before its first piece is a status, after it an error frame and no [DONE]', async (t) => {
  const { socketPath, defects } = await served(t, async function * (job) {
    if (job.maxTokens > 1) yield { text: 'so far', logprobs: null }
    throw new Error('decode failed')
  })
  const early = await ask({ socketPath }, { ...HELLO, stream: true, max_tokens: 1 })
  t.equal(early.status, 500)
  t.match(early.body.error, { code: 'engine_failed', type: 'server_error', param: null })
  const late = chunks((await ask({ socketPath }, { ...HELLO, stream: true, max_tokens: 2 })).text)
  t.equal(late[1].choices[0].delta.content, 'so far')
  t.match(late[2], { error: { code: 'engine_failed' } })
  t.equal(late.length, 3)
  t.equal((await ask({ socketPath }, { ...HELLO, max_tokens: 2 })).status, 500)
  t.same(defects.map((error) => (error as Error).message), ['decode failed', 'decode failed', 'decode failed'])
})

t.test('what was answered is counted', async (t) => {
  const engine = await served(t, async function * () {
    yield { text: 'hi', logprobs: null }
    return ENDING
  })
  await ask(engine, HELLO)
  await ask(engine, { ...HELLO, stream: true })
  t.same((await ask(engine, undefined, { path: '/metrics.json' })).body, { active: 0, waiting: 0, served: 2, completion_tokens: 4 })
})

t.test('paths that name members of every object are not pages', async (t) => {
  const engine = await served(t, async function * () {
    yield { text: 'hi', logprobs: null }
    return ENDING
  })
  for (const path of ['/constructor', '/__proto__', '/toString']) t.equal((await ask(engine, undefined, { path })).status, 404)
})
