import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { krippendorff } from '../../src/datasets/annotation/alpha.ts'
import { readBack, tasks } from '../../src/datasets/annotation/tasks.ts'
import { wholeSentences } from '../../src/datasets/neutral.ts'
import { REAL, run } from '../cli/run.ts'
import { answer } from '../fixtures/upstream.ts'
import { build as gateway, temporary } from '../helper.ts'
import { build, csv, pairs, rowsOf, small } from './small.ts'

const RECIPE = fileURLToPath(new URL('../../datasets/recipe.json', import.meta.url))

t.test('Krippendorff\'s alpha: the published example with four people, twelve units and gaps', async (t) => {
  // Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), example C: nominal data, alpha = 0.743
  const said = [[1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0], [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3], [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0], [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0]]
  const units = Array.from({ length: 12 }, (_, unit) => new Map(said.flatMap((values, person) => values[unit] === 0 ? [] : [[String(person), String(values[unit])] as const])))
  t.equal(Math.round(krippendorff(units).alpha! * 1000) / 1000, 0.743)
  t.equal(krippendorff([new Map([['a', 'x'], ['b', 'y']]), new Map([['a', 'y'], ['b', 'x']])]).alpha! < 0, true, 'worse than chance is below zero')
  t.equal(krippendorff([new Map([['a', 'x']])]).alpha, null, 'one person agrees with nobody')
})

t.test('tasks go out blind and come back: agreement, majorities, and verdicts that the pipeline obeys', async (t) => {
  const set = small(t, csv(pairs(12)))
  await build(set)
  const file = join(set.folder, 'tasks.json')
  const out = await run(REAL, ['datasets', 'tasks', file, '--count', '20', '--recipe', set.file, '--work', set.work, '--interface', join(set.folder, 'interface.xml')])
  t.equal(out.code, 0, out.err)
  const made = JSON.parse(readFileSync(file, 'utf8'))
  t.equal(made.length, 20)
  t.match(readFileSync(join(set.folder, 'interface.xml'), 'utf8'), /<Choice value="A is left of B"\/>/)
  t.ok(made.some((task: any) => task.meta.a === 'left') && made.some((task: any) => task.meta.a === 'right'), 'neither end is always shown first')
  t.notMatch(made.map((task: any) => JSON.stringify(task.data)).join(), /"left"|"right"/, 'what is shown does not say which is which')
  // two people; the first pair is found to be exchanged by both, the second is disputed
  const said = (task: any, exchanged: boolean): string => (task.meta.a === 'left') !== exchanged ? 'A is left of B' : 'B is left of A'
  const results = (choice: string): object[] => [{ from_name: 'stance', to_name: 'a', type: 'choices', value: { choices: [choice] } }]
  const back = made.map((task: any, i: number) => ({ ...task, annotations: [{ completed_by: 1, result: results(said(task, i === 0)) }, { completed_by: { id: 2 }, result: results(said(task, i < 2)) }] }))
  writeFileSync(join(set.folder, 'export.json'), JSON.stringify(back))
  const verdicts = join(set.folder, 'verdicts.jsonl')
  const read = await run(REAL, ['datasets', 'agreement', join(set.folder, 'export.json'), '--write', verdicts])
  t.equal(read.code, 0, read.err)
  t.match(JSON.parse(read.out), { tasks: 20, stance: { units: 20, people: 2 }, majorities: 19, as_labelled: 0.9474 })
  const [first] = rowsOf(verdicts)
  t.match(first, { id: made[0].data.pair, verdict: 'exchanged', for: 2, of: 2 })
  writeFileSync(set.file, JSON.stringify({ ...JSON.parse(readFileSync(set.file, 'utf8')), annotate: { verdicts: 'verdicts.jsonl' } }))
  await build(set)
  const trained = ['train', 'validation'].flatMap((split) => rowsOf(join(set.work, 'export/instructions', `${split}.jsonl`))).filter((row) => row.split === 'train').flatMap((row) => row.from)
  t.notOk(trained.includes(first.id), 'what people found exchanged does not train')
  t.equal(JSON.parse(readFileSync(join(set.work, 'annotate/manifest.json'), 'utf8')).counts['people: exchanged'], 1)
})

