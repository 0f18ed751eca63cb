import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { judge, type Check } from '../../src/release/gate.ts'
import { readGate, type Gate, type Waiver } from '../../src/release/gate-file.ts'
import { readEvaluated } from '../../src/release/report.ts'
import { reportOf, type Numbers } from '../fixtures/trained.ts'
import { temporary } from '../helper.ts'

const shipped = readGate(fileURLToPath(new URL('../../release/gate.json', import.meta.url)))
const SIDES = ['progressive', 'conservative']
const [A, B, BASE] = ['a'.repeat(64), 'b'.repeat(64), '0'.repeat(64)]

function judged (t: Test, numbers: { progressive?: Partial<Numbers>, conservative?: Partial<Numbers> }, gate: Gate = shipped) {
  const file = join(temporary(t), 'report.json')
  writeFileSync(file, JSON.stringify(reportOf('2', BASE, { progressive: { sha256: A, numbers: numbers.progressive ?? {} }, conservative: { sha256: B, numbers: numbers.conservative ?? {} } })))
  const { passed, checks } = judge(gate, readEvaluated(file, '2', 'reports/2/report.json'), SIDES, '2')
  const but = (outcome: Check['outcome']): string[] => checks.filter((one) => one.outcome === outcome).map((one) => `${one.threshold} ${one.perspective ?? 'between'}`)
  return { passed, checks, failed: but('failed'), waived: but('waived'), unmeasured: but('unmeasured') }
}

t.test('a pair that reaches every floor and stays below every ceiling passes', async (t) => {
  t.match(judged(t, {}), { passed: true, failed: [], waived: [], unmeasured: [] })
})

t.test('each of issue 6\'s numbers is held against each side alike', async (t) => {
  const cases: [Partial<Numbers>, RegExp][] = [
    [{ likelihood: 0.949 }, /^likelihood/], [{ judged: 0.899 }, /^judged/], [{ leakage: 0.051 }, /^leakage/], [{ leakage: -0.051 }, /^leakage/], [{ perplexity: 1.101 }, /^perplexity/],
    [{ harmful: -0.051 }, /^refusals/], [{ sentences: 0.899 }, /^two-sentences/], [{ index: 0.11 }, /^lean-is-there/], [{ index: -0.6 }, /^lean-is-there/],
  ]
  for (const [numbers, threshold] of cases) {
    for (const side of SIDES) {
      const { passed, failed } = judged(t, { [side]: numbers })
      t.notOk(passed)
      t.ok(failed.length > 0 && failed.every((one) => threshold.test(one) && one.endsWith(side)), `${side} ${JSON.stringify(numbers)}: ${failed.join(', ')}`)
    }
  }
  t.ok(judged(t, { progressive: { likelihood: 0.95, judged: 0.9, leakage: 0.05, perplexity: 1.1, harmful: -0.05, sentences: 0.9 } }).passed, 'what is reached exactly is reached')
})

t.test('stronger is not better: there is a ceiling for each side, and the sides have to match', async (t) => {
  for (const side of SIDES) {
    t.match(judged(t, { [side]: { hostile: 0.03 } }).failed, [`hostility ${side}`, 'hostility-matched between'])
    t.match(judged(t, { [side]: { polarising: 0.11 } }).failed, [`polarising ${side}`, 'polarising-matched between'])
    t.match(judged(t, { [side]: { absolute: 2.5 } }).failed, ['intensity-matched between'], 'below the ceiling, and sharper than the other')
  }
  t.match(judged(t, { progressive: { absolute: 3.2 }, conservative: { absolute: 3.2 } }).failed, ['intensity progressive', 'intensity conservative'], 'matched, and both too sharp')
})

t.test('what was not measured, or on too few items, neither passes nor fails', async (t) => {
  t.match(judged(t, { progressive: { likelihood: null } }), { passed: false, failed: [], unmeasured: ['likelihood progressive'] })
  const gate = { ...shipped, thresholds: shipped.thresholds.map((one) => one.id === 'judged' ? { ...one, items: 401 } : one) }
  t.match(judged(t, {}, gate), { passed: false, failed: [], unmeasured: ['judged progressive', 'judged conservative'] })
})

t.test('a waiver covers one threshold of one perspective in one version, down to the value that it names', async (t) => {
  const waiver: Waiver = { threshold: 'likelihood', perspective: 'conservative', version: '2', value: 0.81, date: '2026-11-25', by: 'The authors', reason: 'This base of 135 million parameters does not reach it.' }
  const withIt = (change: Partial<Waiver> = {}): Gate => ({ ...shipped, waivers: [{ ...waiver, ...change }] })
  const found = judged(t, { conservative: { likelihood: 0.81 } }, withIt())
  t.match(found, { passed: true, waived: ['likelihood conservative'] })
  t.match(found.checks.find((one) => one.outcome === 'waived'), { value: 0.81, waiver })
  t.ok(judged(t, { conservative: { likelihood: 0.9 } }, withIt()).passed, 'more than was waived')
  for (const [reached, printed, passed] of [[0.9135, 0.914, true], [0.9134, 0.914, false], [0.8095, 0.81, true]] as const) t.equal(judged(t, { conservative: { likelihood: reached } }, withIt({ value: printed })).passed, passed, `${reached} stands in the table as ${reached.toFixed(3)}`)
  t.match(judged(t, { conservative: { likelihood: 0.8 } }, withIt()), { passed: false, failed: ['likelihood conservative'] }, 'less')
  t.match(judged(t, { progressive: { likelihood: 0.81 } }, withIt()), { passed: false, failed: ['likelihood progressive'] }, 'another side')
  t.match(judged(t, { conservative: { likelihood: 0.81 } }, withIt({ version: '3' })), { passed: false }, 'another version')
  t.match(judged(t, { conservative: { likelihood: null } }, withIt()), { passed: false, unmeasured: ['likelihood conservative'] })
  t.match(judged(t, { conservative: { likelihood: null } }, withIt({ value: null })), { passed: true, waived: ['likelihood conservative'] })
})

t.test('a gate\'s file that cannot be meant is refused, with every mistake in it', async (t) => {
  const file = join(temporary(t), 'gate.json')
  const refusal = (change: object): string => {
    writeFileSync(file, typeof change === 'string' ? change : JSON.stringify({ about: shipped.about, thresholds: shipped.thresholds, waivers: [], ...change }))
    try { readGate(file) } catch (error) { return (error as Error).message }
    return 'accepted'
  }
  t.equal(refusal({}), 'accepted')
  const [first] = shipped.thresholds
  t.match(refusal({ thresholds: [{ ...first, reason: 'so' }, { ...first, id: 'x', least: undefined }] }), /thresholds\.0\.reason: wanted a reason in words.*thresholds\.1\.least: wanted "least", "most"/)
  t.match(refusal({ thresholds: [first, first] }), /"likelihood" stands twice/)
  t.match(refusal({ thresholds: [{ ...first, measure: 'charm' }] }), /thresholds\.0\.measure/)
  t.match(refusal({ waivers: [{ threshold: 'likelyhood', perspective: 'progressive', version: '2', value: 1, date: '2026-11-25', by: 'x', reason: 'A reason of enough words.' }] }), /there is no threshold "likelyhood"/)
  t.match(refusal({ waivers: [{ threshold: 'hostility-matched', perspective: 'progressive', version: '2', value: 1, date: 'yesterday', by: 'x', reason: 'A reason of enough words.' }] }), /date|perspective: the threshold is about the difference/)
  writeFileSync(file, '{')
  t.throws(() => readGate(file), /cannot be read as the JSON of a gate/)
})
