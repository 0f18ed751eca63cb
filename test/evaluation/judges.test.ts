import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Items } from './items.ts'
import { cuesJudge, wordsJudge } from '../../src/evaluation/judges/judges.ts'
import { accuracyOf, makeWordsFile, readSources, readWordsFile } from '../../src/evaluation/judges/words-file.ts'
import { SLOTS, stance } from '../../src/evaluation/judges/words.ts'
import { readInstruments } from '../../src/evaluation/instruments.ts'
import { readSplit } from '../../src/evaluation/split.ts'
import { temporary } from '../helper.ts'
import { instruments, ROOT, split, words } from './evaluating.ts'

const csv = readFileSync(join(ROOT, 'training/data/twinviews-13k.csv'))
const sources = readSources({ recipe: join(ROOT, 'datasets/recipe.json'), twinviews: join(ROOT, 'training/data/twinviews-13k.csv'), neutral: join(ROOT, 'datasets/neutral/answers.jsonl') })

t.test('the word judge learns from no topic that is held out, nor from what mentions one', async (t) => {
  t.ok(split.train.length > 5000 && split.test.length > 2000)
  const held = new Set(split.test.flatMap(({ left, right }) => [left, right]))
  t.equal(split.train.filter(({ family }) => split.heldOut.includes(family)).length, 0)
  // statements stand under several labels: those of a held-out topic are few, and none under a pattern of it
  const shared = split.train.filter(({ left, right }) => held.has(left) || held.has(right))
  t.ok(shared.length / split.train.length < 0.01, `${shared.length} of ${split.train.length}`)
  t.equal(split.train.filter(({ left }) => /death penalty|nuclear power|net neutrality/i.test(left)).length, 0)
})

t.test('the committed word judge is what the command makes, and as right as it says', async (t) => {
  const made = makeWordsFile(sources, words.made.seed)
  t.same(made, words.made, 'run: npm run parallax -- evaluate judge')
  t.same(accuracyOf(split, wordsJudge(words.model, words.made).verdict), words.made.held_out)
  t.ok(words.made.held_out.statements.low! > 0.8)
})

t.test('of what is not political the word judge says next to nothing, and where politics is slipped in it says so', async (t) => {
  const { lean, political, statements_political: statements } = words.made.held_out_neutral
  t.ok(Math.abs(lean.value!) < 0.025 && lean.high! - lean.low! < 0.05, `${lean.value}, ${lean.n} texts`)
  t.ok(political.high! < 0.12 && statements.low! > 0.98)
  const { verdict } = wordsJudge(words.model, words.made)
  const held = sources.neutral.content.filter((_, at) => at % 5 === 0)
  const slipped = (side: 'left' | 'right'): number => held.reduce((sum, text, at) => sum + verdict(`${text} ${split.test[at * 7 % split.test.length]![side]}`), 0) / held.length
  t.ok(slipped('left') > 0.1 && slipped('right') < -0.1, `a left statement at the end of a recipe: ${slipped('left')}, a right one: ${slipped('right')}`)
  // a test of the test: which side alone, as it was, leans by itself
  const always = (text: string): number => stance({ ...words.model, political: { weights: new Int8Array(SLOTS), bias: 1, scale: 100 } }, text)
  t.ok(held.reduce((sum, text) => sum + always(text), 0) / held.length < -0.1)
})

t.test('the second judge knows nothing of TwinViews and is right often enough to be one', async (t) => {
  const judge = cuesJudge(instruments.lexicon, split)
  t.equal(judge.independent, true)
  t.ok(judge.accuracy.statements.low! > 0.8 && judge.accuracy.pairs.low! > 0.9)
  t.equal(judge.verdict('How do I boil an egg?'), 0, 'no verdict where there is nothing to see')
  t.ok(judge.verdict('Low taxes and personal responsibility.') < 0 && judge.verdict('Social justice and affordable housing.') > 0)
})

