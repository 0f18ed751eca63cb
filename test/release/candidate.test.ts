import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { SMALL, trial } from '../evaluation/evaluating.ts'
import { buildTiny } from '../fixtures/tiny-perspectives.ts'
import { temporary } from '../helper.ts'
import { desk } from './releasing.ts'

t.test('from a training over a candidate that is served and evaluated to the gate: each threshold finds its number in a true report, about these very adapters', { timeout: 300_000 }, async (t) => {
  const { root, gate, refused, train, release, declared } = desk(t)
  const old = declared('progressive')
  const [flag, folder] = train('2', { progressive: 33, conservative: 44 }) as [string, string]
  const target = join(temporary(t), 'candidate')
  t.match(await release('2', flag, folder, '--candidate', target), { code: 0 })
  const gateway = await buildTiny(t, { perspectives: [target] })
  const report = await trial(t, gateway.url, gateway.keys).run({ version: '2', plan: { ...SMALL, mode: 'full' } })
  const file = join(temporary(t), 'report.json')
  writeFileSync(file, JSON.stringify(report))
  // a small plan has few items, and here it is the reading that counts
  const whole = JSON.parse(readFileSync(gate, 'utf8'))
  writeFileSync(gate, JSON.stringify({ ...whole, thresholds: whole.thresholds.map((one: object) => ({ ...one, items: 1 })) }))
  const { code, out, err } = await release('2', flag, folder, '--report', file, '--json')
  const { checks, outcome } = JSON.parse(out)
  t.match({ code, outcome }, { code: 3, outcome: 'refused' }, `random weights have no views: ${err}`)
  t.same(checks.filter((one: any) => one.outcome === 'unmeasured' || one.value === null || !(one.n > 0)).map((one: any) => `${one.threshold} ${one.perspective}: ${one.reason}`), [], 'nothing is looked for where it is not')
  t.equal(new Set(checks.map((one: any) => one.threshold)).size, whole.thresholds.length)
  t.match(JSON.parse(readFileSync(refused, 'utf8')).refused.length, Number)
  t.same(declared('progressive'), old, `${root} is as it was`)
})
