import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { newSeed, signerOf } from '../../src/audit/note.ts'
import { openAuditLog, rotateLogKey } from '../../src/audit/open.ts'
import { verifyExport, type VerifyOptions } from '../../src/audit/verify.ts'
import { newId } from '../../src/ids.ts'
import { build, events, QUESTION, temporary, type Built } from '../helper.ts'

const CLI = fileURLToPath(new URL('../../src/cli/parallax.ts', import.meta.url))
const exported = async (gateway: Built): Promise<string> => (await fetch(`${gateway.url}/audit/v1/export`, { headers: { authorization: `Bearer ${gateway.keys.auditor}` } })).text()
const check = (text: string, options?: VerifyOptions) => verifyExport((async function * () { yield * text.split('\n') })(), options)

async function used (t: any): Promise<Built> {
  const gateway = await build(t)
  for (const model of ['A', 'B']) await (await gateway.ask({ model, messages: QUESTION })).arrayBuffer()
  await events(await gateway.ask({ model: 'A', messages: QUESTION, stream: true }))
  await (await gateway.ask({ model: 'nobody', messages: QUESTION })).arrayBuffer()
  return gateway
}

t.test('an export of a sound log passes, and says what it could not show', async (t) => {
  const gateway = await used(t)
  const kept = gateway.services.audit.tree.checkpoint()
  await (await gateway.ask({ model: 'B', messages: QUESTION })).arrayBuffer()
  const found = await check(await exported(gateway), { kept, verifier: gateway.services.audit.tree.verifier })
  t.same(found.wrong, [])
  t.match(found.checked.join('\n'), /signed checkpoint over \d+ leaves[\s\S]*kept checkpoint/)
  t.match(found.notChecked.join('\n'), /never recorded/)
})

t.test('one changed, missing, moved or added thing is found, each by what it is', async (t) => {
  const gateway = await used(t)
  const kept = gateway.services.audit.tree.checkpoint()
  const text = await exported(gateway)
  const lines = text.trimEnd().split('\n')
  const at = lines.findIndex((line) => line.includes('completion.end'))
  const edited = (place: number, change: (line: any) => void): string => lines.map((line, index) => {
    if (index !== place) return line
    const parsed = JSON.parse(line)
    change(parsed)
    return JSON.stringify(parsed)
  }).join('\n')
  const cases: [string, string, RegExp][] = [
    ['a leaf', edited(at, (one) => { one.leaf = one.leaf.replace('"complete"', '"completE"') }), /does not have the hash/],
    ['a leaf and its hash', edited(at, (one) => { one.leaf_hash = 'AAAA' }), /does not have the hash/],
    ['a transcript', edited(at, (one) => { one.payload.base64 = Buffer.from('something else').toString('base64') }), new RegExp(`transcript of leaf ${at}`)],
    ['the words shown for a transcript', edited(at, (one) => { one.payload.text = 'other words' }), new RegExp(`text shown for leaf ${at} is not what its base64 says`)],
    ['a transcript shown where none is', edited(0, (one) => { one.payload = { state: 'none', text: 'other words' } }), /line 1 shows a transcript where its leaf commits to none/],
    ['words beside an erasure', edited(at, (one) => { one.payload = { state: 'erased', text: 'other words' } }), /shows a transcript where it says "erased"/],
    ['a salt', edited(at, (one) => { one.payload.salt = Buffer.alloc(32).toString('base64') }), /commits to/],
    ['a line left out', lines.toSpliced(at, 1).join('\n'), /a leaf is missing/],
    ['two lines exchanged', lines.toSpliced(at, 2, lines[at + 1]!, lines[at]!).join('\n'), /stands where/],
    ['the manifest cut off', lines.slice(0, -1).join('\n'), /manifest is missing/],
    ['the file cut off in a line', text.slice(0, text.length >> 1), /cut off/],
    ['the checkpoint', edited(lines.length - 1, ({ manifest }) => { manifest.checkpoint = manifest.checkpoint.replace(/\n\d/, '\n9') }), /the checkpoint: /],
    ['the last leaves cut off, with a manifest that fits', [...lines.slice(0, -3), JSON.stringify({ manifest: { ...JSON.parse(lines.at(-1)!).manifest } })].join('\n'), /not those that the manifest/],
  ]
  for (const [name, altered, reason] of cases) t.match((await check(altered, { kept })).wrong.join('\n'), reason, name)
  t.match((await check(text, { verifier: signerOf('other', newSeed()).verifier })).wrong.join('\n'), /not signed by "other"/)
  const longer = kept.replace(/\n\d+\n/, '\n9999\n')
  for (const [what, reason] of [['index,id,type\n', /no NDJSON export/], ['{"status":401,"detail":"This API key is not valid here"}\n', /line 1 is no record of an export\. It says: .*not valid here/], [lines.slice(2).join('\n'), /pulled with a filter/]] as const) {
    const { wrong } = await check(what)
    t.equal(wrong.length, 1, 'one reason, and no second one that follows from it')
    t.match(wrong[0], reason)
  }
  t.match((await check(text, { kept: longer })).wrong.join('\n'), /cut short/)
  t.match((await check(text, { kept: kept.replace(/\n(\d)\n/, '\n3\n') })).wrong.join('\n') || (await check(text, { kept: kept.replace(/\n\d+\n/, '\n3\n') })).wrong.join('\n'), /rewritten/)
})

