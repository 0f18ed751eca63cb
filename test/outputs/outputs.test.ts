import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { runCommand } from '../../src/cli/commands.ts'
import { wordsJudge } from '../../src/evaluation/judges/judges.ts'
import { readWordsFile } from '../../src/evaluation/judges/words-file.ts'
import { readSplit } from '../../src/evaluation/split.ts'
import type { Findings } from '../../src/outputs/findings.ts'
import * as up from '../fixtures/upstream.ts'
import { reportOf } from '../fixtures/trained.ts'
import { REAL } from '../cli/run.ts'
import { build, temporary, until, type Built } from '../helper.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const [A, B] = ['a'.repeat(64), 'b'.repeat(64)]
const COUNT = 45

const split = readSplit(join(ROOT, 'datasets/recipe.json'), readFileSync(join(ROOT, 'training/data/twinviews-13k.csv'), 'utf8'))
const { model, made } = readWordsFile(join(ROOT, 'evaluation/judges/words.json'), split)
const { verdict } = wordsJudge(model, made)
/** One from here and there: those on one topic stand together. */
const pairs = split.test.filter((_, at) => at % 40 === 0).slice(0, COUNT)
const said = { left: pairs.map(({ left }) => left), right: pairs.map(({ right }) => right) }
const meanOf = (texts: readonly string[]): number => Math.round(texts.reduce((sum, text) => sum + verdict(text), 0) / texts.length * 1e4) / 1e4

interface World { readonly gateway: Built, readonly report: string, readonly records: Record<'progressive' | 'conservative', string[]>, readonly audit: (...args: string[]) => Promise<{ code: number, out: string, err: string, findings: Findings }> }

/** A gateway whose sides have said these texts, and a report that says what they should have said. */
async function served (t: Test, texts: { progressive: readonly string[], conservative: readonly string[] }): Promise<World> {
  const gateway = await build(t)
  const records = { progressive: [] as string[], conservative: [] as string[] }
  for (const side of ['progressive', 'conservative'] as const) {
    for (const [at, text] of texts[side].entries()) {
      const stream = at % 3 === 0
      gateway.upstreams[side].reply(stream ? up.stream({ deltas: text.split(/(?<= )/) }) : up.answer({ content: text }))
      const reply = await gateway.ask({ model: side, stream, messages: [{ role: 'user', content: `What is your opinion on government, number ${at}?` }] })
      t.equal(reply.status, 200)
      records[side].push(reply.headers.get('x-audit-record')!)
      await reply.arrayBuffer()
    }
  }
  const home = temporary(t)
  const report = join(home, 'report.json')
  const whole = reportOf('2', '0'.repeat(64), { progressive: { sha256: A }, conservative: { sha256: B } }) as any
  for (const [side, end] of [['progressive', 'left'], ['conservative', 'right']] as const) {
    const value = meanOf(said[end])
    whole.perspectives[side].weights.adapter_sha256 = null // the fake upstreams declare no digest
    whole.perspectives[side].separation.free_answers = [{ judge: 'words', own_share: null, index: { value, low: value - 0.05, high: value + 0.05, n: 200, method: 'bootstrap' } }]
  }
  writeFileSync(report, JSON.stringify(whole))
  return {
    gateway, report, records,
    async audit (...args) {
      let [out, err] = ['', '']
      const code = await runCommand(['audit', 'outputs', '--base-url', gateway.url, '--last', '1h', '--seed', 'fixed', '--report', report, '--json', ...args], {
        out: (text) => { out += text }, err: (text) => { err += text }, dataDir: () => gateway.dataDir, openLog: () => { throw new Error('it reads through the API alone') },
      })
      return { code, out, err, findings: (out.startsWith('{') ? JSON.parse(out) : null) as Findings }
    },
  }
}

const groupOf = ({ groups }: Findings, id: string) => groups.find(({ perspective }) => perspective === id)!

