import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { featuresOf } from '../../src/datasets/balance/features.ts'
import { balanceReport } from '../../src/datasets/balance/report.ts'
import { croissantMistakes } from '../../src/datasets/card/croissant.ts'
import { checkOpenAi } from '../../src/datasets/formats/openai-check.ts'
import { readRecipe } from '../../src/datasets/recipe.ts'
import { runStage } from '../../src/datasets/stage.ts'
import { STAGES } from '../../src/datasets/stages.ts'
import { readFamilies } from '../../src/datasets/topics/families.ts'
import { verifyWork } from '../../src/datasets/work.ts'
import { temporary } from '../helper.ts'
import { build, csv, pairs, small } from './small.ts'

const SHIPPED = fileURLToPath(new URL('../../datasets/recipe.json', import.meta.url))

t.test('the committed report was made with the recipe, lists and sources that lie beside it', async (t) => {
  const recipe = readRecipe(SHIPPED)
  const manifests = JSON.parse(readFileSync(join(recipe.folder, 'report/manifests.json'), 'utf8')) as { stage: string, settings: unknown, files?: { file: string, rows: number }[] }[]
  t.same(manifests.map(({ stage }) => stage), STAGES.map(({ name }) => name))
  // evaluation sets grow by others' hands; what they add is looked for at the next build
  const { sets: _, ...settled } = STAGES.find(({ name }) => name === 'decontaminate')!.settings(recipe) as Record<string, unknown>
  void _
  for (const stage of STAGES) t.match(manifests.find((one) => one.stage === stage.name)!.settings, JSON.parse(JSON.stringify(stage.name === 'decontaminate' ? settled : stage.settings(recipe))), `${stage.name}; after a change: datasets build, datasets report --write datasets/report`)
  const balance = JSON.parse(readFileSync(join(recipe.folder, 'report/balance.json'), 'utf8'))
  for (const { fixture, rows } of balance.fixtures) t.ok(rows > 100, `${fixture} is covered`)
  for (const feature of balance.outside) t.match(readFileSync(join(recipe.folder, 'report/card.md'), 'utf8'), `The sides differ in ${feature}`, `${feature} is said out loud`)
})

t.test('the objective has the same dimensions and bounds on both sides, and every source with its population', async (t) => {
  const recipe = readRecipe(SHIPPED)
  const objective = STAGES.find(({ name }) => name === 'objective')!
  const { manifest } = await runStage(objective, recipe, temporary(t), () => {})
  t.equal(manifest.counts['dimensions'], 5)
  const folder = temporary(t)
  for (const id of ['progressive', 'conservative']) {
    const json = JSON.parse(readFileSync(join(recipe.folder, recipe.perspectives!, id, 'perspective.json'), 'utf8'))
    if (id === 'conservative') { json.dimensions.pop(); json.never.pop(); delete json.sources[0].population }
    const at = join(folder, id)
    mkdirSync(at)
    writeFileSync(join(at, 'perspective.json'), JSON.stringify(json))
  }
  await t.rejects(runStage(objective, { ...recipe, perspectives: folder }, temporary(t), () => {}), { message: /"dimensions" lacks "environment"[\s\S]*"never" lacks factual falsehood[\s\S]*wants "population"[\s\S]*the bounds are the same for both/ })
})

t.test('a difference between the sides is measured in standard deviations, and said when it is too large', async (t) => {
  const counts: Record<string, number> = { rows: 2 }
  for (const [end, texts] of [['left', ['One must act now.', 'We must act and must act.']], ['right', ['One acts now today.', 'We act and act and act.']]] as const) {
    for (const text of texts) for (const [feature, value] of Object.entries(featuresOf(text))) {
      counts[`sum: ${feature}, ${end}`] = (counts[`sum: ${feature}, ${end}`] ?? 0) + value
      counts[`squares: ${feature}, ${end}`] = (counts[`squares: ${feature}, ${end}`] ?? 0) + value ** 2
    }
  }
  const report = balanceReport(counts, 0.1, readFamilies(readRecipe(SHIPPED)))
  const obligation = report.features.find(({ feature }) => feature === 'obligation')!
  // means 1.5 and 0, variances 0.25 and 0
  t.equal(obligation.difference, Math.round(1.5 / Math.sqrt(0.125) * 1e4) / 1e4)
  t.ok(report.outside.includes('obligation'))
})

