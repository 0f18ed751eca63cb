import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { readDeclaration } from '../../src/datasets/declaration.ts'
import { runStage } from '../../src/datasets/stage.ts'
import { STAGES } from '../../src/datasets/stages.ts'
import { build, csv, pairs, small, type Small } from './small.ts'

/** The build stops with these words, and the stage that stopped left no manifest and nothing half-written. */
async function stops (t: Test, set: Small, stage: string, message: RegExp): Promise<void> {
  await t.rejects(build(set), { name: 'DatasetError', message })
  const folder = join(set.work, stage)
  t.notOk(existsSync(join(folder, 'manifest.json')), 'no manifest')
  t.same(existsSync(folder) ? readdirSync(folder, { recursive: true }).filter((name) => String(name).endsWith('.tmp')) : [], [], 'nothing half-written')
  const at = STAGES.findIndex(({ name }) => name === stage)
  for (const { name } of STAGES.slice(at + 1)) t.notOk(existsSync(join(set.work, name)), `${name} did not begin`)
}
const good = csv(pairs())
const second = good.split('\n')[2]!

t.test('a quote that never closes: the row where it opens', async (t) => {
  await stops(t, small(t, good.replace(second, second.replace(/",/, ','))), 'collect', /small\.csv, row 3: broken CSV/)
})

t.test('a row with a field too many: the row, what was wanted and what came', async (t) => {
  await stops(t, small(t, good.replace(second, `${second},extra`)), 'collect', /small\.csv, row 3: broken CSV, wanted 3 fields \(topic, l, r\), came 4/)
})

t.test('another encoding: where it stops being UTF-8', async (t) => {
  await stops(t, small(t, Buffer.from(good.replaceAll('fairness', 'équité'), 'latin1')), 'collect', /small\.csv, row \d+ or soon after: wanted UTF-8/)
  await stops(t, small(t, Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(good, 'utf16le')])), 'collect', /It looks like UTF-16/)
})

t.test('no licence, a licence that allows nothing, and a source that may not be trained on', async (t) => {
  await stops(t, small(t, good, { source: { licence: undefined } }), 'collect', /licence: a source without a licence is refused/)
  await stops(t, small(t, good, { source: { licence: 'unknown' } }), 'collect', /the licence is "unknown", which allows nothing/)
  await stops(t, small(t, good, { source: { licence_question: { may_train: false, may_publish_what_was_trained: false, answer: 'The terms of the site forbid it.' } } }), 'collect', /may not be trained on \(The terms of the site forbid it\.\)/)
})

t.test('another digest than the declared one', async (t) => {
  const set = small(t, good)
  writeFileSync(join(set.folder, 'sources/small.csv'), `${good}taxation,a,b\n`)
  await stops(t, set, 'collect', /small\.csv: SHA-256 is [0-9a-f]{64}, .*declares [0-9a-f]{64}/)
})

t.test('a column that is not there', async (t) => {
  await stops(t, small(t, good, { source: { fields: { topic: 'topic', left: 'left', right: 'r' } } }), 'collect', /names a column "left", and the file has topic, l, r\.$/)
  await stops(t, small(t, 'l;r;topic\nmore;less;taxation\n'), 'collect', /names a column "l", and the file has l;r;topic\. Its columns seem to be parted by semicolons, and this reader wants commas/)
})

t.test('a file without a row', async (t) => {
  for (const text of ['', 'topic,l,r\n']) await stops(t, small(t, text), 'collect', /^No row was read from sources\/small\.json: the declared files hold none\./)
})

t.test('an empty side: the row where it begins', async (t) => {
  await stops(t, small(t, csv(pairs().map((row) => ({ ...row, right: '' })))), 'collect', /The (left|right) side is empty: .*The first is .*small\.csv, row 2: right side empty\. Counted: left out: right side empty: \d+\.$/)
})

t.test('nothing left after cleaning', async (t) => {
  await stops(t, small(t, csv(pairs().map((row) => ({ ...row, left: `${row.left} Write to me@example.org.` })))), 'clean', /"kept" is 0 .*personal data/)
})

t.test('a topic that the recipe would put into two splits', async (t) => {
  await stops(t, small(t, good, { recipe: { split: { validation: ['trade'], test: ['trade'] } } }), 'collect', /trade would stand in two splits/)
})

t.test('a topic in two splits in what is to be exported', async (t) => {
  const set = small(t, good)
  await build(set, 'decontaminate')
  const file = readdirSync(join(set.work, 'split')).map((name) => join(set.work, 'split', name)).find((name) => name.endsWith('.jsonl') && readFileSync(name, 'utf8').includes('"topic":"gambling"'))!
  // the same number of bytes, so that only the gate can see it
  const text = readFileSync(file, 'utf8')
  writeFileSync(file, text.replace('"topic":"gambling"', '"topic":"taxation"'))
  await t.rejects(build(set), { message: /The topic "taxation" stands in (train and in validation|validation and in train)/ })
  t.notOk(existsSync(join(set.work, 'export/manifest.json')))
  t.notOk(existsSync(join(set.work, 'export/trl')))
})

t.test('evaluation items in the training data: left out by decontaminate, and an error should they come back', async (t) => {
  const item = 'Taxation of the wealthy is a bad idea, society would be better off without it.'
  const rows = pairs()
  const set = small(t, csv([...rows, { topic: 'taxation', left: 'Taxation of the wealthy is a good idea, and society would be worse off in its absence.', right: item }]))
  await build(set)
  for (const kind of ['statements', 'instructions', 'trl', 'openai']) {
    for (const name of readdirSync(join(set.work, 'export', kind))) if (!name.includes('test')) t.notMatch(readFileSync(join(set.work, 'export', kind, name), 'utf8'), /taxation of the wealthy is a bad idea/i, `${kind}/${name}`)
  }
  const part = readdirSync(join(set.work, 'decontaminate')).map((name) => join(set.work, 'decontaminate', name)).find((name) => name.endsWith('.jsonl') && readFileSync(name, 'utf8').includes('"split":"train"'))!
  const text = readFileSync(part, 'utf8')
  const row = JSON.parse(text.split('\n')[0]!)
  const forged = JSON.stringify({ ...row, split: 'train', left: item })
  writeFileSync(part, text.replace(text.split('\n')[0]!, forged))
  const stage = STAGES.find(({ name }) => name === 'export')!
  const manifest = join(set.work, 'decontaminate/manifest.json')
  writeFileSync(manifest, readFileSync(manifest, 'utf8').replace(/("bytes": )(\d+)/g, (whole, name, bytes) => Number(bytes) === Buffer.byteLength(text) ? `${name}${Buffer.byteLength(readFileSync(part, 'utf8'))}` : whole))
  await t.rejects(runStage(stage, set.recipe(), set.work, () => {}, true), { message: new RegExp(`Row ${row.id} would train, and repeats an item of sapplyvalues`) })
})

t.test('a stage without what it reads says which one to run', async (t) => {
  const set = small(t, good)
  await t.rejects(runStage(STAGES.find(({ name }) => name === 'pair')!, set.recipe(), set.work, () => {}), { message: /pair reads what clean makes, .*Run "parallax datasets clean" first/ })
})

t.test('a recipe with mistakes names them all', async (t) => {
  const set = small(t, good, { recipe: { seed: -1, name: 'No Good', sides: { left: 'a', right: 'b' } } })
  t.throws(() => set.recipe(), { message: /name: .*seed: / })
  const same = small(t, good, { recipe: { sides: { left: 'a', right: 'a' } } })
  t.throws(() => same.recipe(), { message: /both ends would teach "a"/ })
})

t.test('the shipped declarations are whole', async (t) => {
  const folder = join(import.meta.dirname, '../../datasets/sources')
  for (const name of readdirSync(folder).filter((one) => one.endsWith('.json'))) t.equal(readDeclaration(join(folder, name)).licence_question.may_train, true, name)
})

t.test('the examples for the field\'s sources answer their licence question, and those that answer no are refused', async (t) => {
  const folder = join(import.meta.dirname, '../../datasets/sources/examples')
  for (const name of ['articles', 'abstracts']) t.equal(readDeclaration(join(folder, `${name}.json`)).reader, name)
  for (const name of ['reddit', 'truth-social']) t.throws(() => readDeclaration(join(folder, `${name}.json`)), { message: /may not be trained on/ })
})
