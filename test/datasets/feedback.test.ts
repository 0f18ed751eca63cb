import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { KeyGuard, PromptGuard } from '../../src/datasets/feedback/guard.ts'
import { readGiven } from '../../src/datasets/feedback/given.ts'
import type { Gateway } from '../../src/datasets/gateway.ts'
import { feedbackRows, type FeedbackReport } from '../../src/datasets/feedback/rows.ts'
import { readRecipe } from '../../src/datasets/recipe.ts'
import { REAL, run } from '../cli/run.ts'
import { answer } from '../fixtures/upstream.ts'
import { build, QUESTION, temporary, type Built } from '../helper.ts'
import { rowsOf } from './small.ts'

const RECIPE = fileURLToPath(new URL('../../datasets/recipe.json', import.meta.url))
const ASKED = [{ role: 'system', content: 'Be brief.' }, { role: 'user', content: 'How would you pay for bridges in a small town?' }]

async function say (gateway: Built, body: object, key = gateway.keys.app): Promise<any> {
  const reply = await fetch(`${gateway.url}/v1/feedback`, { method: 'POST', headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' }, body: JSON.stringify(body) })
  return reply.json()
}

async function ask (gateway: Built, body: object): Promise<string> {
  const reply = await gateway.ask({ model: 'parallax', messages: ASKED, ...body })
  await reply.text()
  return reply.headers.get('x-audit-record')!
}

function keys (t: Test, gateway: Built): string[] {
  const folder = temporary(t)
  return (['admin', 'auditor'] as const).flatMap((name) => {
    writeFileSync(join(folder, name), gateway.keys[name])
    return [`--${name}-key-file`, join(folder, name)]
  })
}

t.test('from answers that people judged to rows that train, with consent and provenance, through a real gateway', async (t) => {
  const gateway = await build(t)
  gateway.upstreams.progressive.reply(answer({ content: ['A toll would be fair to those who live there.', 'A bond would be fair to those who come later.'] }))
  gateway.upstreams.conservative.reply(answer({ content: 'A private owner would keep the bridges in order.' }))
  const [two, streamed, both, asked] = [await ask(gateway, { perspective: 'progressive', n: 2 }), await ask(gateway, { perspective: 'conservative', stream: true }), await ask(gateway, { perspective: 'both' }), await ask(gateway, { perspective: 'progressive', messages: QUESTION })]
  const choice = await say(gateway, { record: two, preferred: 1, over: 0, consent: true })
  const good = await say(gateway, { record: streamed, rating: 'good', comment: 'Quite so, says Joan.', consent: true })
  const bad = await say(gateway, { record: both, choice: 1, rating: 'bad', consent: true })
  await say(gateway, { record: two, choice: 0, rating: 'good' })
  await say(gateway, { record: both, preferred: 0, over: 1, consent: true })
  await say(gateway, { record: asked, rating: 'good', consent: true })
  await say(gateway, { preferred: { record: two, choice: 0 }, over: { record: asked }, consent: true })
  const out = join(temporary(t), 'feedback')
  const args = ['datasets', 'feedback', out, '--base-url', gateway.url, '--recipe', RECIPE, ...keys(t, gateway)]
  const ran = await run(REAL, args)
  t.equal(ran.code, 0, ran.err)
  t.same(rowsOf(join(out, 'progressive.dpo.jsonl')), [{ id: choice.id, prompt: ASKED, chosen: [{ role: 'assistant', content: 'A bond would be fair to those who come later.' }], rejected: [{ role: 'assistant', content: 'A toll would be fair to those who live there.' }] }])
  const kto = rowsOf(join(out, 'conservative.kto.jsonl')).toSorted((a, b) => a.id < b.id ? -1 : 1)
  const said = [{ role: 'assistant', content: 'A private owner would keep the bridges in order.' }]
  t.same(kto, [{ id: good.id, prompt: ASKED, completion: said, label: true }, { id: bad.id, prompt: ASKED, completion: said, label: false }])
  t.notOk(existsSync(join(out, 'conservative.dpo.jsonl')), 'a choice between sides trains neither')
  const report = JSON.parse(readFileSync(join(out, 'report.json'), 'utf8'))
  t.match(report, { given: 6, rows: { 'progressive.dpo': 1, 'conservative.kto': 2 }, dropped: { 'a choice between sides': 1, 'an evaluation item': 1, 'a choice between answers to different questions': 1 } })
  const provenance = rowsOf(join(out, 'provenance.jsonl'))
  t.equal(provenance.length, 3)
  t.match(provenance.find((row) => row.id === choice.id), { file: 'progressive.dpo.jsonl', consent_version: '2026-11', key: /^k_/, answers: [{ record: two, choice: 1, perspective: 'progressive' }, { record: two, choice: 0 }] })
  t.notMatch(JSON.stringify([report, provenance, kto]), /Joan/, 'no comment')
  const reads = (await gateway.leaves()).filter((leaf) => leaf.type === 'audit.read')
  for (const record of [two, streamed, both]) t.ok(reads.some((leaf) => leaf['record'] === record), 'the reading is on record')

  t.equal((await run(REAL, args)).code, 2, 'what is there is not written over unasked')
  const before = readFileSync(join(out, 'report.json'), 'utf8')
  t.equal((await run(REAL, [...args, '--fresh'])).code, 0)
  t.equal(readFileSync(join(out, 'report.json'), 'utf8'), before, 'the same rows give the same files')
})

t.test('a wrong key, a gateway that is not there and nothing to train on: said, and nothing is written', async (t) => {
  const gateway = await build(t)
  const out = join(temporary(t), 'feedback')
  const args = ['datasets', 'feedback', out, '--base-url', gateway.url, '--recipe', RECIPE, ...keys(t, gateway)]
  const empty = await run(REAL, args)
  t.equal(empty.code, 1)
  t.match(empty.err, /No row is left of 0 with consent/)
  const swapped = await run(REAL, [...args.slice(0, -4), '--admin-key-file', args.at(-1)!, '--auditor-key-file', args.at(-1)!])
  t.equal(swapped.code, 1)
  t.match(swapped.err, /export\?consent=true was answered with 403/)
  const nowhere = await run(REAL, args.map((arg) => arg === gateway.url ? 'http://127.0.0.1:9' : arg))
  t.match(nowhere.err, /does not answer .*Is the gateway running there\?/)
  t.notOk(existsSync(out))
  t.notOk(existsSync(`${out}.tmp`))
})

const lines = (...all: string[]): Gateway => ({ get: async () => ({}), post: async () => ({ json: {}, headers: new Headers() }), async * lines () { yield * all } })
const row = JSON.stringify({ id: 'a', created: 1, key: 'k', kind: 'rating', rating: 'good', about: { record: '01a21347-a7ef-714d-8f7d-005612756a46', choice: 0, perspective: 'progressive', adapter_sha256: null }, consent: true, consent_version: '1' })
const read = async (gateway: Gateway): Promise<number> => { let rows = 0; for await (const _ of readGiven(gateway)) { void _; rows++ } return rows }

t.test('an export that was cut off, counts wrongly or holds something else is refused with its row', async (t) => {
  t.equal(await read(lines(row, '{"manifest":{"rows":1}}')), 1)
  await t.rejects(read(lines(row)), { message: /cut off after 1 rows/ })
  await t.rejects(read(lines(row, '{"manifest":{"rows":2}}')), { message: /gave 1 rows and says that they are 2/ })
  await t.rejects(read(lines(row, '{"id":3}')), { message: /row 2: wanted a row of feedback/ })
})

t.test('one key that says the most has no more rows than it may, through the command; the report shows each share by pseudonym', async (t) => {
  const gateway = await build(t)
  const loud = []
  for (let i = 0; i < 6; i++) {
    gateway.upstreams.progressive.reply(answer({ content: `A toll of ${i + 2} coins would be fair to those who live there.` }))
    loud.push(await ask(gateway, { perspective: 'progressive', messages: [{ role: 'user', content: `How would you pay for bridge number ${i + 2} in a small town?` }] }))
  }
  for (const record of loud) await say(gateway, { record, rating: 'good', consent: true })
  const out = join(temporary(t), 'feedback')
  const ran = await run(REAL, ['datasets', 'feedback', out, '--base-url', gateway.url, '--recipe', RECIPE, '--most-per-key', '2', ...keys(t, gateway)])
  t.equal(ran.code, 0, ran.err)
  t.equal(rowsOf(join(out, 'progressive.kto.jsonl')).length, 2)
  t.match(JSON.parse(readFileSync(join(out, 'report.json'), 'utf8')), { given: 6, limits: { perKey: 2 }, dropped: { 'more than one key may say': 4 }, keys: [{ key: /^k_/, given: 6, kept: 2 }], largest_share: 1 })
})

const RECORD = '01a21347-a7ef-714d-8f7d-005612756a46'
/** What the rows of feedback become where their transcript is this, or why there are none. */
async function rowsFrom (t: Test, given: readonly object[], transcript: (record: string) => object): Promise<{ report: FeedbackReport, folder: string }> {
  const folder = join(temporary(t), 'feedback')
  const auditor: Gateway = { ...lines(), get: async (path: string) => transcript(path.split('/').at(-1)!) }
  const admin = lines(...given.map((one) => JSON.stringify(one)), JSON.stringify({ manifest: { rows: given.length } }))
  const report = await feedbackRows({ admin, auditor, recipe: readRecipe(RECIPE), limits: { perKey: 200, perPrompt: 20, perKeyAndPrompt: 2 }, report: () => {} }, folder)
  return { report, folder }
}
const spoken = (content: string, question = 'How would you pay for bridges?') => ({ leaf: 'a', payload: { state: 'present', text: JSON.stringify({ messages: [{ role: 'user', content: question }] }) }, ends: [{ leaf: 'b', payload: { state: 'present', text: JSON.stringify({ choices: [{ index: 0, message: { content } }, { index: 1, message: { content: 'A bond would be fair.' } }] }) } }] })
const rated = (over: object = {}): object => ({ ...JSON.parse(row), about: { record: RECORD, choice: 0, perspective: 'progressive', adapter_sha256: null }, ...over })

t.test('what was exported without consent, of a transcript that is gone, or with somebody\'s address in it, whether liked or not, never trains', async (t) => {
  const of = async (given: object, transcript: object): Promise<void> => { await rowsFrom(t, [given], () => transcript) }
  for (const [given, transcript, why] of [
    [rated({ consent: false }), spoken('A toll would be fair.'), 'without consent'],
    [rated({ consent_version: null }), spoken('A toll would be fair.'), 'without consent'],
    [rated(), { ...spoken('A toll.'), payload: { state: 'erased', text: null } }, 'its transcript is erased'],
    [rated(), { ...spoken('A toll.'), ends: [] }, 'the answer is empty'],
    [rated({ rating: 'bad' }), spoken('Write to joan.doe@example.org about the toll.'), 'personal data'],
    [rated({ rating: 'bad' }), spoken('How can I kill a Python process?'), 'an evaluation item'],
    [{ ...rated(), kind: 'choice', preferred: { record: RECORD, choice: 1, perspective: 'progressive', adapter_sha256: null }, over: { record: RECORD, choice: 0, perspective: 'progressive', adapter_sha256: null } }, spoken('Write to joan.doe@example.org about the toll.'), 'personal data'],
    [{ ...rated(), kind: 'choice', preferred: { record: RECORD, choice: 1, perspective: 'progressive', adapter_sha256: null }, over: { record: RECORD, choice: 0, perspective: 'progressive', adapter_sha256: null } }, spoken('A bond would be fair.'), 'both answers are the same'],
  ] as const) await t.rejects(of(given, transcript), { name: 'DatasetError', message: new RegExp(`No row is left of 1 with consent: .*"${why}":1.*Nothing was written`) }, why)
})

t.test('one question has no more rows than it may, however many keys speak of it', async (t) => {
  const given = Array.from({ length: 30 }, (_, i) => rated({ id: `row ${i}`, key: `k${i}` }))
  const { report, folder } = await rowsFrom(t, given, () => spoken('A toll would be fair to those who live there.'))
  t.match(report, { given: 30, rows: { 'progressive.kto': 20 }, dropped: { 'more than one question may have': 10 } })
  t.equal(rowsOf(join(folder, 'provenance.jsonl')).length, 20)
})

t.test('one key cannot flood: what stays is bounded by key and by question, and who was fast gains nothing', async (t) => {
  const guard = new KeyGuard<{ id: string, key: string }>(10, 1)
  for (let i = 0; i < 5000; i++) guard.add({ id: `loud ${i}`, key: 'loud' })
  for (let i = 0; i < 7; i++) guard.add({ id: `quiet ${i}`, key: 'quiet' })
  const kept = guard.kept()
  t.equal(kept.filter(({ key }) => key === 'loud').length, 10)
  t.equal(kept.filter(({ key }) => key === 'quiet').length, 7)
  t.same(guard.shares(), [{ key: 'loud', given: 5000, kept: 10 }, { key: 'quiet', given: 7, kept: 7 }])
  t.ok(kept.some(({ id }) => Number(id.split(' ')[1]) > 1000), 'not the first ones')
  const backwards = new KeyGuard<{ id: string, key: string }>(10, 1)
  for (let i = 4999; i >= 0; i--) backwards.add({ id: `loud ${i}`, key: 'loud' })
  t.same(backwards.kept(), kept.filter(({ key }) => key === 'loud'), 'the order in which they came does not matter')
  const prompts = new PromptGuard({ perKey: 10, perPrompt: 3, perKeyAndPrompt: 2 })
  t.same(['a', 'a', 'a', 'b', 'c'].map((key) => prompts.refuses('q', key)), [undefined, undefined, 'more than one key may say on one question', undefined, 'more than one question may have'])
})
