/** Draws of two gateways on one database, as clients and auditors see them. */
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { DrawCheck } from '../../src/draws/check.ts'
import { NO_POSTGRES, startPostgres } from '../fixtures/postgres.ts'
import { build, QUESTION } from '../helper.ts'
import { audited } from './stores.ts'

const server = await startPostgres(t)
const mix = (more: object = {}) => ({ model: 'parallax', messages: QUESTION, perspective: { weights: { progressive: 0.5, conservative: 0.5 }, mixture: 'sample', ...more } })

t.test('two gateways that draw at the same time draw from one epoch, committed to once, and verify and the auditor\'s check agree', { skip: server ? false : NO_POSTGRES }, async (t) => {
  const env = { DATABASE_URL: await server!.database(), PARALLAX_KEK: randomBytes(32).toString('base64') }
  const gateways = [await build(t, { env }), await build(t, { env })]
  const replies = await Promise.all(gateways.flatMap((one) => Array.from({ length: 4 }, () => one.ask(mix()))))
  t.same(replies.map(({ status }) => status), Array.from({ length: 8 }, () => 200))
  const told = await Promise.all(replies.map(async (reply) => (await reply.json() as any).perspective.draw))
  t.equal(new Set(told.map(({ epoch }) => epoch)).size, 1)
  const { wrong, lines } = await audited(gateways[0]!)
  t.same(wrong, [])
  const leaves = lines.map(({ leaf }) => typeof leaf === 'string' ? JSON.parse(leaf) : leaf)
  t.equal(leaves.filter(({ type }) => type === 'draw.epoch').length, 1)
  const check = new DrawCheck()
  for (const leaf of leaves) check.add(leaf)
  t.match(check.report(), { open: 8, wrong: [], epochs: { begun: 1 } })
})
