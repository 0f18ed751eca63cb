import { spawn } from 'node:child_process'
import { existsSync, readFileSync, readdirSync, rmSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import t from 'tap'
import { runStage } from '../../src/datasets/stage.ts'
import { STAGES } from '../../src/datasets/stages.ts'
import { build, csv, digests, pairs, rowsOf, small } from './small.ts'

const PARALLAX = fileURLToPath(new URL('../../src/cli/parallax.ts', import.meta.url))

t.test('both sides get the same prompts; their preference rows are mirror images', async (t) => {
  const set = small(t, csv(pairs()))
  await build(set)
  for (const format of ['openai', 'trl', 'llama-factory', 'axolotl']) {
    const rows = (side: string, kind: string): any[] => rowsOf(join(set.work, 'export', format, `${side}.${kind}.train.jsonl`))
    const [left, right] = [rows('progressive', 'dpo'), rows('conservative', 'dpo')]
    t.ok(left.length > 50)
    const exchanged = left.map((row) => format === 'openai' ? { ...row, preferred_output: row.non_preferred_output, non_preferred_output: row.preferred_output } : { ...row, chosen: row.rejected, rejected: row.chosen })
    t.same(right, exchanged, format)
    t.equal(rows('progressive', 'sft').length, rows('conservative', 'sft').length)
  }
  t.same(rowsOf(join(set.work, 'export/instructions/train.jsonl')).filter((row) => row.kind === 'neutral' && row.left !== row.right), [])
})

t.test('exchanged ends in the source are exchanged ends in everything that comes out', async (t) => {
  await fc.assert(fc.asyncProperty(fc.integer({ min: 3, max: 9 }), fc.integer({ min: 0, max: 1000 }), async (each, seed) => {
    const rows = pairs(each)
    const given = small(t, csv(rows), { recipe: { seed } })
    const turned = small(t, csv(rows.map(({ topic, left, right }) => ({ topic, left: right, right: left }))), { recipe: { seed } })
    await build(given)
    await build(turned)
    for (const split of ['train', 'validation', 'test']) {
      for (const kind of ['statements', 'instructions']) {
        const out = (set: typeof given): any[] => rowsOf(join(set.work, 'export', kind, `${split}.jsonl`))
        const exchanged = out(turned).map((row) => ({ ...row, left: row.right, right: row.left }))
        t.same(exchanged, out(given))
      }
    }
  }), { numRuns: 3 })
})

t.test('same inputs and seed give the same bytes; another seed gives others', async (t) => {
  const sets = [small(t, csv(pairs())), small(t, csv(pairs())), small(t, csv(pairs()), { recipe: { seed: 8 } })]
  for (const set of sets) await build(set)
  const [one, two, third] = sets.map((set) => digests(join(set.work, 'export')))
  t.same(one, two)
  t.not(one!['instructions/train.jsonl'], third!['instructions/train.jsonl'])
})

t.test('what is done already is not done again, and a changed setting runs what depends on it', async (t) => {
  const set = small(t, csv(pairs()))
  await build(set)
  for (const stage of STAGES) t.equal((await runStage(stage, set.recipe(), set.work, () => {})).already, true, stage.name)
  writeFileSync(set.file, JSON.stringify({ ...JSON.parse(readFileSync(set.file, 'utf8')), seed: 99 }))
  const again: string[] = []
  for (const stage of STAGES) if (!(await runStage(stage, set.recipe(), set.work, () => {})).already) again.push(stage.name)
  t.same(again, ['annotate', 'split', 'augment', 'decontaminate', 'balance', 'export'])
})

t.test('a part that is missing or cut is made again, to the same bytes', async (t) => {
  const set = small(t, csv(pairs()))
  await build(set)
  const before = digests(set.work)
  unlinkSync(join(set.work, 'clean/part-00001.jsonl'))
  truncateSync(join(set.work, 'augment/part-00000.jsonl'), 10)
  await build(set)
  t.same(digests(set.work), before)
})

t.test('killed at any moment, the next run goes on and gives the same bytes', { timeout: 110_000 }, async (t) => {
  const rows = pairs(40)
  const whole = small(t, csv(rows))
  await build(whole)
  const wanted = digests(join(whole.work, 'export'))
  const set = small(t, csv(rows))
  const run = (): { done: Promise<number | null>, kill: () => void } => {
    const child = spawn(process.execPath, [PARALLAX, 'datasets', 'build', '--recipe', set.file, '--work', set.work], { stdio: 'ignore' })
    return { done: new Promise((resolve) => { child.on('exit', resolve) }), kill: () => { child.kill('SIGKILL') } }
  }
  let kills = 0
  for (let wait = 300; kills < 12; wait += 150) {
    const { done, kill } = run()
    const first = await Promise.race([done, sleep(wait, 'late')])
    if (first !== 'late') break
    kill()
    await done
    kills++
  }
  t.ok(kills > 0, `killed ${kills} times`)
  t.equal(await run().done, 0)
  t.same(digests(join(set.work, 'export')), wanted)
  t.same(readdirSync(join(set.work, 'export'), { recursive: true }).filter((name) => String(name).endsWith('.tmp')), [])
})

t.test('a part that was finished before the kill is not written again', async (t) => {
  const set = small(t, csv(pairs(12)))
  await build(set, 'clean')
  // as it is after a kill: parts and notes are there, the manifest is not
  const clean = STAGES.find(({ name }) => name === 'clean')!
  let parts = 0
  rmSync(join(set.work, 'clean'), { recursive: true })
  await t.rejects(runStage(clean, set.recipe(), set.work, (label, done) => { if (label === 'parts' && done >= 2 && ++parts === 1) throw new Error('cut') }), { message: 'cut' })
  t.notOk(existsSync(join(set.work, 'clean/manifest.json')))
  const marked = join(set.work, 'clean/part-00000.jsonl')
  const text = readFileSync(marked, 'utf8')
  writeFileSync(marked, text.replace(/^./, ' '))
  await runStage(clean, set.recipe(), set.work, () => {})
  t.equal(readFileSync(marked, 'utf8').charAt(0), ' ', 'the finished part was left as it lay')
})

t.test('no topic and no cluster stands in two splits', async (t) => {
  const set = small(t, csv(pairs(10)))
  await build(set)
  const where = new Map<string, Set<string>>()
  for (const split of ['train', 'validation', 'test']) {
    for (const kind of ['statements', 'instructions']) {
      for (const row of rowsOf(join(set.work, 'export', kind, `${split}.jsonl`))) for (const name of [row.topic, row.cluster]) where.set(name, (where.get(name) ?? new Set()).add(split))
    }
  }
  t.same([...where].filter(([, splits]) => splits.size > 1), [])
  t.same(where.get('gambling'), new Set(['validation']))
})

t.test('answers have two to six sentences, none twice, and are about as long on both sides', async (t) => {
  const set = small(t, csv(pairs(12)))
  await build(set)
  const rows = rowsOf(join(set.work, 'export/instructions/train.jsonl')).filter((row) => row.kind !== 'neutral')
  for (const row of rows) {
    t.ok(row.from.length >= 2 && row.from.length <= 6, row.id)
    t.equal(new Set(row.from).size, row.from.length, row.id)
  }
  const mean = (end: string): number => rows.reduce((sum, row) => sum + row[end].split(' ').length, 0) / rows.length
  t.ok(Math.abs(mean('left') - mean('right')) < 1, `${mean('left')} and ${mean('right')} words`)
  t.same(rows.filter((row) => row.parent !== null && !rows.some((one) => one.id === row.parent)).map((row) => row.id), [], 'every parent is there')
})
