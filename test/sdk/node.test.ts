import { setTimeout as sleep } from 'node:timers/promises'
import OpenAI from 'openai'
import t from 'tap'
import * as upstream from '../fixtures/upstream.ts'
import { build, QUESTION, until, type Built } from '../helper.ts'

const messages = QUESTION as OpenAI.ChatCompletionMessageParam[]
const client = (gateway: Built, apiKey = gateway.keys.app, maxRetries = 0) => new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey, maxRetries })

t.test('the official SDK for Node works with nothing but base URL, key and model name set', async (t) => {
  const gateway = await build(t)
  const openai = client(gateway)

  t.test('chat, from either side, with what Parallax adds readable on the object', async (t) => {
    for (const model of ['progressive', 'conservative']) {
      const answer = await openai.chat.completions.create({ model, messages })
      t.equal(answer.choices[0]?.message.content, upstream.CONTENT)
      t.match(answer, { perspective: { id: model }, audit: { record: String } })
    }
  })

  t.test('a member of the body, or a header, names the perspective too', async (t) => {
    const extended = { model: 'parallax', messages, perspective: 'B' } as OpenAI.ChatCompletionCreateParamsNonStreaming
    t.match(await openai.chat.completions.create(extended), { perspective: { id: 'conservative' } })
    t.match(await openai.chat.completions.create({ model: 'parallax', messages }, { headers: { Perspective: 'progressive' } }), { perspective: { id: 'progressive' } })
  })

  t.test('streaming, with usage', async (t) => {
    const stream = await openai.chat.completions.create({ model: 'conservative', messages, stream: true, stream_options: { include_usage: true } })
    let text = ''
    let usage: unknown
    let finish: string | null | undefined
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? ''
      finish = chunk.choices[0]?.finish_reason ?? finish
      usage = chunk.usage ?? usage
    }
    t.equal(text, upstream.CONTENT)
    t.equal(finish, 'stop')
    t.match(usage, { total_tokens: 18 })
  })

  t.test('the streaming helper puts the whole message together', async (t) => {
    const runner = openai.chat.completions.stream({ model: 'progressive', messages, n: 2 })
    t.equal((await runner.finalChatCompletion()).choices.length, 2)
  })

  t.test('both sides come as choices, whole, streamed and through the helper, even where one of them fails', async (t) => {
    const both = { model: 'both', messages } as const
    t.same((await openai.chat.completions.create(both)).choices.map((choice) => [choice.index, choice.message.content]), [[0, upstream.CONTENT], [1, upstream.CONTENT]])
    t.same((await openai.chat.completions.stream(both).finalChatCompletion()).choices.map((choice) => [choice.index, choice.message.role, choice.message.content]), [[0, 'assistant', upstream.CONTENT], [1, 'assistant', upstream.CONTENT]])
    gateway.upstreams.conservative.replyNext(upstream.htmlError(500))
    const final = await openai.chat.completions.stream(both).finalChatCompletion()
    t.same(final.choices.map((choice) => choice.finish_reason as string), ['stop', 'error'])
    gateway.upstreams.progressive.replyNext(upstream.htmlError(500))
    const [failed, whole] = (await openai.chat.completions.create(both)).choices
    t.match(failed, { finish_reason: 'error', message: { content: null }, error: { code: 'expert_failed' } })
    t.equal(whole?.message.content, upstream.CONTENT)
  })

  t.test('n, stop, seed and log-probabilities reach the expert, tools come back', async (t) => {
    gateway.upstreams.progressive.replyNext(upstream.json({ logprobs: true }))
    const answer = await openai.chat.completions.create({ model: 'progressive', messages, n: 2, stop: ['x'], seed: 7, logprobs: true, top_logprobs: 1 })
    t.equal(answer.choices.length, 2)
    t.ok(answer.choices[1]?.logprobs?.content?.length)
    t.match(gateway.upstreams.progressive.last.body, { n: 2, stop: ['x'], seed: 7, logprobs: true, top_logprobs: 1 })
    const call = { id: 'call_1', type: 'function', function: { name: 'f', arguments: '{"a":1}' } } as const
    const tools = [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }] as OpenAI.ChatCompletionTool[]
    gateway.upstreams.progressive.replyNext(upstream.json({ content: null, toolCalls: [call] }))
    const called = await openai.chat.completions.create({ model: 'progressive', messages, tools })
    t.match(called.choices[0], { finish_reason: 'tool_calls', message: { tool_calls: [call] } })
    const history = [...messages, called.choices[0]!.message, { role: 'tool' as const, tool_call_id: 'call_1', content: '42' }]
    t.ok(await openai.chat.completions.create({ model: 'progressive', messages: history, tools }))
    gateway.upstreams.progressive.replyNext(upstream.stream({ content: null, toolCalls: [call] }))
    const streamed = await openai.chat.completions.stream({ model: 'progressive', messages, tools }).finalChatCompletion()
    t.match(streamed.choices[0]?.message.tool_calls, [call])
  })

  t.test('models can be listed and looked up', async (t) => {
    const names: string[] = []
    for await (const model of openai.models.list()) names.push(model.id)
    t.same(names, ['baseline', 'progressive', 'A', 'conservative', 'B', 'both', 'both-summary', 'mix-0.50', 'parallax'])
    t.match(await openai.models.retrieve('A'), { id: 'A', perspective: { id: 'progressive' } })
  })

  t.test('errors are its own exception classes', async (t) => {
    const fails = async (asked: () => Promise<unknown>) => { try { await asked() } catch (error) { return error as InstanceType<typeof OpenAI.APIError> } throw new Error('it did not fail') }
    const create = (model: string, more: object = {}) => () => openai.chat.completions.create({ model, messages, ...more } as OpenAI.ChatCompletionCreateParamsNonStreaming)
    const cases: [() => Promise<unknown>, new (...args: never[]) => Error, number, string][] = [
      [() => client(gateway, 'plx_wrong').chat.completions.create({ model: 'A', messages }), OpenAI.AuthenticationError, 401, 'invalid_api_key'],
      [() => client(gateway, gateway.keys.auditor).chat.completions.create({ model: 'A', messages }), OpenAI.PermissionDeniedError, 403, 'insufficient_scope'],
      [create('gpt-4o'), OpenAI.NotFoundError, 404, 'model_not_found'],
      [create('parallax'), OpenAI.BadRequestError, 400, 'perspective_required'],
      [create('A', { perspective: 'B' }), OpenAI.BadRequestError, 400, 'perspective_conflict'],
      [create('baseline'), OpenAI.InternalServerError, 503, 'expert_unavailable'],
    ]
    for (const [asked, kind, status, code] of cases) {
      const error = await fails(asked)
      t.ok(error instanceof kind, `${error.constructor.name} for ${code}`)
      t.match(error, { status, code })
      t.ok(error.requestID)
    }
    gateway.upstreams.progressive.replyNext(upstream.rateLimited('1'))
    t.ok(await fails(create('A')) instanceof OpenAI.RateLimitError)
    // the expert is left alone for the second that it asked for
    await sleep(1100)
  })

  t.test('a stream that breaks is an error of the SDK\'s, not a short answer', async (t) => {
    gateway.upstreams.progressive.replyNext(upstream.halfFrame())
    const stream = await openai.chat.completions.create({ model: 'A', messages, stream: true })
    const error = await (async () => { for await (const chunk of stream) t.ok(chunk) })().catch((thrown: unknown) => thrown)
    t.ok(error instanceof OpenAI.APIError)
    t.match(error, { code: 'expert_failed' })
  })

  t.test('it retries what can succeed later, and does not retry what cannot', async (t) => {
    gateway.upstreams.progressive.reset()
    gateway.upstreams.progressive.replyNext(upstream.rateLimited('1'))
    const patient = client(gateway, gateway.keys.app, 2)
    t.ok(await patient.chat.completions.create({ model: 'A', messages }))
    t.equal(gateway.upstreams.progressive.requests.length, 2)
    const before = gateway.services.audit.size()
    await t.rejects(patient.chat.completions.create({ model: 'gpt-4o', messages }))
    t.equal(gateway.services.audit.size(), before + 1)
  })

  t.test('aborting ends the expert\'s work', async (t) => {
    gateway.upstreams.progressive.reply(upstream.endless())
    const stream = await openai.chat.completions.create({ model: 'A', messages, stream: true })
    for await (const chunk of stream) { t.ok(chunk.id); break }
    await until(() => gateway.upstreams.progressive.last.aborted, 1000)
  })
})