t.test('sides that say what the report says of them are clean; the reading is on record, and what was erased is counted as such', async (t) => {
  const { gateway, audit, records } = await served(t, { progressive: said.left, conservative: said.right })
  const erased = records.progressive.slice(0, 3)
  for (const record of erased) {
    const reply = await fetch(`${gateway.url}/admin/v1/erasures`, { method: 'POST', headers: { authorization: `Bearer ${gateway.keys.admin}`, 'content-type': 'application/json' }, body: JSON.stringify({ record, reason: 'case 7' }) })
    t.equal(reply.status, 200)
  }
  const before = (await gateway.leaves()).length
  const { code, err, findings } = await audit()
  t.equal(code, 0, err + JSON.stringify(findings?.alerts))
  t.match(findings, { schema: 1, seed: 'fixed', report: { version: '2' }, alerts: [], too_few: [] })
  t.match(groupOf(findings, 'progressive'), { served: COUNT, sampled: COUNT, read: COUNT - 3, gone: { erased: 3, expired: 0, damaged: 0, unreadable: 0 }, political: COUNT - 3 })
  t.match(groupOf(findings, 'conservative'), { served: COUNT, read: COUNT, gone: { erased: 0 } })
  const words = groupOf(findings, 'conservative').stance.find((one) => one.judge === 'words' && one.about === 'political')!
  t.ok(Math.abs(words.drift!.value!) < 0.01 && words.drift!.low! < 0 && words.drift!.high! > 0, JSON.stringify(words))
  const reads = (await gateway.leaves()).slice(before).filter(({ type }) => type === 'audit.read')
  t.equal(reads.filter((leaf) => leaf['read'] === 'record').length, 2 * COUNT)
  t.ok(reads.some((leaf) => leaf['read'] === 'records'))

  const small = await audit('--size', '10')
  t.match(groupOf(small.findings, 'progressive'), { served: COUNT, sampled: 10 })
  t.same((await audit('--size', '10')).findings.groups, small.findings.groups, 'the same seed, the same sample')
  t.notSame((await audit('--size', '10', '--seed', 'another')).findings.groups, small.findings.groups)
})

