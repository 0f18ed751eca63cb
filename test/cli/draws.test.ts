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

t.test('before the epoch has ended nothing can be checked, and it is said when it can', async (t) => {
  const gateway = await build(t)
  for (let times = 0; times < 2; times++) await (await gateway.ask({ model: 'mix-0.50', messages: QUESTION })).text()
  const exported = await (await fetch(`${gateway.url}/audit/v1/export`, { headers: { authorization: `Bearer ${gateway.keys.auditor}` } })).text()
  const file = join(temporary(t), 'export.ndjson')
  writeFileSync(file, exported)
  const [epoch] = (await gateway.leaves()).filter(({ type }) => type === 'draw.epoch')
  const found = await draws(file)
  t.equal(found.code, 0, found.out)
  t.match(found.out, /checked {6}0 draws are as recorded; 0 of 1 epochs are revealed\nnot checked {2}2 draws of epoch \d+, .*it ends at /)
  t.match(found.out, `it ends at ${new Date(epoch!['until'] as number).toISOString()}`)

  writeFileSync(file, exported.split('\n').slice(0, -2).join('\n'))
  t.match(await draws(file), { code: 1, out: /WRONG {8}.*export\.ndjson ends without its manifest: the export was cut off\. Pull it again/ })
  const [first, ...others] = exported.split('\n')
  writeFileSync(file, [first, '{"leaf":', ...others].join('\n'))
  t.match(await draws(file), { code: 1, out: /WRONG {8}line 2 of .*export\.ndjson is neither a record nor a manifest/ })
})

t.test('a file that is no export is refused as a wrong call, and an export without a draw says so', async (t) => {
  const home = temporary(t)
  const file = join(home, 'given')
  t.match(await draws(join(home, 'none')), { code: 2, out: /Cannot read the export, .*none: there is no such file\./ })
  for (const text of ['# A page\n', '{"begin":{"leaf":"{}"},"ends":[]}\n', 'index,id,type\n', '5\n', 'null']) {
    writeFileSync(file, text)
    t.match(await draws(file), { code: 2, out: /given is no export: its first line is neither a record nor a manifest\. Wanted what GET/ }, text)
  }
  writeFileSync(file, '')
  t.match(await draws(file), { code: 2, out: /given is empty/ })
  writeFileSync(file, '{"manifest":{"count":0}}\n')
  t.match(await draws(file), { code: 0, out: /^This export holds no draw/ })
})
