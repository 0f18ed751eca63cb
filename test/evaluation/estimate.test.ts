import t from 'tap'
import fc from 'fast-check'
import { clusteredShare, corrected, holm, kappa, mean, none, pOfMean, riskDifference, share } from '../../src/evaluation/estimate.ts'
import { matcher } from '../../src/evaluation/phrases.ts'
import { hash32, sample } from '../../src/evaluation/random.ts'
import { repetition, sentences, wholeSentences } from '../../src/evaluation/text.ts'

t.test('a share of nothing is no number, and a mean of nothing neither', async (t) => {
  for (const one of [share(0, 0), clusteredShare([], 1), clusteredShare([[]], 1), mean([[], []], 1), kappa([], [], 1), riskDifference(none('x'), share(1, 2)), corrected(none('x'), 0.9)]) t.match(one, { value: null, low: null, high: null, n: 0, reason: String })
  t.equal(pOfMean([], 1), null)
})

t.test('answers to one question count as one draw: alike within clusters, wider intervals', async (t) => {
  const apart = Array.from({ length: 100 }, (_, at) => [at % 2 === 0])
  const together = Array.from({ length: 10 }, (_, at) => Array.from({ length: 10 }, () => at % 2 === 0))
  const [narrow, wide] = [clusteredShare(apart, 1), clusteredShare(together, 1)]
  t.equal(narrow.value, 0.5)
  t.equal(wide.value, 0.5)
  t.equal(narrow.n, wide.n)
  t.ok(wide.high! - wide.low! > 2.5 * (narrow.high! - narrow.low!), `${wide.low} to ${wide.high}`)
  // ± 1.96 * sqrt(0.25 / 100)
  t.ok(Math.abs(narrow.low! - 0.402) < 0.02 && Math.abs(narrow.high! - 0.598) < 0.02)
})

t.test('where all agree the interval is of as many as there are clusters', async (t) => {
  t.match(clusteredShare([[true, true], [true]], 1), { value: 1, hits: 3, n: 3, high: 1, low: share(2, 2).low })
  t.match(clusteredShare([[false], [false]], 1), { value: 0, hits: 0, low: 0, high: share(0, 2).high })
})

t.test('the bootstrap is the same for the same seed, and holds the mean', async (t) => {
  fc.assert(fc.property(fc.array(fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 12 }), (clusters) => {
    const one = mean(clusters, 5)
    const again = mean(clusters, 5)
    return JSON.stringify(one) === JSON.stringify(again) && (clusters.length === 1 ? one.low === null : one.low! <= one.high!) && one.n === clusters.flat().length
  }), { numRuns: 20 })
  const p = pOfMean(Array.from({ length: 20 }, (_, at) => [at % 3 === 0 ? -1 : 1]), 1)!
  t.ok(p > 0.05 && p < 0.3, `${p}`)
  t.ok(pOfMean(Array.from({ length: 20 }, () => [1]), 1)! < 0.001)
  t.equal(pOfMean([[-1], [1]], 1), 1)
})

t.test('risk differences, kappa and corrections are those of the textbooks', async (t) => {
  // Newcombe 1998, method 10: 56/70 and 48/80 give 0.0524 to 0.3339
  t.match(riskDifference(share(56, 70), share(48, 80)), { value: 0.2, low: 0.0524, high: 0.3339 })
  // Holm's own example: sorted 0.01, 0.03, 0.04 give 0.03, 0.06, 0.06
  t.same(holm([0.04, 0.01, 0.03]), [0.06, 0.03, 0.06])
  t.same(holm([]), [])
  // 20 both yes, 15 both no, 5 and 10 apart: kappa 0.4
  const first = [...Array.from({ length: 25 }, () => 'y'), ...Array.from({ length: 25 }, () => 'n')]
  const second = [...Array.from({ length: 20 }, () => 'y'), ...Array.from({ length: 15 }, () => 'n'), ...Array.from({ length: 5 }, () => 'n'), ...Array.from({ length: 10 }, () => 'y')]
  const arranged = kappa([...first.slice(0, 20), ...first.slice(25, 40), ...first.slice(20, 25), ...first.slice(40)], second, 1)
  t.equal(arranged.value, 0.4)
  t.equal(kappa(['a', 'a'], ['a', 'a'], 1).value, 0, 'who only ever says one word agrees by chance')
  // a judge right in 0.9 of cases sees 0.82 where 0.9 is so
  t.ok(Math.abs(corrected(share(82, 100), 0.9).value! - 0.9) < 1e-9)
  t.equal(corrected(share(82, 100), 0.5).value, null)
  t.equal(corrected(share(100, 100), 0.9).value, 1)
})

t.test('phrases are met as whole words, with any ending only where it says so', async (t) => {
  const count = matcher(['tax*', 'law and order', 'free market', '🖕', 'I can’t'])
  t.equal(count('Taxes, taxation and TAX: syntax is none.'), 3)
  t.equal(count('Law  and, order! lawand order'), 1)
  t.equal(count('I can\'t. I can’t.'), 2)
  t.equal(count('free markets'), 0)
  t.equal(count('anything at all 🖕'), 0, 'a phrase without a letter matches nothing, and not everything')
  t.equal(matcher([])('x'), 0)
})

t.test('sentences are counted where they end', async (t) => {
  t.same(sentences('Dr. Smith met e.g. U.S. officials. "Why?" he asked. 1. Take it'), ['Dr. Smith met e.g. U.S. officials.', '"Why?"', 'he asked.', '1. Take it'])
  t.equal(wholeSentences('One. Two that is cut'), 1)
  t.equal(wholeSentences(''), 0)
  t.equal(repetition('a b c a b c a b c'), 1 - 3 / 7)
  t.equal(repetition('one'), 0)
})

t.test('samples of neighbouring names are spread, and one name more moves no other', async (t) => {
  const names = Array.from({ length: 46 }, (_, at) => `s${at}`)
  const some = sample(names, 12, (name) => name, 20261125).map((name) => Number(name.slice(1)))
  t.ok(some.some((one) => one < 15) && some.some((one) => one >= 15 && one < 32) && some.some((one) => one >= 32), some.join())
  t.same(sample([...names, 'other'], 47, (name) => name, 1).filter((name) => name !== 'other'), sample(names, 46, (name) => name, 1))
  t.equal(new Set(names.map((name) => hash32(name) % 1024)).size > 40, true)
})
