import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { mixed } from '../../src/experts/blend.ts'
import { LoraxExpert } from '../../src/experts/lorax.ts'
import * as up from '../fixtures/upstream.ts'
import { build, events, QUESTION, temporary } from '../helper.ts'

const TEMPLATE = '{{ bos_token }}{% for message in messages %}<{{ message.role }}>{{ message.content }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}'
const never = new AbortController().signal

async function trio (t: Test, chatTemplate: { source: string, eosToken: string } | undefined = { source: TEMPLATE, eosToken: '</s>' }) {
  const upstream = await up.startUpstream()
  upstream.reply(up.lorax('base-7b'))
  const expert = (adapter: string | null): LoraxExpert => {
    const made = new LoraxExpert({ facts: { model: 'base-7b', adapter, adapterSha256: null }, servedAs: adapter ?? 'base-7b', adapterSource: 'local', chatTemplate, at: { baseUrl: upstream.url, limits: { answerBytes: 1e6, firstChunkMs: 2000, chunkGapMs: 2000 } } })
    t.teardown(() => made.close())
    return made
  }
  t.teardown(() => upstream.close())
  return { upstream, A: expert('left'), B: expert('right'), base: expert(null) }
}

const said = (completion: any): string => completion.choices[0].message.content

t.test('on its chat wire an adapter is a model, and what its schema cannot read is translated', async (t) => {
  const { upstream, A, base } = await trio(t)
  t.equal(said(await A.complete({ messages: QUESTION, stop: 'END', max_completion_tokens: 7 }, never)), 'I am left.')
  t.match(upstream.last.body, { model: 'left', stop: ['END'], max_tokens: 7, adapter_source: 'local' })
  t.equal(said(await base.complete({ messages: QUESTION, stop: null }, never)), 'I am the base.')
  t.notOk('adapter_source' in upstream.last.body || 'stop' in upstream.last.body)
})

t.test('a blend is asked of /generate, whose merging the chat wire would silently ignore, with the prompt that the template makes', async (t) => {
  const { upstream, A, B } = await trio(t)
  const blend = mixed([{ expert: A, weight: 0.7 }, { expert: B, weight: 0.3 }])
  const request = { messages: [{ role: 'developer', content: 'Be brief.' }, { role: 'user', content: [{ type: 'text', text: 'Hello' }] }], temperature: 0, max_tokens: 5, stop: 'END', seed: 3, top_p: 0.9 }
  const completion = await blend.complete(request, never)
  t.match(completion, { choices: [{ index: 0, message: { role: 'assistant', content: 'I am 0.7 left and 0.3 right.' }, finish_reason: 'stop' }], usage: { prompt_tokens: 9, completion_tokens: 4, total_tokens: 13 } })
  t.equal(upstream.last.path, '/generate')
  t.same(upstream.last.body, {
    inputs: '<system>Be brief.</s><user>Hello</s><assistant>',
    parameters: { top_p: 0.9, seed: 3, merged_adapters: { ids: ['left', 'right'], weights: [0.7, 0.3], merge_strategy: 'linear' }, adapter_source: 'local', details: true, return_full_text: false, do_sample: false, stop: ['END'], max_new_tokens: 5 },
  })
  let text = ''
  const rest: unknown[] = []
  for await (const batch of await blend.stream({ messages: QUESTION }, never)) {
    for (const chunk of batch as any[]) {
      text += chunk.choices[0]?.delta.content ?? ''
      if (chunk.usage || chunk.choices[0]?.finish_reason) rest.push(chunk.usage ?? chunk.choices[0].finish_reason)
    }
  }
  t.equal(text, 'I am 0.7 left and 0.3 right.', 'without the special token at its end')
  t.match(rest, ['stop', { total_tokens: 13 }])
  t.same(upstream.last.body.parameters.do_sample, true)
  const two = await blend.complete({ messages: QUESTION, n: 2, seed: 5 }, never) as any
  t.same(two.choices.map(({ index }: any) => index), [0, 1])
  t.same(upstream.requests.slice(-2).map(({ body }) => body.parameters.seed).toSorted((a, b) => a - b), [5, 6])
  t.equal(said(await mixed([{ expert: A, weight: 1 }, { expert: B, weight: 0 }]).complete({ messages: QUESTION }, never)), 'I am left.', 'alone it is itself')
})

t.test('what a blend of LoRAX\'s cannot do is refused, and what breaks is an error', async (t) => {
  const { upstream, A, B, base } = await trio(t)
  t.throws(() => mixed([{ expert: A, weight: 1 }, { expert: base, weight: 1 }]), { code: 'mixture_unsupported', message: /not with the base model/ })
  const blend = mixed([{ expert: A, weight: 1 }, { expert: B, weight: 1 }])
  for (const more of [{ tools: [{ type: 'function' }] }, { response_format: { type: 'json_object' } }, { logprobs: true }, { merged_adapters: {} }]) {
    await t.rejects(blend.complete({ messages: QUESTION, ...more }, never), { code: 'unsupported_parameter', param: Object.keys(more)[0] })
  }
  await blend.complete({ messages: QUESTION, tools: [], response_format: { type: 'text' }, logprobs: false }, never)
  const read = async (): Promise<void> => { for await (const batch of await blend.stream({ messages: QUESTION }, never)) void batch }
  for (const behaviour of [up.errorFrame(), up.garbageFrame(), up.stream()]) {
    upstream.reply(behaviour)
    await t.rejects(read(), { code: 'expert_failed' }, behaviour.name)
  }
  upstream.reply(up.json())
  await t.rejects(blend.complete({ messages: QUESTION }, never), { code: 'expert_failed' })
})

t.test('behind the gateway LoRAX blends where it has a template, says what is missing where it has none, and the receipt covers the blend', async (t) => {
  const upstream = await up.startUpstream()
  t.teardown(() => upstream.close())
  upstream.reply(up.lorax('base-7b'))
  const file = join(temporary(t), 'template.jinja')
  writeFileSync(file, TEMPLATE)
  const config = (chatTemplate: object) => ({ experts: Object.fromEntries([['progressive', 'left'], ['conservative', 'right']].map(([id, adapter]) => [id, { wire: 'lorax', model: 'base-7b', adapter, baseUrl: upstream.url, ...chatTemplate }])) })
  const perspective = { weights: { progressive: 0.25, conservative: 0.75 }, mixture: 'blend' }
  const gateway = await build(t, { config: config({ chatTemplate: { file } }) })
  const reply = await gateway.ask({ model: 'parallax', messages: QUESTION, perspective })
  t.equal(reply.status, 200)
  t.match(await reply.json(), { choices: [{ message: { content: 'I am 0.25 left and 0.75 right.' } }], audit: { record: String } })
  const chunks = await events(await gateway.ask({ model: 'parallax', messages: QUESTION, perspective, stream: true }))
  t.equal(chunks.at(-1), '[DONE]')
  t.equal(chunks.map((chunk) => chunk.choices?.[0]?.delta.content ?? '').join(''), 'I am 0.25 left and 0.75 right.')

  const bare = await build(t, { config: config({}) })
  const refused = await bare.ask({ model: 'parallax', messages: QUESTION, perspective })
  t.equal(refused.status, 400)
  t.match(await refused.json(), { error: { code: 'mixture_unsupported', message: /"chatTemplate"/ } })
})