t.test('after a change of the log\'s key: the new one for the export, the old one behind it for what was kept', async (t) => {
  const settings = { dataDir: temporary(t), audit: { origin: 'example.com/log', kekFile: undefined, retentionDays: 0, anchors: [] }, kek: undefined, databaseUrl: undefined }
  const log = await openAuditLog(settings)
  await log.append([{ type: 'feedback', id: newId(), key: null, fields: {} }])
  const kept = log.tree.checkpoint()
  await log.close()
  const { from, to } = await rotateLogKey(settings, 'yearly')
  const after = await openAuditLog(settings)
  const { tree } = after
  const lines: string[] = []
  const digest = createHash('sha256')
  for await (const { index, id, leaf, leaf_hash } of after.stream({})) lines.push(`${JSON.stringify({ index, id, leaf, leaf_hash, payload: { state: 'none' } })}\n`)
  for (const line of lines) digest.update(line)
  const text = `${lines.join('')}${JSON.stringify({ manifest: { count: lines.length, first_index: 0, last_index: lines.length - 1, as_of: lines.length, sha256: digest.digest('hex'), verifier: tree.verifier, checkpoint: tree.checkpoint() } })}\n`
  await after.close()
  t.same((await check(text, { verifier: [to, from], kept })).wrong, [])
  t.match((await check(text, { verifier: to, kept })).wrong.join('\n'), /^the kept checkpoint: .*leaf \d+ says that the log's key was .*: if that is the one you knew, give it with another --vkey behind the first$/)
  t.match((await check(text, { verifier: [from, to], kept })).wrong.join('\n'), /^the checkpoint: .*leaf \d+ says that the log's key was changed to .*: have that confirmed/, 'an old key signs no new export')
})

t.test('the command checks a file or a gateway, and its exit code says what came of it', async (t) => {
  const gateway = await used(t)
  const file = join(temporary(t), 'export.ndjson')
  const text = await exported(gateway)
  writeFileSync(file, text)
  const run = (...args: string[]) => promisify(execFile)(process.execPath, [CLI, 'verify', ...args]).then(({ stdout }) => ({ code: 0, stdout }), (error: { code: number, stdout: string }) => error)
  t.match(await run(file, '--vkey', gateway.services.audit.tree.verifier), { code: 0, stdout: /signed checkpoint/ })
  const key = join(temporary(t), 'key')
  writeFileSync(key, gateway.keys.auditor)
  t.match(await run(gateway.url, '--key-file', key), { code: 0, stdout: /signed checkpoint/ })
  writeFileSync(file, text.replace('audit.read', 'audit.reed'))
  t.match(await run(file), { code: 1, stdout: /WRONG/ })
  t.match(await run(join(file, '..', 'none')), { code: 2, stderr: /Cannot read the export, .*: there is no such file/ })
  t.match(await run(join(file, '..')), { code: 2, stderr: /it is a directory/ })
  t.match(await run(file, '--checkpoint', 'none'), { code: 2, stderr: /Cannot read the kept checkpoint, none: there is no such file/ })
  t.match(await run('http://127.0.0.1:9/', '--key-file', key), { code: 1, stderr: /Cannot reach http:\/\/127\.0\.0\.1:9.*Wanted the gateway's address/ })
  writeFileSync(key, `\n> parallax\n${gateway.keys.auditor}\n`)
  t.match(await run(gateway.url, '--key-file', key), { code: 2, stderr: /holds no API key/ })
  t.match(await run(), { code: 2 })
  t.match(await run(gateway.url), { code: 2 })
})

t.test('20,000 leaves are verified (npm run bench -- verify says how fast)', async (t) => {
  const gateway = await used(t)
  const count = 20_000
  for (let at = 0; at < 20; at++) await gateway.services.audit.append(Array.from({ length: count / 20 }, () => ({ type: 'feedback' as const, id: crypto.randomUUID(), key: 'k_1', fields: {} })))
  const text = await exported(gateway)
  const { wrong, leaves } = await check(text)
  t.same(wrong, [])
  t.ok(leaves > count)
})

t.test('a leaf excuses only what was there before it: none is written in advance', async (t) => {
  const gateway = await build(t)
  const id = newId()
  const leaf = (type: 'erasure' | 'payload.expired' | 'feedback', fields: Record<string, string[] | number>, own = newId()) => ({ type, id: own, key: null, fields })
  await gateway.services.audit.append([leaf('erasure', { records: [id] }), leaf('payload.expired', { from: 0, before: 1000 })])
  await gateway.services.audit.append([{ ...leaf('feedback', {}, id), payload: Buffer.from('x') }, { ...leaf('feedback', {}), payload: Buffer.from('y') }])
  const text = await exported(gateway)
  t.same((await check(text)).wrong, [])
  for (const [state, reason] of [['erased', /was erased, and no leaf/], ['expired', /expired, and no leaf/]] as const) {
    t.match((await check(text.replaceAll(/"payload":\{"state":"present"[^}]*\}/g, `"payload":{"state":"${state}"}`))).wrong.join('\n'), reason)
  }
})
