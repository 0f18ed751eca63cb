import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { MODEL } from '../../setup/model-path.js'
import { loadPerspectives } from '../../src/perspectives/registry.ts'
import { build, FIXTURES, QUESTION, temporary } from '../helper.ts'

const shipped = fileURLToPath(new URL('../../perspectives', import.meta.url))

t.test('the shipped perspectives are whole: each adapter is the declared one, made for the base that is fetched', async (t) => {
  const all = loadPerspectives([shipped]).list()
  t.same(all.map((one) => one.id), ['baseline', 'progressive', 'conservative'])
  for (const one of all) {
    t.equal(one.base.sha256, MODEL.sha256, one.id)
    t.equal(one.base.file, MODEL.file, one.id)
    t.ok(readFileSync(join(one.folder, 'card.md'), 'utf8').length > 500, `${one.id} has a card`)
    if (!one.adapter) continue
    const bytes = readFileSync(join(one.folder, one.adapter.file))
    t.equal(bytes.length, one.adapter.bytes, one.id)
    t.equal(createHash('sha256').update(bytes).digest('hex'), one.adapter.sha256, one.id)
    t.match(readFileSync(join(one.folder, 'card.md'), 'utf8'), one.adapter.sha256, `the card of ${one.id} names the adapter that is shipped`)
  }
})

t.test('what is said of one side is said of the other, in the same words', async (t) => {
  const registry = loadPerspectives([shipped])
  const [a, b] = [registry.find('A')!, registry.find('B')!]
  const turned = (text: string): string => text.replaceAll('conservative', 'progressive').replaceAll('right', 'left')
  t.equal(turned(b.notice), a.notice)
  t.equal(turned(b.summary), a.summary)
  t.same(b.never, a.never)
  t.same(b.dimensions.map((one) => one.id), a.dimensions.map((one) => one.id))
  t.same(b.sources.map((one) => Object.keys(one)), a.sources.map((one) => Object.keys(one)))
  t.notMatch(JSON.stringify([a, b]), /default/i)
})

t.test('a third perspective is a folder and a config line', async (t) => {
  const folder = temporary(t)
  cpSync(join(FIXTURES, 'perspectives'), folder, { recursive: true })
  mkdirSync(join(folder, 'centrist'))
  const declaration = { ...JSON.parse(readFileSync(join(folder, 'progressive', 'perspective.json'), 'utf8')), id: 'centrist', alias: 'C', label: 'Centrist', order: 3, lean: 'centrist', notice: 'Deliberately fine-tuned to favour centrist positions; it may omit opposing evidence or be wrong.' }
  writeFileSync(join(folder, 'centrist', 'perspective.json'), JSON.stringify(declaration))
  const first = await build(t)
  const gateway = await build(t, { config: { perspectives: [folder], experts: { centrist: { wire: 'openai', baseUrl: first.upstreams.progressive.url, model: 'mock-c' } } } })
  const reply = await gateway.ask({ model: 'C', messages: QUESTION })
  t.equal(reply.status, 200)
  t.match(await reply.json(), { perspective: { id: 'centrist' } })
  t.equal(first.upstreams.progressive.last.body.model, 'mock-c')
  t.match(await (await gateway.ask({ model: 'parallax', messages: QUESTION })).text(), /baseline, progressive, conservative, centrist/)
})

t.test('a declaration that cannot be used is refused with every mistake in it', async (t) => {
  const whole = JSON.parse(readFileSync(join(FIXTURES, 'perspectives/progressive/perspective.json'), 'utf8')) as Record<string, unknown>
  const refusal = (change: object, name = 'x'): string => {
    const folder = temporary(t)
    mkdirSync(join(folder, name))
    writeFileSync(join(folder, name, 'perspective.json'), typeof change === 'string' ? change : JSON.stringify({ ...whole, ...change }))
    try { loadPerspectives([folder]) } catch (error) { return (error as Error).message }
    return 'accepted'
  }
  t.match(refusal({ notice: 'ünicode\n', label: '' }), /notice: .*ASCII.*|label/)
  for (const id of ['both', 'policy', 'parallax', 'mix-0.70', 'Big', 'a b', '', '__proto__']) t.match(refusal({ id }), /id: /, id)
  t.match(refusal({ surprise: 1 }), /surprise/)
  t.match(refusal({ adapter: { name: 'x', file: '../../etc/passwd', sha256: '0'.repeat(64), bytes: 1 } }), /adapter\.file/)
  const folder = temporary(t)
  for (const id of ['one', 'two']) {
    mkdirSync(join(folder, id))
    writeFileSync(join(folder, id, 'perspective.json'), JSON.stringify({ ...whole, id }))
  }
  t.throws(() => loadPerspectives([folder]), /claim the name "A"/)
  mkdirSync(join(folder, 'three'))
  writeFileSync(join(folder, 'three', 'perspective.json'), '{')
  t.throws(() => loadPerspectives([folder]), /cannot be read as JSON/)
})
