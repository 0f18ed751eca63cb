import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { hash } from 'node:crypto'
import { join } from 'node:path'
import t from 'tap'
import { distinct, readBeside, readCurves } from '../../src/evaluation/report/beside.ts'
import { reportPage } from '../../src/evaluation/report/page.ts'
import { writeReport } from '../../src/evaluation/report/write.ts'
import { temporary } from '../helper.ts'
import { trial } from './evaluating.ts'
import { fakeEndpoint, plainSpoken } from './fake-endpoint.ts'

t.test('a report of other adapters stands beside this one with what differs, and curves are linked', async (t) => {
  const folder = temporary(t)
  // adapters that speak for the other side than they declare: the differences are as large as they can be
  const turned = await fakeEndpoint(t, (body) => plainSpoken({ ...body, model: body.model === 'progressive' ? 'conservative' : body.model === 'conservative' ? 'progressive' : body.model }))
  const other = await trial(t, turned.url).run({ version: 'other-1' })
  const file = join(folder, 'other.json')
  writeFileSync(file, JSON.stringify(other))
  const picture = join(folder, 'curves.svg')
  writeFileSync(picture, '<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0L1 1"/></svg>')
  const beside = [readBeside(`supervised=${file}`)]
  const curves = [readCurves(`progressive=${picture}`)]
  const made = await trial(t, (await fakeEndpoint(t, plainSpoken)).url).run({ beside, curves })
  const [shown] = made.beside
  t.match(shown, { name: 'supervised', version: 'other-1', sha256: hash('sha256', readFileSync(file)) })
  const index = shown!.changes.find(({ measure, perspective }) => measure === 'free.words.index' && perspective === 'progressive')!
  t.ok(index.before.value! < -0.5 && index.now.value! > 0.5)
  t.equal(index.change, Math.round((index.now.value! - index.before.value!) * 1e4) / 1e4)
  t.equal(shown!.changes.find(({ measure, perspective }) => measure === 'free.words.index' && perspective === 'baseline')!.change, 0)
  t.same(made.curves, [{ name: 'progressive', file: 'curves-progressive.svg', sha256: curves[0]!.sha256 }])

  writeReport(join(folder, 'report'), made, {}, curves)
  t.equal(readFileSync(join(folder, 'report/curves-progressive.svg'), 'utf8'), readFileSync(picture, 'utf8'))
  const page = reportPage(made)
  for (const words of ['Beside supervised', shown!.sha256, 'href="curves-progressive.svg"']) t.match(page, words)

  await t.rejects(trial(t, turned.url).run({ beside: [{ ...beside[0]!, report: { ...other, mode: 'full' } }] }), { name: 'EvaluationError', message: /--beside supervised: that report is a full one, this is a quick one/ })
  await t.rejects(trial(t, turned.url).run({ beside: [{ ...beside[0]!, report: { ...other, split: { ...other.split, sha256: 'x' } } }] }), { message: /another split/ })
})

t.test('what is no report, no picture or no name is told by name', async (t) => {
  const folder = temporary(t)
  const file = join(folder, 'x')
  writeFileSync(file, '<svg><script>1</script></svg>')
  t.throws(() => readBeside('supervised'), { name: 'EvaluationError', message: /--beside <name>=<file>/ })
  t.throws(() => readBeside('../x=y'), /name of letters/)
  t.throws(() => readBeside(`a=${join(folder, 'none')}`), /is not there/)
  t.throws(() => readBeside(`a=${file}`), /cannot be read as a report/)
  t.throws(() => readCurves(`a=${file}`), /no SVG picture without scripts/)
  t.throws(() => distinct('--curves', [{ name: 'a' }, { name: 'a' }]), /"a" is given twice/)
  t.equal(existsSync(join(folder, 'curves-a.svg')), false)
})
