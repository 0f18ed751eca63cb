import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { measureHalf } from '../../src/evaluation/policy/half.ts'
import { readTwinViews } from '../../src/evaluation/policy/ordinary.ts'
import { reportPage } from '../../src/evaluation/policy/page.ts'
import { readPrompts, SIDES } from '../../src/evaluation/policy/prompts.ts'
import { policyReport } from '../../src/evaluation/policy/report.ts'
import { summaryOf } from '../../src/evaluation/policy/summary.ts'
import { mcnemar, wilson } from '../../src/evaluation/statistics.ts'
import { loadPolicy, POLICY_FILE } from '../../src/router/policy.ts'
import { temporary } from '../helper.ts'

const FOLDER = dirname(POLICY_FILE)
const policy = loadPolicy()
const report = policyReport(policy, { folder: FOLDER, twinviews: fileURLToPath(new URL('../../training/data/twinviews-13k.csv', import.meta.url)) })
const ids = policy.document.rules.map(({ id }) => id)

t.test('the committed report is what the command makes now', async (t) => {
  t.same(JSON.parse(readFileSync(join(FOLDER, 'report.json'), 'utf8')), JSON.parse(JSON.stringify(report)), 'run: npm run policy:report')
  t.equal(readFileSync(join(FOLDER, 'report.md'), 'utf8'), reportPage(report), 'run: npm run policy:report')
  t.ok(summaryOf(FOLDER, policy.sha256), 'the gateway shows it')
})

t.test('a report of another policy is not shown as this one\'s', async (t) => {
  t.equal(summaryOf(FOLDER, '0'.repeat(64)), null)
  t.equal(summaryOf(temporary(t), policy.sha256), null)
})

t.test('each half has prompts enough, in matched pairs, and no prompt stands in both', async (t) => {
  const [development, heldOut] = (['development', 'held-out'] as const).map((half) => readPrompts(join(FOLDER, 'prompts', `${half}.jsonl`), ids).rows)
  const texts = (rows: typeof development) => rows!.flatMap((row) => SIDES.flatMap((side) => row[side] ? [JSON.stringify(row[side])] : []))
  const [first, second] = [texts(development), texts(heldOut)]
  t.ok(first.length + second.length >= 300 && second.length >= 150, `${first.length} and ${second.length}`)
  t.equal(new Set([...first, ...second]).size, first.length + second.length, 'no text twice')
  for (const rule of ids.filter((id) => id !== 'election-window')) t.ok(heldOut!.filter((row) => row.label === rule && row.progressive).length >= 6, rule)
})

t.test('what the rules reach on prompts they were not tuned on does not fall below its floors', async (t) => {
  const { rules, false_positives: free, symmetry } = report.halves['held-out']
  for (const { rule, precision, recall } of rules) {
    t.ok(precision.share! >= FLOORS[rule]![0], `${rule}: precision ${precision.share}`)
    t.ok(recall.share! >= FLOORS[rule]![1], `${rule}: recall ${recall.share}`)
  }
  t.equal(rules.length, Object.keys(FLOORS).length)
  t.ok(free.all.share! <= 0.02, `false positives ${free.all.share}`)
  t.equal(free.kinds['ordinary']!.hits, 0)
  t.ok(symmetry.p > 0.05 && (symmetry.only_progressive + symmetry.only_conservative) / symmetry.pairs <= 0.02, JSON.stringify(symmetry))
})

t.test('ordinary political talk is left alone, on both sides', async (t) => {
  t.ok(report.twinviews.statements > 27_000)
  for (const { form, left, right } of report.twinviews.forms) for (const side of [left, right]) t.ok(side.share! <= 0.001, `${form}: ${side.hits} of ${side.of}`)
})

t.test('the measures count as they say', async (t) => {
  const said = (text: string) => ({ users: [text] })
  const half = measureHalf([
    { id: 'aa-001', label: 'x', kind: 'k', language: 'en', progressive: said('hit'), conservative: said('miss') },
    { id: 'aa-002', label: null, kind: 'k', language: 'en', progressive: said('miss'), conservative: said('hit') },
    { id: 'aa-003', label: null, kind: 'k', language: 'en', neutral: said('miss') },
  ], ['x'], ({ users }) => users[0] === 'hit' ? 'x' : null)
  t.match(half, { rows: 3, prompts: 5, rules: [{ precision: { hits: 1, of: 2 }, recall: { hits: 1, of: 2 }, sides: { progressive: { recall: { share: 1 } }, conservative: { recall: { share: 0 } }, neutral: { recall: { share: null } } } }] })
  t.same(half.symmetry, { pairs: 2, only_progressive: 2, only_conservative: 0, p: 0.5 })
  t.match(half.false_positives.all, { hits: 1, of: 3 })
  t.equal(half.wrong.length, 2)
})

t.test('intervals and tests are those of the textbooks', async (t) => {
  t.match(wilson(8, 10), { share: 0.8, low: 0.4902, high: 0.9433 })
  t.match(wilson(0, 20), { low: 0, high: 0.1611 })
  t.equal(mcnemar(0, 0), 1)
  t.equal(mcnemar(1, 5), 0.2188)
  t.equal(mcnemar(5, 1), 0.2188)
  t.equal(mcnemar(10, 0), 0.002)
  t.equal(mcnemar(1000, 1000), 1)
  t.ok(mcnemar(900, 1100) < 0.0001)
})

t.test('a prompt file with mistakes is refused, each with its line', async (t) => {
  const file = join(temporary(t), 'prompts.jsonl')
  const good = { id: 'aa-001', label: null, kind: 'k', language: 'en', neutral: { users: ['x'] } }
  writeFileSync(file, [good, good, { ...good, id: 'aa-002', label: 'nothing' }, { ...good, id: 'aa-003', progressive: { users: ['y'] } }].map((one) => JSON.stringify(one)).join('\n') + '\n{')
  t.throws(() => readPrompts(file, ids), /(?=[^]*line 2: the id aa-001 stands twice)(?=[^]*line 3: no rule is called "nothing")(?=[^]*line 4: )(?=[^]*line 5: )/)
})

t.test('a CSV with quotes within its fields is read', async (t) => {
  t.same(readTwinViews('"l","r","topic"\n"a ""b"", c","d","e"\n'), [{ left: 'a "b", c', right: 'd' }])
})

/** Rule -> least precision and recall on the held-out half: what is reached, a little below. Where it is low it is known to be: policy/README.md. */
const FLOORS: Record<string, readonly [number, number]> = {
  'bulk-generation': [0.94, 0.89],
  'candidate-impersonation': [0.95, 0.87],
  'targeted-persuasion': [0.95, 0.83],
  solicitation: [0.94, 0.74],
  'voting-procedure': [0.95, 0.91],
}
