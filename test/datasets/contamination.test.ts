import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import t, { type Test } from 'tap'
import { Contamination, evaluationDigests, readContamination } from '../../src/datasets/contamination.ts'
import { contaminated, decontaminate } from '../../src/datasets/decontaminate.ts'
import { runStage } from '../../src/datasets/stage.ts'
import { build, csv, LISTS, pairs, rowsOf, small, type Small } from './small.ts'

const ROOT = resolve(LISTS, '../..')

/** A recipe whose only evaluation set is this file. */
function withSet (t: Test, reader: string, texts: readonly string[], content: string | undefined, over: object = {}): Small {
  const set = small(t, csv(pairs()), { recipe: { decontaminate: { sets: 'lists/sets.json' } } })
  mkdirSync(join(set.folder, 'lists'))
  if (content !== undefined) writeFileSync(join(set.folder, 'lists/items'), content)
  const one = { name: 'items', file: 'items', reader, texts, licence: 'Apache-2.0', address: 'this test', ...over }
  writeFileSync(join(set.folder, 'lists/sets.json'), JSON.stringify({ title: 'One set', licence: 'Apache-2.0', address: 'this test', method: 'by hand', sets: [one] }))
  return set
}

t.test('whatever the evaluation and the policy are measured by is on the list, and every set on it has texts', async (t) => {
  const file = join(LISTS, 'evaluation-sets.json')
  const listed = new Set((JSON.parse(readFileSync(file, 'utf8')) as { sets: { file: string }[] }).sets.map((one) => resolve(dirname(file), one.file)))
  for (const folder of ['evaluation/prompts', 'evaluation/instruments', 'policy/prompts']) {
    for (const name of readdirSync(join(ROOT, folder))) t.ok(listed.has(join(ROOT, folder, name)), `${folder}/${name}`)
  }
  const set = small(t, csv(pairs()))
  const found = await readContamination(set.recipe())
  t.equal(Object.keys(found.sizes).length, listed.size)
  t.match(found.sizes, { xstest: 450, sapplyvalues: 46, 'evaluation, negated questionnaire items': 46, 'evaluation, turns of callers who want the other side': 3 })
})

t.test('an item is known word for word, by eight words in a row, or by content words alike by 0.6; by less it is not', async (t) => {
  const sets = new Contamination(8, 0.6)
  sets.add('short', 'Is it right?')
  sets.add('long', 'Rivers carry salmon northward while glaciers feed quiet meadows below mountains.')
  sets.add('quoted', 'It isn\u2019t the farmers\u2019 fault')
  t.match(sets.find('is it RIGHT'), { set: 'short', by: 'word for word' })
  t.equal(sets.find('It is right.'), undefined, 'few content words: a share says nothing')
  t.match(sets.find('They say rivers carry salmon northward while glaciers feed quiet hills and some trains that never stop at any station of the country.'), { set: 'long', by: '8 words in a row' })
  t.equal(sets.find('They say rivers carry salmon northward while glaciers feed loud hills and some trains that never stop at any station of the country.'), undefined, 'seven in a row')
  t.match(sets.find('Below mountains, meadows feed quiet glaciers while salmon rivers bend.'), { set: 'long', by: 'content words alike' })
  t.equal(sets.find('Below mountains, quiet meadows feed cattle while tired herders bake bread.'), undefined)
  t.match(sets.find("it isn't the farmers' fault"), { set: 'quoted', by: 'word for word' }, 'whatever the quotes')
  t.match(sets.find('Is\u200b it\u00a0right?'), { set: 'short' }, 'and whatever cannot be seen')
})

t.test('an item that runs over the end of a sentence is found in the answer', async (t) => {
  const sets = new Contamination(8, 0.6)
  sets.add('items', 'The tea is cold. Warm it for two minutes.')
  const row = { id: 'a', kind: 'opinion', split: 'train', cluster: 'c', topic: 't', parent: null, from: [], prompt: [{ role: 'user', content: 'And?' }], right: 'No.' } as const
  t.match(contaminated({ ...row, left: 'I see that the tea is cold. Warm it for two minutes and then drink all of what there is in the old pot.' }, sets), { set: 'items', by: '8 words in a row' })
  t.equal(contaminated({ ...row, left: 'I see that the tea is hot. Drink it.' }, sets), undefined)
})