t.test('what is not an export of these tasks is refused with its place', async (t) => {
  const [task] = tasks([{ id: 'a', source: 's', topic: 't', cluster: 'c', left: 'l', right: 'r', confidence: 0.9, on_topic: true }], 1, 1)
  t.throws(() => readBack({}, 'x.json'), { message: /wanted the JSON export of Label Studio, a list of tasks/ })
  t.throws(() => readBack([task], 'x.json'), { message: /x\.json, row 1: not a task of ours: annotations/ })
  t.throws(() => readBack([{ ...task, annotations: [{ completed_by: 1, result: [{ from_name: 'stance', type: 'choices', value: { choices: ['maybe'] } }] }] }], 'x.json'), { message: /the choice "maybe" is none of/ })
})

t.test('the base model\'s own answers through the public API: asked once, cut to whole sentences, resumed', async (t) => {
  const served = await gateway(t)
  const folder = temporary(t)
  const [prompts, out, key] = ['prompts.txt', 'answers.jsonl', 'key'].map((name) => join(folder, name)) as [string, string, string]
  writeFileSync(prompts, 'How do I water a fern?\nName three knots.\n')
  writeFileSync(key, served.keys.app)
  served.upstreams.progressive.reply(answer({ content: 'Put a little water on it. Then wait until the soil is dry. And then' }))
  const args = ['datasets', 'neutral', '--base-url', `${served.url}/v1`, '--key-file', key, '--prompts', prompts, '--out', out, '--recipe', RECIPE, '--perspective', 'progressive']
  const ran = await run(REAL, args)
  t.equal(ran.code, 0, ran.err)
  t.match(ran.out, /2 asked, 2 kept, 0 were there already/)
  t.match(rowsOf(out), [{ prompt: 'How do I water a fern?', answer: 'Put a little water on it. Then wait until the soil is dry.', record: /^[0-9a-f-]{36}$/ }, { prompt: 'Name three knots.' }])
  writeFileSync(prompts, 'Name three knots.\nHow do I fold a map?\n')
  t.match((await run(REAL, args)).out, /1 asked, 1 kept, 2 were there already/)
  writeFileSync(prompts, 'How do I make a cup of tea?\n')
  const contaminated = await run(REAL, args)
  t.equal(contaminated.code, 1)
  t.match(contaminated.err, /row 1: "How do I make a cup of tea\?" is an item of evaluation questions/)
})

t.test('an answer of another perspective than the one asked for stops it, and is not kept', async (t) => {
  const server = createServer((_, response) => { response.setHeader('content-type', 'application/json').end(JSON.stringify({ choices: [{ index: 0, message: { role: 'assistant', content: 'One long sentence stands here.' } }], perspective: { id: 'conservative' } })) })
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { server.close() })
  const folder = temporary(t)
  writeFileSync(join(folder, 'p'), 'How do I fold a map?\n')
  writeFileSync(join(folder, 'k'), 'key')
  const ran = await run(REAL, ['datasets', 'neutral', '--base-url', `http://127.0.0.1:${(server.address() as AddressInfo).port}`, '--key-file', join(folder, 'k'), '--prompts', join(folder, 'p'), '--out', join(folder, 'o'), '--recipe', RECIPE])
  t.equal(ran.code, 1)
  t.match(ran.err, /was answered by "conservative", and "baseline" was asked/)
  t.throws(() => readFileSync(join(folder, 'o')))
})

t.test('whole sentences: the torn one goes, circles and scraps are refused', async (t) => {
  t.equal(wholeSentences('Boil the water. Add the leaves and'), 'Boil the water.')
  t.equal(wholeSentences('Boil it well. Boil it well. Boil it well.'), undefined)
  t.equal(wholeSentences('and so on without an end'), undefined)
})

t.test('help, exit codes, and plain lines where there is no terminal', async (t) => {
  const help = await run(REAL, ['datasets', '--help'])
  t.equal(help.code, 0)
  for (const name of ['build', 'objective', 'collect', 'clean', 'pair', 'annotate', 'split', 'augment', 'decontaminate', 'balance', 'export', 'tasks', 'agreement', 'feedback', 'neutral', 'validate', 'verify', 'report']) {
    t.match(help.out, new RegExp(`^  ${name} `, 'm'))
    const one = await run(REAL, ['datasets', name, '--help'])
    t.match(one, { code: 0, out: new RegExp(`Usage: parallax datasets ${name}`) })
  }
  t.equal((await run(REAL, ['datasets', 'nothing'])).code, 2)
  t.equal((await run(REAL, ['datasets', 'clean', '--no-such'])).code, 2)
  const failed = await run(REAL, ['datasets', 'clean', '--work', join(temporary(t), 'empty')])
  t.match(failed, { code: 1, err: /Run "parallax datasets collect" first/ })
  t.notOk(failed.err.includes('\u001b'), 'no bar')
})
