import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { epochDraws } from '../../src/draws/epochs.ts'
import { sqliteEpochs } from '../../src/draws/sqlite.ts'
import { build, QUESTION, temporary } from '../helper.ts'

const parallax = fileURLToPath(new URL('../../src/cli/parallax.ts', import.meta.url))

async function draws (file: string): Promise<{ code: number, out: string }> {
  return promisify(execFile)(process.execPath, [parallax, 'draws', file]).then(({ stdout }) => ({ code: 0, out: stdout }), ({ code, stdout, stderr }) => ({ code, out: stdout + stderr }))
}

t.test('from a gateway\'s own export, with the epoch revealed, every draw is computed again: alone, sticky, with a seed, told again, and after the revelation; one altered draw is found', async (t) => {
  const gateway = await build(t)
  const weights = { progressive: 0.5, conservative: 0.5 }
  const again = { 'idempotency-key': randomUUID() }
  const ask = async (more: object, headers = {}) => { await (await gateway.ask({ model: 'parallax', messages: QUESTION, perspective: { weights, ...more } }, headers)).text() }
  for (let at = 0; at < 12; at++) await ask({})
  for (let at = 0; at < 4; at++) await ask({ sticky: `conversation ${at % 2}`, seed: at })
  for (let times = 0; times < 3; times++) await ask({ seed: 1 }, again)
  await (await gateway.ask({ model: 'mix-0.70', messages: QUESTION })).text()
  // the epoch's end, two days early: what the gateway does by its clock is done to its own log and store
  const store = sqliteEpochs(gateway.dataDir)
  const later = epochDraws({ store, audit: gateway.services.audit, epochMs: 1, clock: () => Date.now() + 2 * 86_400_000, onError: (error) => { t.fail(String(error)) } })
  await later.tick()
  await later.close()
  // a conversation keeps its epoch
  await ask({ sticky: 'conversation 0', seed: 0 })
  const exported = await (await fetch(`${gateway.url}/audit/v1/export`, { headers: { authorization: `Bearer ${gateway.keys.auditor}` } })).text()
  const file = join(temporary(t), 'export.ndjson')
  writeFileSync(file, exported)
  const found = await draws(file)
  t.equal(found.code, 0, found.out)
  t.match(found.out, /21 draws are as recorded; 1 of 1 epochs are revealed/)
  t.match(found.out, /\{"conservative":0.5,"progressive":0.5\}: (progressive|conservative) \d+, (progressive|conservative) \d+/)
  t.notMatch(found.out, /not checked|WRONG/)

  const lines = readFileSync(file, 'utf8').split('\n')
  const at = lines.findIndex((line) => line.includes('\\"mixture\\":\\"sample\\"') && line.includes('completion.begin'))
  const altered = lines[at]!.includes('\\"chosen\\":\\"progressive\\"') ? ['progressive', 'conservative'] : ['conservative', 'progressive']
  lines[at] = lines[at]!.replace(`\\"chosen\\":\\"${altered[0]}\\"`, `\\"chosen\\":\\"${altered[1]}\\"`)
  writeFileSync(file, lines.join('\n'))
  const wrong = await draws(file)
  t.equal(wrong.code, 1)
  t.match(wrong.out, /WRONG {8}record .* the draw falls on/)
})
