/** What many perspectives say of themselves fits into the headers that a client reads. */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseDictionary, parseItem, parseList } from 'structured-headers'
import t from 'tap'
import { disclose, HEADER_CHARS, type Disclosure, type Speaker } from '../../src/disclosure/disclose.ts'
import { discloseBlend, discloseSideBySide } from '../../src/disclosure/together.ts'
import { OpenAIExpert } from '../../src/experts/openai.ts'
import { Transport } from '../../src/experts/transport.ts'
import { loadPerspectives } from '../../src/perspectives/registry.ts'
import { build, FIXTURES, QUESTION, temporary } from '../helper.ts'

const DECLARED = JSON.parse(readFileSync(join(FIXTURES, 'perspectives', 'progressive', 'perspective.json'), 'utf8')) as object

/** A folder of so many that lean, each with the longest notice there may be. */
function folderOf (t: Parameters<typeof temporary>[0], count: number): string {
  const folder = join(temporary(t), 'perspectives')
  cpSync(join(FIXTURES, 'perspectives', 'progressive'), join(folder, 'progressive'), { recursive: true })
  for (let at = 1; at < count; at++) {
    const id = `side-${at}`
    mkdirSync(join(folder, id))
    writeFileSync(join(folder, id, 'perspective.json'), JSON.stringify({ ...DECLARED, id, alias: null, label: `Seite №${at}`, order: at, notice: 'n'.repeat(300) }))
    writeFileSync(join(folder, id, 'card.md'), `# ${id}\n`)
  }
  return folder
}

t.test('a client in Node reads what forty say side by side, and the body names them all', async (t) => {
  const folder = folderOf(t, 40)
  const gateway = await build(t, { config: { perspectives: [folder], experts: {}, limits: { choices: 40 } } })
  const experts = gateway.services.experts as Map<string, OpenAIExpert>
  const transport = new Transport({ baseUrl: gateway.upstreams.progressive.url, limits: gateway.services.config.limits })
  t.teardown(() => transport.close())
  for (const { id } of gateway.services.perspectives.list()) experts.set(id, new OpenAIExpert({ facts: { model: `model-of-${id}`, adapter: id, adapterSha256: 'ab'.repeat(32) }, at: transport }))
  for (const stream of [false, true]) {
    const reply = await gateway.ask({ model: 'both', messages: QUESTION, stream })
    t.equal(reply.status, 200)
    const bytes = [...reply.headers].reduce((sum, [name, value]) => sum + name.length + value.length + 4, 0)
    t.ok(bytes < 12 * 1024, `${bytes} bytes of headers`)
    const text = await reply.text()
    for (let at = 1; at < 40; at++) t.ok(text.includes(`"id":"side-${at}"`))
    const [[name, params]] = parseList(reply.headers.get('perspective')!) as [[unknown, Map<string, unknown>]]
    t.same([String(name), params.get('voices')], ['both', 40])
    t.match(parseItem(reply.headers.get('perspective-notice')!)[0], /40 perspectives.*body names each/)
  }
})

const speakers = (count: number): Speaker[] => Array.from({ length: count }, (_, at) => ({ model: `m-${at}`, adapter: `a-${at}`, adapterSha256: 'cd'.repeat(32) }))

t.test('every way of speaking together is bounded for any number, and names everybody where there is room', async (t) => {
  for (const [count, named] of [[2, true], [3, true], [40, false], [128, false]] as const) {
    const perspectives = loadPerspectives([folderOf(t, count)]).list()
    const weights = Object.fromEntries(perspectives.map(({ id }) => [id, 1 / count]))
    const [all, speaker] = [speakers(count), speakers(1)[0]!]
    const voices = perspectives.map((one, at) => disclose(one, { mode: 'overton', weights }, all[at]!, 'p'))
    const ways: [string, Disclosure][] = [
      ['both', discloseSideBySide(voices, weights, all, 'p')],
      ['blend', discloseBlend(perspectives, { mode: 'distributional', mixture: 'blend', weights }, speaker, all, 'p')],
      ['sample', disclose(perspectives[0]!, { mode: 'distributional', mixture: 'sample', weights }, speaker, 'p')],
    ]
    for (const [way, { headers, aiDisclosure, member }] of ways) {
      for (const [name, value] of Object.entries(headers)) t.ok(value.length <= HEADER_CHARS, `${way} of ${count}: ${name} has ${value.length}`)
      t.ok(parseDictionary(aiDisclosure(new Date())).has('model'))
      t.ok(aiDisclosure(new Date()).length < HEADER_CHARS + 100)
      if (way === 'sample') continue
      t.equal(parseList(headers['perspective']!).length === count, named, `${way} of ${count}`)
      t.equal((member.voices ?? member.parts)!.length, count)
    }
  }
})
