import { fileURLToPath } from 'node:url'
import t from 'tap'
import { asServed, isDeclared } from '../../src/perspectives/as-served.ts'
import { startUpstream } from '../fixtures/upstream.ts'
import { build, events, QUESTION } from '../helper.ts'

const OURS = fileURLToPath(new URL('../../perspectives', import.meta.url))
const DIGEST = 'a'.repeat(64)
const SLANT = { index: 0.9, low: 0.8, high: 1, n: 100, report: 'reports/1/report.json' }
const base = { model: 'small', file: 'small.gguf', sha256: 'b'.repeat(64), licence: 'MIT' }
const side = { base, adapter: { name: 'left-1', file: 'left-1.gguf', sha256: DIGEST, bytes: 1 }, lean: 'left', notice: 'Tuned to the left.', slant: SLANT }
const untuned = { base, adapter: null, lean: null, notice: 'Not fine-tuned by us; it has its own lean: left by 0.90.', slant: SLANT }

t.test('what was measured is said of the very weights that were measured, and of no others', async (t) => {
  const declared = { model: 'small', adapter: 'left-1', adapterSha256: DIGEST }
  t.same(asServed(side, declared), { slant: SLANT, notice: side.notice })
  t.same(asServed(side, { ...declared, model: 'renamed' }), { slant: SLANT, notice: side.notice }, 'a digest is stronger than a name')
  for (const other of [{ ...declared, adapterSha256: 'c'.repeat(64) }, { model: 'small', adapter: 'left-1', adapterSha256: null }, { model: 'tune-a', adapter: null, adapterSha256: null }]) {
    t.same(asServed(side, other), { slant: 'not measured', notice: side.notice })
    t.notOk(isDeclared(side, other))
  }
  const bare = { model: 'small', adapter: null, adapterSha256: null }
  t.same(asServed(untuned, bare), { slant: SLANT, notice: untuned.notice })
  for (const other of [{ ...bare, model: 'large' }, { ...bare, adapter: 'left-1' }, { ...bare, adapterSha256: DIGEST }]) t.same(asServed(untuned, other), { slant: 'not measured', notice: 'Not fine-tuned by us; it has its own lean: not measured.' })
  t.same(asServed({ ...untuned, slant: null, notice: 'As declared.' }, { ...bare, model: 'large' }), { slant: 'not measured', notice: 'As declared.' }, 'where nothing was measured nothing is corrected')
})

t.test('endpoints of the operator behind the perspectives of this repository carry none of what was measured of its adapters', async (t) => {
  const other = await startUpstream()
  t.teardown(() => other.close())
  const remote = { wire: 'openai', baseUrl: other.url, model: 'tune-of-theirs' } as const
  const gateway = await build(t, { config: { perspectives: [OURS] }, experts: { baseline: remote, progressive: remote, conservative: remote } })
  const json = async (path: string) => (await fetch(`${gateway.url}${path}`)).json() as any
  const notMeasured = (member: any): void => {
    t.equal(member.slant, 'not measured', member.id)
    t.notMatch(member.notice, /\d/, 'no number that was measured of another model')
  }
  for (const model of ['baseline', 'progressive', 'conservative', 'mix-0.50', 'both-summary']) {
    const { perspective } = await (await gateway.ask({ model, messages: QUESTION })).json() as any
    for (const member of perspective.voices ?? [perspective]) {
      notMeasured({ ...member, notice: member.notice.replace(/ Drawn from .*/, '') })
      t.match(member.expert, { model: 'tune-of-theirs', adapter: null, adapter_sha256: null })
    }
    const [first] = await events(await gateway.ask({ model, messages: QUESTION, stream: true }))
    t.equal(first.perspective.slant, 'not measured')
  }
  for (const one of (await json('/v1/perspectives')).data) {
    notMeasured(one)
    const card = await (await fetch(`${gateway.url}${one.card}`)).text()
    t.match(card, /^> \*\*This card is not of what answers here\.\*\* .*"tune-of-theirs" in the place of (progressive-|conservative-|smollm2)/)
  }
  for (const { perspective } of (await json('/v1/models')).data) if (perspective) t.notMatch(perspective.notice, /\d/)
  const told = (await gateway.leaves()).find(({ type }) => type === 'config.changed')!
  t.same((told['perspectives'] as any[]).map(({ model, adapter, adapter_sha256: digest }) => [model, adapter, digest]), Array.from({ length: 3 }, () => ['tune-of-theirs', null, null]), 'the log names no adapter that does not serve')
})
