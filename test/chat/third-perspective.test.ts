import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseList } from 'structured-headers'
import t from 'tap'
import { json, startUpstream } from '../fixtures/upstream.ts'
import { build, FIXTURES, QUESTION, temporary } from '../helper.ts'

t.test('a third perspective is a folder and a line of configuration: every mode has it, and names that mean exactly two are refused', async (t) => {
  const perspectives = join(temporary(t), 'perspectives')
  cpSync(join(FIXTURES, 'perspectives'), perspectives, { recursive: true })
  const declared = JSON.parse(readFileSync(join(perspectives, 'progressive', 'perspective.json'), 'utf8')) as object
  mkdirSync(join(perspectives, 'greens'))
  writeFileSync(join(perspectives, 'greens', 'perspective.json'), JSON.stringify({ ...declared, id: 'greens', alias: 'C', label: 'Grüne', order: 3, lean: 'ecological', notice: 'Deliberately fine-tuned to favour ecological positions; it may omit opposing evidence or be wrong.' }))
  writeFileSync(join(perspectives, 'greens', 'card.md'), '# Grüne\n')
  const greens = await startUpstream()
  t.teardown(() => greens.close())
  greens.reply(json({ content: 'said by greens' }))
  const gateway = await build(t, { config: { perspectives: [perspectives] }, experts: { greens: { wire: 'openai', baseUrl: greens.url, model: 'mock-c' } } })

  t.equal((await (await gateway.ask({ model: 'C', messages: QUESTION })).json() as any).choices[0].message.content, 'said by greens')
  const both = await gateway.ask({ model: 'both', messages: QUESTION })
  const answer = await both.json() as any
  t.same(answer.choices.map((choice: any) => choice.perspective.id), ['progressive', 'conservative', 'greens'])
  t.equal(answer.choices[2].message.content, 'said by greens')
  t.same(parseList(both.headers.get('perspective')!).map(([token]) => String(token)), ['progressive', 'conservative', 'greens'])
  t.match(both.headers.get('perspective-notice'), /^%"Side by side.*Gr%c3%bcne: /, 'a label that is not ASCII travels as a Display String')
  const drawn = new Set<string>()
  for (let at = 0; at < 30; at++) drawn.add((await (await gateway.ask({ model: 'parallax', messages: QUESTION, perspective: { weights: { A: 1, B: 1, C: 1 } } })).json() as any).perspective.id)
  t.same([...drawn].sort(), ['conservative', 'greens', 'progressive'])
  for (const model of ['mix-0.70', 'mix-greens-0.5']) {
    const refused = await gateway.ask({ model, messages: QUESTION })
    t.equal(refused.status, 400)
    t.match(await refused.json(), { error: { code: 'mixture_unsupported', message: /exactly two/ } })
  }
  const names = (await (await fetch(`${gateway.url}/v1/models`)).json() as any).data.map((one: any) => one.id)
  t.ok(['greens', 'C', 'both'].every((name) => names.includes(name)))
  t.notOk(names.includes('mix-0.50'))
})