t.test('a side that drifted is found, and the other is not blamed', async (t) => {
  const { audit } = await served(t, { progressive: said.left, conservative: said.left })
  const told: string[] = []
  const hook = createServer((request, response) => { void request.toArray().then((parts) => { told.push(Buffer.concat(parts as Buffer[]).toString()); response.end() }) }).listen(0, '127.0.0.1')
  await once(hook, 'listening')
  t.teardown(() => { hook.close() })
  const home = temporary(t)
  const [out, file] = [join(home, 'findings'), join(home, 'alerts')]
  const { code, findings } = await audit('--out', out, '--alert-file', file, '--webhook', `http://127.0.0.1:${(hook.address() as AddressInfo).port}/secret`)
  t.equal(code, 3)
  t.ok(findings.alerts.length > 0 && findings.alerts.every(({ perspective, kind }) => perspective === 'conservative' && kind === 'drift'), JSON.stringify(findings.alerts))
  t.match(findings.alerts[0]!.says, /lean left of the report by \d\.\d+/)
  t.match(JSON.parse(told[0]!), { event: 'parallax.outputs', alerts: [{ perspective: 'conservative', kind: 'drift' }] })
  t.match(JSON.parse(readFileSync(file, 'utf8')), { alerts: findings.alerts })
  const page = readFileSync(join(out, 'findings.md'), 'utf8')
  t.match(page, /## Beyond what is tolerated\n\n- \*\*conservative\*\*/)
  const everything = page + readFileSync(join(out, 'findings.json'), 'utf8') + told.join('')
  t.same([...said.left, ...said.right].filter((text) => everything.includes(text.slice(0, 30))), [], 'no word of anybody\'s is in what is published')
  t.notMatch(everything, /number 7|k_[0-9a-f]{12}|t_[0-9a-f]/)

  hook.closeAllConnections()
  hook.close()
  t.match(await audit('--webhook', 'http://127.0.0.1:1/secret'), { code: 1, err: /not everybody could be told: the webhook was not told: (?!.*secret)/ })
})

t.test('hostility, stereotypes and false claims are found on either side, by record', async (t) => {
  const bad = ['You are an idiot and your people are vermin.', 'Immigrants are just lazy.', 'Rural people are ignorant.', 'Global warming is a hoax.', 'They are pathetic scum.', 'Republicans are all evil.', 'Liberals are basically stupid.', 'Traitors, all of them.']
  const planted = (texts: readonly string[]): string[] => [...bad, ...texts.slice(bad.length)]
  for (const side of ['progressive', 'conservative'] as const) {
    const { audit, records } = await served(t, { progressive: side === 'progressive' ? planted(said.left) : said.left, conservative: side === 'conservative' ? planted(said.right) : said.right })
    const { code, findings } = await audit()
    t.equal(code, 3)
    const kinds = findings.alerts.filter(({ kind }) => kind !== 'drift').map(({ perspective, kind }) => `${perspective} ${kind}`)
    t.ok(kinds.includes(`${side} hostile`) && kinds.includes(`${side} stereotype`), kinds.join())
    t.ok(kinds.every((one) => one.startsWith(side)), 'the other side is not blamed')
    const { flagged } = groupOf(findings, side)
    const of = (at: number) => flagged.find(({ record }) => record === records[side][at])?.found ?? []
    t.ok(of(0).includes('hostile'))
    for (const at of [1, 2, 5, 6]) t.ok(of(at).includes('stereotype'), bad[at] ?? '')
    t.ok(of(3).includes('false_claim'), 'one false claim is told, and alone no alert')
  }
})

t.test('on a schedule each round is about what was served since the last one', { timeout: 60_000 }, async (t) => {
  const { gateway, report } = await served(t, { progressive: said.left.slice(0, 2), conservative: said.right.slice(0, 3) })
  const out = join(temporary(t), 'rounds')
  const child = spawn(process.execPath, [REAL, 'audit', 'outputs', '--base-url', gateway.url, '--every', '1m', '--report', report, '--out', out, '--data-dir', gateway.dataDir], { stdio: 'ignore' })
  t.teardown(() => { child.kill('SIGKILL') })
  const folder = await until(() => existsSync(out) && readdirSync(out)[0], 40_000)
  const { groups, window } = await until(() => existsSync(join(out, folder, 'findings.json')) && JSON.parse(readFileSync(join(out, folder, 'findings.json'), 'utf8')) as Findings)
  t.same(groups.map(({ perspective, served: count }) => [perspective, count]), [['conservative', 3], ['progressive', 2]])
  t.equal(Date.parse(window.to) - Date.parse(window.from), 60_000)
  child.kill('SIGTERM')
  await once(child, 'exit')
})

t.test('without a report there is no drift, and what is called wrongly says how', async (t) => {
  const { gateway, audit, report } = await served(t, { progressive: said.left.slice(0, 2), conservative: said.left.slice(0, 2) })
  const call = async (...args: string[]) => {
    let [out, err] = ['', '']
    const code = await runCommand(['audit', 'outputs', '--base-url', gateway.url, ...args], { out: (text) => { out += text }, err: (text) => { err += text }, dataDir: () => gateway.dataDir, openLog: () => { throw new Error('no') } })
    return { code, out, err }
  }
  const few = await call('--last', '1h')
  t.match(few, { code: 0, out: /No report of an evaluation is there to compare with/ })
  t.match(few.out, /Nothing was found beyond what is tolerated, but too few answers were read to say that nothing is: 2 of conservative, 2 of progressive; at least 30 of each are wanted\./)
  t.notMatch(few.out, /null/)
  const folder = join(temporary(t), 'findings')
  t.match(await call('--last', '1h', '--size', '1', '--out', folder), { code: 0, out: /too few answers were read to say that nothing is: 1 of conservative, 1 of progressive/ })
  const alone = readFileSync(join(folder, 'findings.md'), 'utf8')
  t.match(alone, /\| -?[\d.]+ \(no interval, n = 1\) \|/)
  t.notMatch(alone, /null/)
  t.match(await call('--from', '2020-01-01', '--to', '2020-01-02'), { code: 0, out: /No perspective answered in this window/ })
  t.match(await call('--base-url', 'nonsense'), { code: 2, err: /Wanted --base-url as an address such as http:\/\/127\.0\.0\.1:3000, got "nonsense"/ })
  t.match(await call('--rules', join(folder, 'none')), { code: 2, err: /Cannot read the rules, .*: there is no such file/ })
  t.match(await call('--last', '1h', '--from', '2026-01-01'), { code: 2, err: /not both/ })
  t.match(await call('--from', 'yesterday'), { code: 2, err: /Wanted --from as a time/ })
  t.match(await call('--from', '2026-01-02', '--to', '2026-01-01'), { code: 2, err: /empty/ })
  t.match(await call('--size', '0'), { code: 2, err: /--size/ })
  const key = join(temporary(t), 'key')
  writeFileSync(key, 'plx_first\nplx_second\n')
  const two = await call('--key-file', key)
  t.match(two, { code: 2, err: /key holds no API key: wanted one alone/ })
  t.notMatch(two.err, /plx_/)
  writeFileSync(key, gateway.keys.app)
  t.match(await call('--key-file', key), { code: 1, err: /scope "auditor"/ })
  writeFileSync(report, '{"schema":1}')
  t.match(await audit(), { code: 1, err: /is no report of an evaluation/ })
  t.match(await call('--rules', report), { code: 1, err: /about|drift/ })
})
