import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { openNote, parseCheckpoint, parseCosigner, parseVerifier } from '../../src/audit/note.ts'
import { startWitness } from '../fixtures/witness.ts'
import { build, QUESTION, temporary, until, type Built } from '../helper.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const LOG = '/audit/v1/log'
const json = async (gateway: Built, path: string) => (await fetch(`${gateway.url}${LOG}${path}`)).json() as any

t.test('everyone may see where checkpoints went, but neither paths, addresses nor reasons', async (t) => {
  const path = join(temporary(t), 'kept-secretly')
  const gateway = await build(t, { config: { audit: { anchors: [{ to: 'file', path, everySeconds: 60 }, { to: 'url', url: 'http://127.0.0.1:1/s3cret' }] } } })
  const { anchors } = await until(async () => {
    const found = await json(gateway, '/anchors')
    return found.anchors[0].size !== null && found.anchors[1].failing && found
  })
  t.same(anchors.map(({ at, ...rest }: any) => [typeof at, rest]), [
    ['string', { to: 'file', name: null, every_seconds: 60, size: 2, failing: false }],
    ['object', { to: 'url', name: null, every_seconds: 3600, size: null, failing: true }],
  ])
  t.ok(Math.abs(Date.parse(anchors[0].at) - Date.now()) < 60_000)
  t.notMatch(JSON.stringify(anchors), /secret|127\.0\.0\.1|ECONN/)
  const metrics = await (await fetch(`${gateway.url}/metrics`)).text()
  t.match(metrics, /^parallax_anchor_up\{to="file"\} 1$/m)
  t.match(metrics, /^parallax_anchor_up\{to="url"\} 0$/m)
  t.match(metrics, /^parallax_anchor_age_seconds\{to="file"\} \d/m)
  t.notMatch(metrics, /parallax_anchor_age_seconds\{to="url"\}/, 'nothing ever arrived there')
})

t.test('a gateway without anchors says so', async (t) => {
  const gateway = await build(t)
  t.same(await json(gateway, '/anchors'), { anchors: [] })
  const missing = await fetch(`${gateway.url}${LOG}/checkpoint/witnessed`)
  t.equal(missing.status, 404)
  t.match(missing.headers.get('content-type'), /application\/problem\+json/)
})

t.test('the checkpoint that a witness signed is served with its line, and an answer waits for no witness', async (t) => {
  const dataDir = join(temporary(t), 'data')
  // a first start makes the log's key, which the witness has to know
  const first = await build(t, { dataDir })
  const { verifier } = await json(first, '')
  await first.app.close()
  await first.services.close()
  const witness = await startWitness(verifier)
  t.teardown(() => witness.close())
  const asked = Promise.withResolvers<void>()
  const answer = Promise.withResolvers<void>()
  witness.next(async (right) => { asked.resolve(); await answer.promise; return right() })
  const gateway = await build(t, { dataDir, config: { audit: { anchors: [{ to: 'witness', url: witness.url, vkey: witness.vkey, everySeconds: 10 }] } } })
  await asked.promise
  t.equal((await gateway.ask({ model: 'A', messages: QUESTION })).status, 200, 'while the witness says nothing')
  t.equal((await fetch(`${gateway.url}${LOG}/checkpoint/witnessed`)).status, 404)
  answer.resolve()
  const reply = await until(async () => { const one = await fetch(`${gateway.url}${LOG}/checkpoint/witnessed`); return one.ok && one })
  t.match(reply.headers.get('content-type'), /^text\/plain/)
  const note = await reply.text()
  t.equal(openNote(note, parseCosigner(witness.vkey)), openNote(note, parseVerifier(verifier)))
  t.match(await json(gateway, '/anchors'), { anchors: [{ to: 'witness', name: witness.name, every_seconds: 10, size: witness.size(), failing: false }] })
  const { size } = parseCheckpoint(openNote(gateway.services.audit.tree.checkpoint(), parseVerifier(verifier)))
  t.ok(size > witness.size(), 'the answer came after it')
  await gateway.app.close()
  await gateway.services.close()
  t.equal(witness.size(), size, 'the end brings the witness what was new')
})

t.test('the page\'s command cuts the last checkpoint out of a file of many, and the export verifies against it', async (t) => {
  const dataDir = join(temporary(t), 'data')
  const path = join(temporary(t), 'anchors')
  const options = { dataDir, env: { PARALLAX_ANCHOR_FILE: path } }
  const entries = () => readFileSync(path, 'utf8').split(/^\d{4}-\S+Z\n/m).slice(1)
  const first = await build(t, options)
  await (await first.ask({ model: 'A', messages: QUESTION })).arrayBuffer()
  await first.app.close()
  await first.services.close()
  const gateway = await build(t, options)
  await until(() => entries().length === 3)
  const cwd = temporary(t)
  const command = /^ *(awk .*)$/m.exec(readFileSync(join(root, 'docs/audit.md'), 'utf8'))![1]!
  execFileSync('bash', ['-c', command], { cwd, env: { ...process.env, ANCHORS: path } })
  const cut = readFileSync(join(cwd, 'checkpoint-anchored'), 'utf8')
  t.equal(cut, entries()[2])
  const { verifier } = await json(gateway, '')
  const { size } = parseCheckpoint(openNote(cut, parseVerifier(verifier)))
  writeFileSync(join(cwd, 'export.ndjson'), await (await fetch(`${gateway.url}/audit/v1/export`, { headers: { authorization: `Bearer ${gateway.keys.auditor}` } })).text())
  const verify = (checkpoint: string): string => {
    writeFileSync(join(cwd, 'kept'), checkpoint)
    return execFileSync('bash', ['-c', '"$0" "$1" verify export.ndjson --vkey "$2" --checkpoint kept 2>&1 || true', process.execPath, join(root, 'src/cli/parallax.ts'), verifier], { cwd, encoding: 'utf8' })
  }
  t.match(verify(cut), new RegExp(`the first ${size} leaves are those of the kept checkpoint`))
  t.match(verify(entries()[1]!), /those of the kept checkpoint/, 'and so with an older one')
  t.match(verify(cut.replace(/^\d+$/m, String(size - 1))), /kept checkpoint: The signature .* does not fit/)
})
