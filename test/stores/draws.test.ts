/** Draws of two gateways on one database, as clients and auditors see them. */
import { randomBytes } from 'node:crypto'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { DrawCheck } from '../../src/draws/check.ts'
import { NO_POSTGRES, startPostgres } from '../fixtures/postgres.ts'
import { build, QUESTION, temporary, type Built } from '../helper.ts'
import { audited } from './stores.ts'

const server = await startPostgres(t)
const skip = server ? false : NO_POSTGRES
const mix = (more: object = {}) => ({ model: 'parallax', messages: QUESTION, perspective: { weights: { progressive: 0.5, conservative: 0.5 }, mixture: 'sample', ...more } })
const drawOf = async (reply: Response): Promise<any> => (await reply.json() as any).perspective.draw

/** On one fresh database, with the same keys. */
async function two (t: Test, env = { DATABASE_URL: '', PARALLAX_KEK: randomBytes(32).toString('base64') }): Promise<{ readonly gateways: readonly [Built, Built], again: () => Promise<Built> }> {
  const all = { ...env, DATABASE_URL: await server!.database() }
  const one = await build(t, { env: all })
  const again = async (): Promise<Built> => {
    const dataDir = join(temporary(t), 'data')
    cpSync(join(one.dataDir, 'keys.json'), join(dataDir, 'keys.json'))
    return build(t, { env: all, dataDir })
  }
  return { gateways: [one, await again()], again }
}

t.test('two gateways that draw at the same time draw from one epoch, committed to once, and verify and the auditor\'s check agree', { skip }, async (t) => {
  const { gateways } = await two(t)
  const replies = await Promise.all(gateways.flatMap((one) => Array.from({ length: 4 }, () => one.ask(mix()))))
  t.same(replies.map(({ status }) => status), Array.from({ length: 8 }, () => 200))
  const told = await Promise.all(replies.map(drawOf))
  t.equal(new Set(told.map(({ epoch }) => epoch)).size, 1)
  const { wrong, lines } = await audited(gateways[0])
  t.same(wrong, [])
  const leaves = lines.map(({ leaf }) => JSON.parse(leaf))
  t.equal(leaves.filter(({ type }) => type === 'draw.epoch').length, 1)
  const check = new DrawCheck()
  for (const leaf of leaves) check.add(leaf)
  t.match(check.report(), { open: 8, wrong: [], epochs: { begun: 1 } })
})

t.test('a conversation is answered from the same side by each gateway, and by one that was started anew', { skip }, async (t) => {
  const { gateways, again } = await two(t)
  const ask = async (gateway: Built): Promise<any[]> => Promise.all(Array.from({ length: 24 }, async (_, at) => drawOf(await gateway.ask(mix({ sticky: `conv-${at}` })))))
  const [one, other] = await Promise.all(gateways.map(ask))
  t.same(one, other)
  t.same(new Set(one!.map(({ chosen }) => chosen)), new Set(['progressive', 'conservative']), 'both sides were drawn: 24 tosses of one side come once in eight million')
  await gateways[0].app.close()
  t.same(await ask(await again()), one)
})