const FORMS: readonly (readonly [reader: string, texts: readonly string[], content: string, empty: string, wanted: readonly string[]])[] = [
  ['csv', ['q'], 'q,z\n"Is tea, then, a drink?",1\n', 'q,z\n,1\n', ['Is tea, then, a drink?']],
  ['jsonl', ['a.b'], '{"a":{"b":["One pot of tea.","Two pots of tea."]}}\n', '{"a":{}}\n', ['One pot of tea.', 'Two pots of tea.']],
  ['json', ['items.text'], '{"items":[{"text":"One kettle."},{"text":"Two kettles."}]}', '{"items":[]}', ['One kettle.', 'Two kettles.']],
  ['lines', [], 'One cup.\n\nTwo cups.\n', ' \n\n', ['One cup.', 'Two cups.']],
  ['templates', [], '{"templates":["What of {topic}?","Why {topic}?"],"phrases":{"t":"tea at $& o\'clock"},"other":"no"}', '{"templates":["What of {topic}?"]}', ['What of tea at $& o\'clock?', 'Why tea at $& o\'clock?']],
  ['questions-js', [], 'questions = [{"question": "Tea is \\"good\\".", "effect": 1}]', 'questions = [{"text": "Tea."}]', ['Tea is "good".']],
  ['evaluation-questions', [], '{"template":"What of {topic}?","held_out":{"a":"tea"},"fixtures":["milk"],"harmless":["Name a cup."]}', '{"template":"What of {topic}?","held_out":{},"fixtures":[],"harmless":[]}', ['What of tea?', 'What of milk?', 'Name a cup.']],
]
for (const [reader, texts, content, empty, wanted] of FORMS) {
  t.test(`sets written as ${reader}: every text is known, and one that gives none stops the build`, async (t) => {
    const found = await readContamination(withSet(t, reader, texts, content).recipe())
    t.equal(found.sizes['items'], wanted.length)
    for (const text of wanted) t.match(found.find(text), { set: 'items', text })
    await t.rejects(readContamination(withSet(t, reader, texts, empty).recipe()), { name: 'DatasetError', message: new RegExp(`evaluation set items \\(items\\) gave no text.*read as ${reader}: nothing would be kept out`) })
  })
}

t.test('a set that is not there, broken or without a licence stops the build before anything is written', async (t) => {
  for (const [set, message] of [
    [withSet(t, 'lines', [], undefined), /evaluation set items \(items\) cannot be read: .*Nothing trains until it can be held against it/],
    [withSet(t, 'json', ['a'], '{'), /cannot be read: .*JSON/],
    [withSet(t, 'jsonl', ['a'], '{"a":"b"}\nno\n'), /items, row 2: wanted a JSON object/],
    [withSet(t, 'lines', [], 'x\n', { licence: undefined }), /a set without a licence is refused/],
  ] as const) {
    await t.rejects(build(set), { name: 'DatasetError', message })
    t.throws(() => readFileSync(join(set.work, 'export/manifest.json')), { code: 'ENOENT' })
  }
})

t.test('a set that changed is held against the rows again', async (t) => {
  const set = withSet(t, 'lines', [], 'One cup.\n')
  await build(set, 'decontaminate')
  const before = evaluationDigests(set.recipe())
  t.equal((await runStage(decontaminate, set.recipe(), set.work, () => {})).already, true)
  const [row] = rowsOf(join(set.work, 'decontaminate/part-00000.jsonl')).filter((one) => one.split === 'train')
  writeFileSync(join(set.folder, 'lists/items'), `One cup.\n${row.left}\n`)
  t.not(evaluationDigests(set.recipe())['items'], before['items'])
  const { already, manifest } = await runStage(decontaminate, set.recipe(), set.work, () => {})
  t.equal(already, false)
  t.ok(Object.entries(manifest.counts).some(([name, count]) => name.startsWith('dropped: items') && count > 0), JSON.stringify(manifest.counts))
})
