import { createHash } from 'node:crypto'
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { buildServices } from '../src/services.ts'
import { recordModels } from '../src/configured.ts'
import type { LeafDraft } from '../src/audit/log.ts'
import { build, FIXTURES, temporary, type Leaf } from './helper.ts'

t.test('the log says what each perspective was: at the first start, when something has changed, and not otherwise', async (t) => {
  const folder = join(temporary(t), 'perspectives')
  cpSync(join(FIXTURES, 'perspectives'), folder, { recursive: true })
  const dataDir = join(temporary(t), 'data')
  let now: Leaf[] = []
  const run = async (): Promise<Leaf[]> => {
    await t.test('a start', async (t) => {
      const gateway = await build(t, { dataDir, config: { perspectives: [folder] } })
      now = (await gateway.leaves()).filter((leaf) => leaf.type === 'config.changed')
    })
    return now
  }
  const [first] = await run()
  const file = join(folder, 'progressive', 'perspective.json')
  t.match(first!['perspectives'].find((one: any) => one.id === 'progressive'), { declaration_sha256: createHash('sha256').update(readFileSync(file)).digest('hex'), served_by: 'openai', model: 'mock-a', lean: 'progressive' })
  t.match(first, { before: null, policy: { sha256: /^[0-9a-f]{64}$/ }, retention_days: 180 })
  t.equal((await run()).length, 1, 'nothing new')
  writeFileSync(file, readFileSync(file, 'utf8').replace('"summary": "', '"summary": "Changed. '))
  const [, second] = await run()
  t.equal(second!['before'], first!['digest'])
  t.not(second!['digest'], first!['digest'])
  for (const name of readdirSync(dataDir)) if (/^audit\.db|^checkpoint$|^log\.key$/.test(name)) rmSync(join(dataDir, name))
  t.match(await run(), [{ digest: second!['digest'] }], 'an older backup of the log, which does not say it any more, is told again')
  t.equal((await run()).length, 1)
})

t.test('each time the engine begins to answer, the log says with which model and adapters', async (t) => {
  const leaves: LeafDraft[] = []
  const listeners: ((state: any) => void)[] = []
  const engine = { onState: (listener: (state: any) => void) => { listeners.push(listener); return () => {} } }
  const gateway = await build(t)
  recordModels(engine as never, { config: { ...gateway.services.config, experts: {} }, perspectives: gateway.services.perspectives.list(), experts: gateway.services.experts, audit: { append: async (drafts) => { leaves.push(...drafts); return [] } } }, () => t.fail())
  for (const status of ['starting', 'ready', 'ready', 'restarting', 'ready']) listeners[0]!({ status, restarts: 0, unusable: { conservative: 'broken' } })
  t.equal(leaves.length, 2)
  t.match(leaves[0], { type: 'model.loaded', fields: { base_sha256: /^[0-9a-f]{64}$/, unusable: ['conservative'] } })
  t.notOk(JSON.stringify(leaves[0]!.fields['adapters']).includes('conservative'), 'one that is not served was not loaded')
})

t.test('a log that cannot take it does not start answering', async (t) => {
  const gateway = await build(t)
  const { config } = gateway.services
  await t.rejects(buildServices({ ...config, dataDir: join(temporary(t), 'data') }, () => {}, { audit: async () => ({ ...gateway.services.audit, append: async () => { throw new Error('full') }, record: async () => null, close: async () => {} }) }), { message: /full/ })
})