t.test('features: what each counts', async (t) => {
  const found = featuresOf('We should fund Medicare in New York. It might not cost 3 billion!')
  t.match(found, { words: 13, sentences: 2, hedges: 1, obligation: 1, imperatives: 1, negations: 1, 'named entities': 3, numbers: 1, exclamations: 1 })
})

t.test('the card says licences, splits and differences; Croissant is whole', async (t) => {
  const set = small(t, csv(pairs()))
  await build(set)
  const card = readFileSync(join(set.work, 'export/README.md'), 'utf8')
  t.match(card, /^---\npretty_name: "A small set"\nlanguage:\n- en\nlicense: apache-2\.0\n/)
  t.match(card, /May it train: yes/)
  t.match(card, /\| train \| \d+ \| \d+ \|/)
  const json = JSON.parse(readFileSync(join(set.work, 'export/croissant.json'), 'utf8'))
  t.same(croissantMistakes(json), [])
  t.same(croissantMistakes({ ...json, license: undefined, distribution: json.distribution.slice(1).map((file: object) => ({ ...file, sha256: 'no' })) }).filter((text) => /license|SHA-256|not in "distribution"/.test(text)).length > 3, true)
})

t.test('verify finds a changed byte', async (t) => {
  const set = small(t, csv(pairs()))
  await build(set)
  const names = STAGES.map(({ name }) => name)
  t.same(verifyWork(set.work, names).mistakes, [])
  const file = join(set.work, 'export/trl/progressive.sft.train.jsonl')
  writeFileSync(file, readFileSync(file, 'utf8').replace('a', 'b'))
  t.match(verifyWork(set.work, names).mistakes, [/progressive\.sft\.train\.jsonl has another SHA-256/])
})

t.test('OpenAI\'s checks: each mistake with its row', async (t) => {
  const file = join(temporary(t), 'a.jsonl')
  const user = { role: 'user', content: 'Q' }
  const good = { messages: [user, { role: 'assistant', content: 'A' }] }
  const rows = [...Array(10).fill(good), { messages: [user] }, { messages: [{ role: 'assistant', content: 'A' }, user] }, { messages: [user, { role: 'assistant', content: '' }] }, { messages: [user, { role: 'robot', content: 'A' }] }, { ...good, extra: 1 }, { messages: [user, { role: 'assistant', content: 'A', weight: 0 }] }]
  writeFileSync(file, rows.map((row) => JSON.stringify(row)).join('\n'))
  const { rows: count, mistakes } = checkOpenAi(file, 'sft')
  t.equal(count, 16)
  t.match(mistakes, [/row 11: messages/, /row 12: .*last message must be the assistant's/, /row 13: .*content is empty/, /row 14: messages\.1\.role/, /row 15: .*"extra"/, /row 16: .*no assistant message has weight/])
  const dpo = { input: { messages: [user] }, preferred_output: [{ role: 'assistant', content: 'A' }], non_preferred_output: [{ role: 'assistant', content: 'A' }] }
  writeFileSync(file, JSON.stringify(dpo))
  t.match(checkOpenAi(file, 'dpo').mistakes, [/row 1: .*the same/, /1 rows; wanted at least 10/])
  writeFileSync(file, Array(1300).fill(JSON.stringify(good)).join('\n'))
  const { mistakes: all } = checkOpenAi(file, 'dpo')
  t.equal(all.length, 21)
  t.match([all[0], all[20]], [/row 1: this is a row for sft, and was checked as one for dpo$/, /^and 1,280 more rows that would be refused$/])
})
