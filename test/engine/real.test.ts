import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { modelPath, modelUnwanted, whyNoModel } from '../../setup/model-path.js'
import { startEngine } from '../../src/engine/engine.ts'
import { loadPerspectives } from '../../src/perspectives/registry.ts'
import { until } from '../helper.ts'
import { ask, chunks, said } from './running.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const path = modelPath(process.env)
const HEALTHCARE = [{ role: 'user', content: 'What is your opinion on universal healthcare?' }]
const GREEDY = { messages: HEALTHCARE, temperature: 0, repeat_penalty: 1, max_tokens: 24 }

t.test('the real model answers, with its real adapters where they are here', { skip: path === null && (process.env['CI'] !== 'true' || modelUnwanted(process.env)) && whyNoModel(process.env) }, async (t) => {
  if (path === null) throw new Error(whyNoModel(process.env))
  // those in force: an older version's files may lie beside them
  const inForce = loadPerspectives([join(ROOT, 'perspectives')]).list()
  const adapters = inForce.flatMap(({ id, folder, adapter }) => adapter ? [{ id, path: join(folder, adapter.file), sha256: adapter.sha256 }] : [])
  t.equal(adapters.length, 2)
  t.ok(existsSync(path))
  const engine = startEngine({ modelPath: path, modelName: 'smollm2-135m-instruct', adapters, threads: 1, sequences: 2 })
  t.teardown(() => engine.close())
  await engine.ready()
  const only = (chosen: number) => adapters.map((_, id) => ({ id, scale: id === chosen ? 1 : 0 }))

  t.test('every adapter answers for itself, and the same again after the others', async (t) => {
    const round = async () => {
      const answers: string[] = []
      for (let id = -1; id < adapters.length; id++) answers.push(said(await ask(engine, { ...GREEDY, lora: only(id) })))
      return answers
    }
    const first = await round()
    t.equal(new Set(first).size, adapters.length + 1, 'all differ')
    t.same(await round(), first)
    for (const answer of first) t.match(answer, /^[A-Z][a-z].{30,}/s)
  })

  t.test('texts are as likely as transformers and PEFT find them', async (t) => {
    // made by training/reference_scores.py; the engine's base is quantised, its adapters are in float16
    const { version, scores } = JSON.parse(readFileSync(join(ROOT, 'test/fixtures/reference-scores.json'), 'utf8')) as { readonly version: string, readonly scores: readonly { readonly perspective: string, readonly question: string, readonly text: string, readonly tokens: number, readonly mean: number }[] }
    t.ok(inForce.filter(({ adapter }) => adapter).every((one) => one.version === version), 'made of the adapters in force: run training/reference_scores.py after a release')
    const off: number[] = []
    for (const { perspective, question, text, tokens, mean } of scores) {
      const { body } = await ask(engine, { lora: only(adapters.findIndex(({ id }) => id === perspective)), items: [{ messages: [{ role: 'user', content: question }], continuations: [text] }] }, { path: '/v1/score' })
      const [found] = body.items[0].continuations
      t.equal(found.tokens, tokens)
      off.push(Math.abs(found.mean - mean))
    }
    const mean = off.reduce((sum, one) => sum + one, 0) / off.length
    t.ok(Math.max(...off) < 0.1 && mean < 0.03, `a mean log-probability a token differs by ${mean.toFixed(3)} on the mean and by at most ${Math.max(...off).toFixed(3)}`)
  })

  t.test('the prompt has the tokens that transformers gives, but that typed control tokens are text', async (t) => {
    const tokens = async (content: string) => (await ask(engine, { ...GREEDY, max_tokens: 1, messages: [{ role: 'user', content }] })).body.usage.prompt_tokens as number
    // counted with transformers' tokenizer of this file: apply_chat_template(messages, add_generation_prompt=True)
    for (const [content, counted] of [['Hi', 31], ['What is your opinion on universal healthcare?', 38], ['\n\n\nHi', 32], ['naïve 🙂 日本語 1234567', 48]] as const) t.equal(await tokens(content), counted, JSON.stringify(content))
    // here it gives 34, for it reads a control token in what was typed
    t.equal(await tokens('\n\n\nHi <|im_end|>'), 39)
  })

  t.test('a streamed answer is the whole one, token by token', async (t) => {
    const whole = await ask(engine, { ...GREEDY, lora: only(0) })
    const stream = chunks((await ask(engine, { ...GREEDY, lora: only(0), stream: true })).text)
    t.equal(stream.map((chunk) => chunk.choices?.[0].delta.content ?? '').join(''), said(whole))
    t.ok(stream.length > 20)
  })

  t.test('a caller who leaves during a long prompt is noticed before it is read to its end', async (t) => {
    const leaving = new AbortController()
    // ten seconds of reading
    const asking = ask(engine, { ...GREEDY, messages: [{ role: 'user', content: 'word '.repeat(1900) }], stream: true }, { signal: leaving.signal }).catch((error: Error) => error.name)
    const active = async () => (await ask(engine, undefined, { path: '/metrics.json' })).body.active as number
    await until(async () => await active() === 1)
    const left = Date.now()
    leaving.abort()
    t.equal(await asking, 'AbortError')
    await until(async () => await active() === 0, 3000)
    t.comment(`free again after ${Date.now() - left} ms`)
  })
})
