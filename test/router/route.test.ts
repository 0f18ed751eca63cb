import { join } from 'node:path'
import t from 'tap'
import { ParallaxError, type ErrorCode } from '../../src/errors.ts'
import { loadPerspectives } from '../../src/perspectives/registry.ts'
import { route, type Asked, type Route } from '../../src/router/route.ts'
import { FIXTURES } from '../helper.ts'

const perspectives = loadPerspectives([join(FIXTURES, 'perspectives')])
const ask = (asked: Partial<Asked>): Route => route({ body: undefined, header: undefined, model: 'parallax', keyDefault: null, ...asked }, perspectives)
const steered = (asked: Partial<Asked>): string => {
  const found = ask(asked)
  if (found.mode !== 'steerable') throw new Error(`routed as ${found.mode}`)
  return found.perspective.id
}
const refusal = (asked: Partial<Asked>): ParallaxError => {
  try { ask(asked) } catch (error) { return error as ParallaxError }
  throw new Error('it was routed')
}

t.test('body, header and model name each reach the same perspective, by id and by alias', async (t) => {
  for (const [id, alias] of [['progressive', 'A'], ['conservative', 'B']] as const) {
    for (const name of [id, alias]) {
      for (const asked of [{ body: name }, { header: name }, { header: `"${name}"` }, { model: name }, { body: name, header: id, model: alias }]) {
        t.equal(steered(asked), id, JSON.stringify(asked))
      }
    }
  }
  t.equal(steered({ model: 'baseline' }), 'baseline')
})

t.test('nothing asked is refused with the choices, and is never guessed', async (t) => {
  const error = refusal({})
  t.match(error, { code: 'perspective_required', statusCode: 400, param: 'perspective' })
  t.match(error.message, /baseline, progressive, conservative/)
})

t.test('a default counts only where the key has one, and only where nothing else was asked', async (t) => {
  t.equal(steered({ keyDefault: 'conservative' }), 'conservative')
  t.equal(steered({ keyDefault: 'conservative', body: 'progressive' }), 'progressive')
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

t.test('a name that only almost exists is refused with what may have been meant', async (t) => {
  const cases: [Partial<Asked>, RegExp][] = [
    [{ model: 'a' }, /case matter: there is "A"\.$/], [{ body: 'b' }, /there is "B"\.$/], [{ body: 'Progressive' }, /there is "progressive"\.$/], [{ header: 'CONSERVATIVE' }, /there is "conservative"\.$/], [{ model: 'Both' }, /there is "both"\.$/],
    ...['mix-2', 'mix-progressive', 'mix-conservative', 'mix-0.123456789', 'Mix-0.5'].map((model): [Partial<Asked>, RegExp] => [{ model }, /"mix-progressive-0\.70" or "mix-conservative-0\.70": a share from 0 to 1, with at most four digits/]),
    [{ body: 5 }, /; this one is 5\.$/], [{ body: ['A', 'B'] }, /; this one is \["A","B"\]\.$/],
    [{ header: 'progressive;mode=steerable' }, /takes a name alone.+Send: Perspective: progressive$/], [{ header: 'conservative; mode=steerable' }, /Send: Perspective: conservative$/],
    [{ header: 'progressive, conservative' }, /has to hold one name.+it holds "progressive, conservative"\.$/],
  ]
  for (const [asked, words] of cases) t.match(refusal(asked).message, words, JSON.stringify(asked))
  t.notMatch(refusal({ model: 'gpt-4o' }).message, /case matter|mixture/)
})

t.test('a header that is not one bare name is refused, not repaired', async (t) => {
  for (const header of ['', ' ', 'progressive, conservative', 'progressive;q=1', 'progressive\u0000', 'a'.repeat(61), 'progressive\tconservative', '"progressive']) {
    t.match(refusal({ header }), { code: 'invalid_header', statusCode: 400 }, JSON.stringify(header))
  }
})

t.test('the same mixture is the same route, however it was written: by weights, by aliases, in any order, by name', async (t) => {
  const expected = { mode: 'distributional', mixture: 'sample', weights: { progressive: 0.7, conservative: 0.3 } }
  for (const asked of [
    { model: 'mix-0.70' }, { model: 'mix-0.7' }, { model: 'mix-progressive-0.70' }, { model: 'mix-conservative-0.30' }, { model: 'mix-A-0.7' }, { header: 'mix-0.70' }, { body: 'mix-0.7' },
    { body: { weights: { progressive: 0.7, conservative: 0.3 } } }, { body: { weights: { B: 3, A: 7 } } }, { body: { weights: { A: 0.7, B: 0.3, baseline: 0 }, mixture: 'sample' }, model: 'mix-0.70' },
  ]) t.match(ask(asked), expected, JSON.stringify(asked))
  t.match(ask({ body: { weights: { A: 1, B: 1, baseline: 2 } } }), { weights: { baseline: 0.5, progressive: 0.25, conservative: 0.25 } })
  t.match(ask({ body: { weights: { A: 1e308, B: 1e308 } } }), { weights: { progressive: 0.5, conservative: 0.5 } })
  t.match(ask({ body: { weights: { A: 5e-324, B: 5e-324 } } }), { weights: { progressive: 0.5, conservative: 0.5 } })
  for (const [small, large] of [['A', 'B'], ['B', 'A']] as const) {
    const { perspectives: drawn, weights } = ask({ body: { weights: { [small]: 1e-12, [large]: 1, baseline: -0 } } }) as Extract<Route, { mode: 'distributional' }>
    t.same([drawn.map((one) => one.alias), Object.values(weights)], [[large], [1]], 'what is too small to be written down is not named either')
  }
  t.match(ask({ body: { weights: { A: 1, B: 1 }, sticky: 'conv-42', seed: 7 }, model: 'mix-0.50' }), { sticky: 'conv-42', seed: 7 })
  t.match(ask({ body: { weights: { A: 1, B: 1 }, mixture: 'blend' } }), { mode: 'distributional', mixture: 'blend', weights: { progressive: 0.5, conservative: 0.5 } })
  for (const asked of [{ model: 'mix-0.70', body: { weights: { A: 1, B: 1 } } }, { model: 'mix-0.50', body: { weights: { A: 1, B: 1 }, mixture: 'blend' } }, { model: 'both', body: 'A' }, { model: 'both', body: { id: 'both', summary: true } }]) {
    t.match(refusal(asked), { code: 'perspective_conflict' }, JSON.stringify(asked))
  }
  for (const model of ['mix-', 'mix-2', 'mix-1.5', 'mix-0.123456', 'mix-centrist-0.5', 'mix--0.5', 'mix-0,5']) t.match(refusal({ model }), { code: 'model_not_found' }, model)
})

t.test('"both" is every perspective that leans, in one order, with or without the baseline\'s summary', async (t) => {
  for (const asked of [{ model: 'both' }, { model: 'all' }, { body: 'both' }, { header: 'both' }, { body: { id: 'both' } }, { body: { id: 'both', summary: false }, model: 'both' }]) {
    const found = ask(asked)
    t.match(found, { mode: 'overton', summary: null }, JSON.stringify(asked))
    t.same(found.mode === 'overton' && found.perspectives.map(({ id }) => id), ['progressive', 'conservative'])
  }
  for (const asked of [{ model: 'both-summary' }, { body: { id: 'both', summary: true } }, { body: { id: 'all', summary: true }, model: 'both-summary' }]) t.match(ask(asked), { mode: 'overton', summary: { id: 'baseline' } }, JSON.stringify(asked))
})
