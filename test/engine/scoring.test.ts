import t from 'tap'
import { A, ask, B, GREEDY, QUESTION, said, start } from './running.ts'

const score = async (engine: ReturnType<typeof start>, body: object) => ask(engine, body, { path: '/v1/score' })

t.test('the engine says how likely it finds given texts', async (t) => {
  const engine = start(t)
  await engine.ready()

  t.test('a text that it wrote itself has the sum of the log-probabilities that it told then, under each adapter', async (t) => {
    for (const lora of [[], A, B]) {
      // enough tokens for two batches, and for one that is not full
      const written = await ask(engine, { ...GREEDY, lora, max_tokens: 100, logprobs: true, messages: [...QUESTION] })
      const told = written.body.choices[0].logprobs.content as { logprob: number }[]
      const sum = told.reduce((all, { logprob }) => all + logprob, 0)
      const { status, body } = await score(engine, { lora, items: [{ messages: QUESTION, continuations: [said(written)] }] })
      t.equal(status, 200)
      const [scored] = body.items[0].continuations
      // what is written as text may be tokenized otherwise than it was generated: with this model it is not
      t.equal(scored.tokens, told.length)
      t.ok(Math.abs(scored.sum - sum) < 0.01 * told.length, `${scored.sum} and ${sum}`)
      t.ok(Math.abs(scored.mean - scored.sum / scored.tokens) < 1e-9)
      t.equal(body.items[0].prompt_tokens, written.body.usage.prompt_tokens)
    }
  })

  t.test('the probabilities of all single tokens after a prompt are the model\'s distribution', async (t) => {
    const top = (await ask(engine, { ...GREEDY, max_tokens: 1, logprobs: true, top_logprobs: 10 })).body.choices[0].logprobs.content[0].top_logprobs as { token: string, logprob: number }[]
    const shown = top.filter(({ token }) => /^[\x21-\x7e]+$/.test(token) && !token.startsWith('<'))
    t.ok(shown.length >= 5)
    const { body } = await score(engine, { items: [{ messages: QUESTION, continuations: shown.map(({ token }) => token) }] })
    for (const [place, { token, logprob }] of shown.entries()) {
      const one = body.items[0].continuations[place]
      t.equal(one.tokens, 1, token)
      t.ok(Math.abs(one.sum - logprob) < 0.01, `${token}: ${one.sum} and ${logprob}`)
    }
  })

  t.test('a continuation has the same score alone and after others, and other adapters another', async (t) => {
    const texts = ['Taxes are high.', 'Taxes are low, and that is that: '.repeat(4), 'x']
    const together = (await score(engine, { lora: A, items: [{ messages: QUESTION, continuations: texts }] })).body.items[0].continuations
    for (const [place, text] of texts.entries()) {
      const alone = (await score(engine, { lora: A, items: [{ messages: QUESTION, continuations: [text] }] })).body.items[0].continuations[0]
      t.equal(alone.tokens, together[place].tokens)
      t.ok(Math.abs(alone.sum - together[place].sum) < 0.01, `${alone.sum} and ${together[place].sum}`)
    }
    const other = (await score(engine, { lora: B, items: [{ messages: QUESTION, continuations: texts }] })).body.items[0].continuations
    t.ok(Math.abs(other[0].sum - together[0].sum) > 0.01)
    t.ok(Math.abs(together[0].sum - together[2].sum) > 0.01)
  })

  t.test('a prompt can be plain text or nothing at all: then the first token is what the others come after', async (t) => {
    const { body } = await score(engine, { items: [{ prompt: 'The tax', continuations: [' is'] }, { prompt: '', continuations: ['The tax is'] }] })
    t.equal(body.items[0].continuations[0].tokens, 3)
    const [after, whole] = [body.items[0], body.items[1].continuations[0]]
    t.equal(whole.tokens, after.prompt_tokens + 3 - 1)
    const start = (await score(engine, { items: [{ prompt: '', continuations: ['The tax'] }] })).body.items[0].continuations[0]
    t.ok(Math.abs(start.sum + after.continuations[0].sum - whole.sum) < 0.01, 'the chain rule')
  })

  t.test('what cannot be scored is refused by name, and nothing of it is kept', async (t) => {
    const refused: [object, RegExp][] = [
      [{}, /"items"/], [{ items: [] }, /"items"/], [{ items: [{ messages: QUESTION, continuations: [] }] }, /continuations/], [{ items: [{ messages: QUESTION, continuations: [''] }] }, /continuations/],
      [{ items: [{ continuations: ['x'] }] }, /either "messages"/], [{ items: [{ messages: QUESTION, prompt: 'x', continuations: ['x'] }] }, /either "messages"/],
      [{ items: [{ prompt: '', continuations: ['x'] }] }, /needs a prompt/], [{ items: [{ messages: QUESTION, continuations: ['z'.repeat(600)] }] }, /context holds 512/],
      [{ items: [{ prompt: 'x', continuations: ['z'.repeat(300_000)] }] }, /characters/],
      [{ items: Array.from({ length: 64 }, () => ({ prompt: 'x', continuations: ['z'.repeat(400)] })) }, /16384 are the most/],
      [{ lora: [{ id: 9, scale: 1 }], items: [{ prompt: 'x', continuations: ['y'] }] }, /no adapter 9/],
    ]
    for (const [body, why] of refused) {
      const { status, body: { error } } = await score(engine, body)
      t.equal(status, 400)
      t.match(error.message, why)
    }
    t.match((await ask(engine, undefined, { path: '/metrics.json' })).body, { active: 0, waiting: 0 })
  })

  t.test('scoring beside answers changes neither', async (t) => {
    const alone = said(await ask(engine, { ...GREEDY, lora: A }))
    const body = { lora: A, items: [{ messages: QUESTION, continuations: ['Taxes are high.', 'Taxes are low.'] }] }
    const quiet = (await score(engine, body)).body.items[0].continuations
    const [answers, scores] = await Promise.all([Promise.all(Array.from({ length: 3 }, () => ask(engine, { ...GREEDY, lora: A }))), score(engine, body)])
    for (const one of answers) t.equal(said(one), alone)
    for (const place of [0, 1]) t.ok(Math.abs(scores.body.items[0].continuations[place].sum - quiet[place].sum) < 0.01)
  })

  t.test('a caller who leaves frees his place', async (t) => {
    const leaving = new AbortController()
    const long = { items: Array.from({ length: 30 }, () => ({ prompt: 'x'.repeat(400), continuations: ['y'.repeat(50)] })) }
    const asking = ask(engine, long, { path: '/v1/score', signal: leaving.signal }).catch((error: Error) => error.name)
    setTimeout(() => { leaving.abort() }, 50)
    t.equal(await asking, 'AbortError')
    const end = Date.now() + 10_000
    let active = 1
    while (active > 0 && Date.now() < end) ({ active } = (await ask(engine, undefined, { path: '/metrics.json' })).body)
    t.equal(active, 0)
  })
})
