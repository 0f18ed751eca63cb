import { join } from 'node:path'
import t from 'tap'
import { ParallaxError, type ErrorCode } from '../../src/errors.ts'
import { loadPerspectives } from '../../src/perspectives/registry.ts'
import { route, type Asked } from '../../src/router/route.ts'
import { FIXTURES } from '../helper.ts'

const perspectives = loadPerspectives([join(FIXTURES, 'perspectives')])
const ask = (asked: Partial<Asked>) => route({ body: undefined, header: undefined, model: 'parallax', keyDefault: null, ...asked }, perspectives)
const refusal = (asked: Partial<Asked>): ParallaxError => {
  try { ask(asked) } catch (error) { return error as ParallaxError }
  throw new Error('it was routed')
}

t.test('body, header and model name each reach the same perspective, by id and by alias', async (t) => {
  for (const [id, alias] of [['progressive', 'A'], ['conservative', 'B']] as const) {
    for (const name of [id, alias]) {
      for (const asked of [{ body: name }, { header: name }, { header: `"${name}"` }, { model: name }, { body: name, header: id, model: alias }]) {
        t.equal(ask(asked).perspective.id, id, JSON.stringify(asked))
      }
    }
  }
  t.equal(ask({ model: 'baseline' }).perspective.id, 'baseline')
})

t.test('nothing asked is refused with the choices, and is never guessed', async (t) => {
  const error = refusal({})
  t.match(error, { code: 'perspective_required', statusCode: 400, param: 'perspective' })
  t.match(error.message, /baseline, progressive, conservative/)
})

t.test('a default counts only where the key has one, and only where nothing else was asked', async (t) => {
  t.equal(ask({ keyDefault: 'conservative' }).perspective.id, 'conservative')
  t.equal(ask({ keyDefault: 'conservative', body: 'progressive' }).perspective.id, 'progressive')
})

t.test('two ways that disagree are a conflict, whichever two they are', async (t) => {
  for (const asked of [{ body: 'A', header: 'B' }, { body: 'B', model: 'progressive' }, { header: 'baseline', model: 'B' }]) {
    t.match(refusal(asked), { code: 'perspective_conflict', statusCode: 400 }, JSON.stringify(asked))
  }
})

t.test('what does not exist is not found, and the message lists what does', async (t) => {
  const cases: [Partial<Asked>, ErrorCode, number][] = [
    [{ body: 'libertarian' }, 'unknown_perspective', 404],
    [{ header: 'libertarian' }, 'unknown_perspective', 404],
    [{ model: 'gpt-4o' }, 'model_not_found', 404],
    [{ model: 'gpt-4o', body: 'progressive' }, 'model_not_found', 404],
    [{ body: '__proto__' }, 'unknown_perspective', 404],
    [{ body: 'Progressive' }, 'unknown_perspective', 404],
  ]
  for (const [asked, code, statusCode] of cases) {
    const error = refusal(asked)
    t.match(error, { code, statusCode }, JSON.stringify(asked))
    t.match(error.message, /progressive, conservative/)
  }
})

t.test('a header that is not one bare name is refused, not repaired', async (t) => {
  for (const header of ['', ' ', 'progressive, conservative', 'progressive;q=1', 'progressive\u0000', 'a'.repeat(61), 'progressive\tconservative', '"progressive']) {
    t.match(refusal({ header }), { code: 'invalid_header', statusCode: 400 }, JSON.stringify(header))
  }
})

t.test('a perspective that is neither text nor absent is refused', async (t) => {
  for (const body of [7, true, [], {}, { weights: { progressive: 1 } }]) t.match(refusal({ body }), { code: 'mixture_unsupported', statusCode: 400 }, JSON.stringify(body))
})