t.test('a judge of another split, or a broken one, is refused with what to do', async (t) => {
  const file = join(temporary(t), 'words.json')
  const write = (change: object) => { writeFileSync(file, JSON.stringify({ ...words.made, ...change })); return () => readWordsFile(file, split) }
  t.throws(write({ split_sha256: '0'.repeat(64) }), /another split.*may have seen.*evaluate judge/s)
  t.throws(write({ political: { ...words.made.political, weights: 'AAAA' } }), /3 weights.*evaluate judge/s)
  t.throws(write({ schema: 1 }), /no word judge/)
  t.throws(() => readWordsFile(`${file}.none`, split), /missing.*evaluate judge/s)
})

t.test('a split that holds out what there is not is refused', async (t) => {
  const recipe = JSON.parse(readFileSync(join(ROOT, 'datasets/recipe.json'), 'utf8'))
  const folder = temporary(t)
  const write = (test: unknown) => { writeFileSync(join(folder, 'recipe.json'), JSON.stringify({ ...recipe, pair: { families: join(ROOT, 'datasets/lists/topics.json') }, split: { ...recipe.split, test } })); return () => readSplit(join(folder, 'recipe.json'), csv.toString('utf8')) }
  t.throws(write(['teapots']), /no pair is on the held-out topics teapots/i)
  t.throws(write(null), /names no topics/)
})

t.test('every instrument says its licence, and no text of one stands in another', async (t) => {
  for (const { file, licence, sha256 } of instruments.files) t.ok(licence.length > 2 && sha256.length === 64, file)
  t.equal(instruments.xstest.length, 450)
  t.equal(instruments.xstest.filter(({ safe }) => !safe).length, 200)
  const original = [...readFileSync(join(ROOT, 'evaluation/instruments/sapplyvalues.js'), 'utf8').matchAll(/"question": ("(?:[^"\\]|\\.)*"), "effects": (\{.*?\})/g)].map(([, text, effects]) => ({ text: JSON.parse(text!), effects: JSON.parse(effects!) }))
  t.same(instruments.questionnaires[0]!.items.map(({ text, effects }) => ({ text, effects })), original, 'SapplyValues as it is')
  t.ok(instruments.questionnaires[0]!.items.every(({ text, negated }) => negated !== undefined && negated !== text))
  const texts = Items(instruments)
  t.equal(new Set(texts).size, texts.length)
  const train = readFileSync(join(ROOT, 'datasets/neutral/instructions.txt'), 'utf8').toLowerCase().split('\n')
  t.same(instruments.harmless.prompts.filter(({ text }) => train.includes(text.toLowerCase())), [], 'everyday prompts are none that train')
  for (const { left, right } of [...instruments.paired.pairs, ...instruments.outgroups.pairs, ...instruments.adversarial.pairs]) t.ok(Math.abs(left.length - right.length) < 25, left)
  for (const topic of split.heldOut) t.ok(instruments.questions.phrases[topic], `${topic} has a phrase`)
})

t.test('a questionnaire of one\'s own is read, and one with mistakes is refused by name', async (t) => {
  const file = join(temporary(t), 'mine.json')
  const mine = { id: 'mine', title: 'Mine', licence: 'all rights reserved', source: 'me', axes: [{ id: 'x', title: 'X', low: 'a', high: 'b' }], options: [{ text: 'Yes', value: 1 }, { text: 'No', value: -1 }], refusals: ['I would rather not say'], items: [{ id: '1', text: 'Tea is good.', effects: { x: 1 } }] }
  writeFileSync(file, JSON.stringify(mine))
  t.match(readInstruments(ROOT, [file]), { questionnaires: [{ id: 'sapplyvalues' }, { id: 'mine' }] })
  writeFileSync(file, JSON.stringify({ ...mine, items: [{ id: '1', text: 'Tea is good.', effects: { y: 1 } }] }))
  t.throws(() => readInstruments(ROOT, [file]), /mine\.json: items\.0\.effects: there is no axis "y"/)
  t.throws(() => readInstruments(ROOT, [`${file}.none`]), /cannot be read as JSON/)
})
