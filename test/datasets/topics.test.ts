import fc from 'fast-check'
import t from 'tap'
import { dice } from '../../src/datasets/dice.ts'
import { readRecipe } from '../../src/datasets/recipe.ts'
import { contentWords, jaccard } from '../../src/datasets/text.ts'
import { clusterLabels, type Label } from '../../src/datasets/topics/clusters.ts'
import { counterparts, inTurn } from '../../src/datasets/topics/counterparts.ts'
import { labelKey, readFamilies } from '../../src/datasets/topics/families.ts'
import { StatementIndex } from '../../src/datasets/topics/statement-index.ts'

const RULES = { label_likeness: 0.6, shared_statements: 0.2, largest_cluster: 0.5 }
const families = readFamilies(readRecipe(new URL('../../datasets/recipe.json', import.meta.url).pathname))
const none = { all: [], fixtures: {}, find: () => undefined, named: () => undefined }
const labels = (rows: Record<string, number>): Label[] => Object.entries(rows).map(([name, count]) => ({ name, rows: count })).toSorted((a, b) => a.name < b.name ? -1 : 1)

t.test('a label is one in whatever case, with a counter or under a heading', async (t) => {
  for (const label of ['Abortion', 'abortion', 'ABORTION (2)', 'Social Issues: Abortion', ' abortion ']) t.equal(labelKey(label), 'abortion')
})

t.test('labels of a family are one cluster, and two families stay two however much they share', async (t) => {
  const found = clusterLabels(labels({ abortion: 50, 'abortion rights': 30, 'reproductive health': 20, 'gun control': 60, 'second amendment': 10, kites: 900 }), [{ one: 'abortion', two: 'gun control', statements: 45 }], families, RULES)
  t.same(found, { abortion: 'abortion', 'abortion rights': 'abortion', 'reproductive health': 'abortion', 'gun control': 'gun control', 'second amendment': 'gun control', kites: 'kites' })
})

t.test('without a list, shared statements and likeness of labels join; a cluster does not grow past its bound', async (t) => {
  const rows = { zoos: 10, 'city zoos': 10, 'the zoos of cities': 5, kites: 40, dragons: 35 }
  const found = clusterLabels(labels(rows), [{ one: 'zoos', two: 'city zoos', statements: 4 }, { one: 'kites', two: 'dragons', statements: 20 }], none, RULES)
  t.equal(found['city zoos'], found['the zoos of cities'], 'the same words')
  t.equal(found['zoos'], found['city zoos'], 'shared statements')
  t.not(found['kites'], found['dragons'], 'together they would be three quarters of everything')
  t.same(clusterLabels(labels(rows).toReversed(), [{ one: 'kites', two: 'dragons', statements: 20 }, { one: 'zoos', two: 'city zoos', statements: 4 }], none, RULES), { ...found }, 'the order in which evidence comes does not matter')
})

t.test('a near-repeat is found exactly where a comparison with all finds one', async (t) => {
  const chance = dice(3, 'index')
  const vocabulary = Array.from({ length: 30 }, (_, i) => `word${String.fromCharCode(97 + i % 26)}${i}x`)
  const say = (): string => Array.from({ length: 4 + Math.floor(chance.next() * 8) }, () => chance.pick(vocabulary)).join(' ')
  const held = Array.from({ length: 200 }, say)
  const index = new StatementIndex(0.6)
  for (const text of held) index.add(text)
  let found = 0
  for (let i = 0; i < 2000; i++) {
    const text = i % 3 === 0 ? [...chance.pick(held).split(' ').slice(1), chance.pick(vocabulary)].join(' ') : say()
    const first = held.findIndex((one) => jaccard(contentWords(one), contentWords(text)) >= 0.6)
    if (first >= 0) found++
    t.equal(index.find(text), first < 0 ? undefined : first, text)
  }
  t.ok(found > 100)
  t.equal(index.find('the of and'), undefined, 'without a content word nothing is like it')
  const late = index.add('quite another statement here')
  t.equal(index.find('another quite other statement'), late, 'what is added later is found as well')
})

t.test('as many texts of either end come out as couples, whichever end is longer', async (t) => {
  await fc.assert(fc.asyncProperty(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 40 }), async (left, right) => {
    const stream = function * (end: 'left' | 'right', count: number) { for (let i = 0; i < count; i++) yield { id: `${end}${i}`, source: 's', topic: 't', [end]: `a text of six words, number${i}` } }
    const all = [...counterparts(inTurn([stream('left', left), stream('right', right)]))]
    const couples = all.flatMap((one) => 'alone' in one ? [] : [one])
    t.equal(couples.length, Math.min(left, right))
    t.equal(all.length - couples.length, Math.max(left, right) - couples.length)
    t.equal(new Set(couples.flatMap((one) => [one.left.id, one.right.id])).size, 2 * couples.length, 'nobody twice')
  }), { numRuns: 30 })
})
