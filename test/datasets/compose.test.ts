import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { contradicts, weigh } from '../../src/datasets/compose/contradiction.ts'
import { readForms, topicPhrase } from '../../src/datasets/compose/forms.ts'
import { isSentence, joined, shouldQuestion } from '../../src/datasets/compose/sentence.ts'
import { readCsv } from '../../src/datasets/readers/csv.ts'
import { readRecipe } from '../../src/datasets/recipe.ts'
import { confidence, features, StanceModel } from '../../src/datasets/stance/stance.ts'
import { temporary } from '../helper.ts'

const forms = readForms(readRecipe(new URL('../../datasets/recipe.json', import.meta.url).pathname))
const lower = new Set(['the', 'government', 'taxes', 'free', 'increase'])

t.test('a statement after an opening loses its capital only where it is no name, and an order becomes what should be done', async (t) => {
  t.equal(joined('I think that ', 'The government should help', lower), 'I think that the government should help.')
  t.equal(joined('I think that ', 'LGBTQ+ people have rights.', lower), 'I think that LGBTQ+ people have rights.')
  t.equal(joined('Also, ', 'Increase funding for schools.', lower), 'Also, we should increase funding for schools.')
  t.equal(joined('', 'Increase in crime is a problem.', lower), 'Increase in crime is a problem.')
  t.equal(joined('Several things weigh here. ', 'The government should help.', lower), 'Several things weigh here. The government should help.')
})

t.test('should-questions only where they are plain', async (t) => {
  t.same(shouldQuestion('The government should provide free healthcare.', lower), { question: 'Should the government provide free healthcare?', clause: 'the government should provide free healthcare', negated: 'Should the government not provide free healthcare?' })
  for (const text of ['Foreign aid is ineffective and should be reduced.', 'Taxes should not be raised.', 'We believe that taxes should fall because they hurt.', 'Taxes are high.', 'Taxes should be low, and rules few.']) t.equal(shouldQuestion(text, lower), undefined, text)
})

t.test('headings are no sentences', async (t) => {
  for (const text of ['Stricter gun laws to reduce violence', 'Higher taxes on the rich']) t.notOk(isSentence(text), text)
  for (const text of ['Taxes are high', 'Cut taxes for families.', 'Unions hinder growth.']) t.ok(isSentence(text), text)
})

t.test('contradiction: the same things with the opposite sign, and two signs make none', async (t) => {
  const against = (one: string, two: string): boolean => contradicts(weigh(one), weigh(two))
  t.ok(against('The death penalty should be abolished.', 'The death penalty should be upheld.'))
  t.ok(against('Taxes on income should be lowered.'.replace('lowered', 'reduced'), 'Taxes on income should be raised.'))
  t.notOk(against('Lower taxes promote economic growth.', 'High taxes hinder economic growth.'))
  t.notOk(against('Schools need more money.', 'Prisons should not be private.'))
})

t.test('labels as they stand in a sentence', async (t) => {
  for (const [label, phrase] of [['death penalty', 'the death penalty'], ['gun control', 'gun control'], ['lgbtq+ rights', 'LGBTQ+ rights'], ['net neutrality', 'net neutrality'], ['gender pay gap', 'the gender pay gap'], ['government', 'the government'], ['the economy', 'the economy']] as const) t.equal(topicPhrase(label, forms), phrase)
})

t.test('every form has ten templates at least, and none names a side or says which answer is wanted', async (t) => {
  for (const [name, form] of Object.entries(forms.forms)) {
    t.ok(new Set(form.templates).size >= 10, name)
    for (const text of [...form.templates, ...'first' in form ? [...form.first!, ...form.acknowledgement!] : []]) t.notMatch(text, /\b(left|right-wing|progressive|conservative|liberal|obviously|surely|don't you)\b/i)
  }
  t.ok(new Set(forms.links).size >= 10 && new Set(forms.openings).size >= 10)
  for (const [one, two] of forms.actors) t.not(one, two)
})

t.test('the stance model: exchanged ends give exchanged confidence, to the last digit', async (t) => {
  const rows = [['Workers need unions and fair wages.', 'Markets set wages best for all.'], ['The rich should pay more.', 'Everybody should pay less.'], ['Protect the rivers by law.', 'Leave the rivers to owners.']].map(([a, b]) => [features(a!), features(b!)] as const)
  const [one, two] = [new StanceModel(), new StanceModel()]
  for (let i = 0; i < 5; i++) for (const [left, right] of rows) { one.learn(left, right); two.learn(right, left) }
  for (const [left, right] of rows) {
    t.equal(confidence(one, left, right), confidence(two, right, left))
    t.ok(confidence(one, left, right) > 0.7)
  }
  t.equal(confidence(StanceModel.from(one.keep()), ...rows[0]!), confidence(one, ...rows[0]!), 'kept and taken up again')
})

t.test('whatever is written as CSV is read back as it was', async (t) => {
  const file = join(temporary(t), 'a.csv')
  const field = fc.string({ unit: fc.constantFrom('a', 'é', '"', ',', '\n', ' ', '🙂'), maxLength: 8 })
  await fc.assert(fc.asyncProperty(fc.array(fc.tuple(field, field), { minLength: 1, maxLength: 20 }), async (rows) => {
    writeFileSync(file, ['x,y', ...rows.map((row) => row.map((text) => `"${text.replaceAll('"', '""')}"`).join(','))].join('\n'))
    const found: unknown[] = []
    for await (const { record } of readCsv(file)) found.push([record['x'], record['y']])
    t.same(found, rows)
  }), { numRuns: 50 })
})
