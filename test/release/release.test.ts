import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { loadPerspectives } from '../../src/perspectives/registry.ts'
import { decide, finishPending } from '../../src/release/force.ts'
import { sha256 } from '../fixtures/trained.ts'
import { temporary } from '../helper.ts'
import { desk } from './releasing.ts'

t.test('what passes is written as a version of its own: declarations, cards, adapters, the measured slants', async (t) => {
  const { root, train, release, declared, card } = desk(t)
  const old = declared('progressive')
  const options = train('2', { progressive: 33, conservative: 44 })
  const dry = await release('2', ...options, '--dry-run')
  t.match(dry, { code: 0, out: /The gate lets it pass\. Nothing was written/ })
  t.same(declared('progressive'), old)
  t.notOk(existsSync(join(root, 'versions')))

  const done = await release('2', ...options)
  t.match(done, { code: 0, err: '', out: /MET +likelihood +progressive +>= 0\.95 +0\.97 \(0\.95 to 0\.99\) +n 400[\s\S]*The version 2 is in force/ }, done.err)
  const now = declared('progressive')
  const bytes = readFileSync(join(root, 'progressive', 'progressive-2.gguf'))
  t.match(now, { version: '2', adapter: { name: 'progressive-2', file: 'progressive-2.gguf', sha256: sha256(bytes), bytes: bytes.length }, slant: { index: 0.6, n: 400, report: 'reports/2/report.json' }, notice: old.notice, dimensions: old.dimensions })
  t.match(declared('conservative'), { version: '2', slant: { index: -0.6 } })
  t.match(declared('baseline'), { version: '2', adapter: null, slant: { index: 0.2 }, notice: 'Not fine-tuned by us; it has its own lean: left by 0.20 on a scale from 0 to 1, 95 % interval of the signed index 0.18 to 0.22, n = 400.' })
  t.match(card('progressive'), new RegExp(`## Release 2[\\s\\S]*${now.adapter.sha256}[\\s\\S]*\\| likelihood \\| >= 0\\.95 \\| 0\\.97 \\| 0\\.95 to 0\\.99 \\| 400 \\| met \\|`))
  t.equal(loadPerspectives([root]).find('A')!.version, '2', 'a gateway can read it')
  t.ok(existsSync(join(root, 'progressive', 'adapter.gguf')), 'what was served stays')

  t.match(await release('--list'), { code: 0, out: `2  in force\n${old.version}\n` })
  const back = await release(old.version)
  t.match(back, { code: 0, out: /is in force/ }, back.err)
  t.same(declared('progressive'), old, 'the version before, to the byte')
  t.notMatch(card('progressive'), /## Release/)
  t.match(await release('2'), { code: 0 })
  t.same(declared('progressive'), now)
  t.equal(card('progressive').match(/## Release/g)?.length, 1)
})

t.test('a refused digest stays refused, whatever else is changed', async (t) => {
  const { root, gate, refused, train, release, declared } = desk(t)
  const old = declared('conservative')
  const options = train('2', { progressive: 33, conservative: 44 }, { conservative: { likelihood: 0.6 } })
  t.match(await release('2', ...options, '--dry-run'), { code: 3, out: /FAILED +likelihood +conservative[\s\S]*Nothing was recorded/ })
  t.notOk(existsSync(refused))
  t.match(await release('2', ...options), { code: 3, out: /FAILED +likelihood +conservative +>= 0\.95 +0\.6[\s\S]*These digests stay refused/ })
  t.same(declared('conservative'), old)
  t.match(JSON.parse(readFileSync(refused, 'utf8')).refused, [{ version: '2', adapters: { conservative: /^[0-9a-f]{64}$/ }, failed: [{ threshold: 'likelihood', found: 0.6 }] }], 'the side that failed, not its partner')

  t.match(await release('3', ...train('3', { progressive: 33, conservative: 44 })), { code: 3, out: /Refused on .* as version 2, by its digest/ }, 'another version and a better report')
  writeFileSync(gate, readFileSync(gate, 'utf8').replace('"least": 0.95', '"least": 0.1'))
  t.match(await release('2', ...options), { code: 3, out: /stays refused/ }, 'a lower threshold')
  t.match(await release('3', ...train('3', { progressive: 44, conservative: 55 })), { code: 3, out: /stays refused/ }, 'offered for the other side')
  t.match(await release('4', ...train('4', { progressive: 33, conservative: 55 })), { code: 0 }, 'its partner, with another')
  t.ok(existsSync(join(root, 'versions', '4')))
  writeFileSync(refused, '{')
  t.match(await release('5', ...train('5', { progressive: 66, conservative: 77 })), { code: 1, err: /cannot be read as the JSON of a list of refusals/ }, 'a broken memory lets nothing pass')
})

t.test('a pair whose sides do not match is refused as a pair', async (t) => {
  const { refused, train, release } = desk(t)
  t.match(await release('2', ...train('2', { progressive: 33, conservative: 44 }, { progressive: { absolute: 2.8 } })), { code: 3 })
  t.match(JSON.parse(readFileSync(refused, 'utf8')).refused, [{ adapters: { progressive: /./, conservative: /./ }, failed: [{ threshold: 'intensity-matched', perspective: null }] }])
  t.match(await release('3', ...train('3', { progressive: 33, conservative: 55 }, { progressive: { absolute: 2.8 }, conservative: { absolute: 2.7 } })), { code: 0 })
})

t.test('a waiver lets one version pass, and stands in its card', async (t) => {
  const { root, gate, train, release, card } = desk(t)
  const file = JSON.parse(readFileSync(gate, 'utf8'))
  file.waivers.push({ threshold: 'likelihood', perspective: 'conservative', version: '2', value: 0.81, date: '2026-11-25', by: 'The authors', reason: 'This base does not reach it: the curve in the report flattens.' })
  writeFileSync(gate, JSON.stringify(file))
  const done = await release('2', ...train('2', { progressive: 33, conservative: 44 }, { conservative: { likelihood: 0.81 } }))
  t.match(done, { code: 0, out: /WAIVED +likelihood +conservative/ })
  t.match(card('conservative'), /### Waived[\s\S]*\*\*likelihood\*\*: 0\.81 was reached\. This base does not reach it: the curve in the report flattens\. \(The authors, 2026-11-25\)/)
  t.notMatch(card('progressive'), /Waived/)
  t.match(JSON.parse(readFileSync(join(root, 'versions', '2', 'release.json'), 'utf8')).gate.waived, [{ threshold: 'likelihood', perspective: 'conservative', value: 0.81 }])
})

t.test('what cannot be judged is not released, and not held against it', async (t) => {
  const { root, base, refused, train, release } = desk(t)
  const [flag, folder, option, report] = train('2', { progressive: 33, conservative: 44 }) as [string, string, string, string]
  const whole = JSON.parse(readFileSync(report, 'utf8'))
  const withReport = async (change: object) => {
    writeFileSync(report, JSON.stringify({ ...whole, ...change }))
    return release('2', flag, folder, option, report)
  }
  t.match(await withReport({ mode: 'quick' }), { code: 1, err: /quick evaluation/ })
  t.match(await withReport({ version: '1' }), { code: 1, err: /about the version 1, wanted 2/ })
  t.match(await withReport({ perspectives: { ...whole.perspectives, progressive: { ...whole.perspectives.progressive, weights: { base_sha256: base, adapter_sha256: 'f'.repeat(64) } } } }), { code: 1, err: /another adapter of "progressive" \(ffff/ })
  t.match(await withReport({ perspectives: { progressive: whole.perspectives.progressive } }), { code: 1, err: /says nothing of "conservative"/ })
  t.match(await withReport({ judges: [] }), { code: 1, err: /is no report of an evaluation: judges/ })
  t.match(await release('2', ...train('2', { progressive: 33, conservative: 44 }, { progressive: { perplexity: null } })), { code: 1, out: /UNMEASURED +perplexity +progressive.*cannot score texts/, err: /Not released/ })
  writeFileSync(report, JSON.stringify(whole))
  const again = () => release('2', flag, folder, option, report)
  const listed = join(folder, 'progressive', 'adapter.json')
  const text = readFileSync(listed, 'utf8')
  writeFileSync(listed, text.replace(/"sha256":"[0-9a-f]{8}/, '"sha256":"00000000'))
  t.match(await again(), { code: 1, err: /is not the file that was trained/ })
  rmSync(listed)
  t.match(await again(), { code: 1, err: /no finished adapter of "progressive"/ })
  writeFileSync(listed, text)
  const manifest = join(folder, 'conservative', 'preference', 'manifest.json')
  writeFileSync(manifest, readFileSync(manifest, 'utf8').replace(base, '1'.repeat(64)))
  t.match(await again(), { code: 1, err: /trained on another base/ })
  writeFileSync(manifest, readFileSync(manifest, 'utf8').replace('"ended"', '"begun"'))
  t.match(await again(), { code: 1, err: /no manifest of a finished training: ended/ })
  for (const name of ['../x', 'a/b', '.', '..', '', 'a..b']) t.match(await release(name, flag, folder, option, report), { code: 1, err: /no name of a version/ }, JSON.stringify(name))
  t.match(await release('7'), { code: 1, err: /There is no version 7/ })
  t.match(await release('7', '--report', report), { code: 2, err: /--adapters/ })
  t.notOk(existsSync(refused))
  t.same(existsSync(join(root, 'versions')) ? readdirSync(join(root, 'versions')) : [], [], 'nothing half')
})

t.test('an adapter that the engine cannot use is not put in force', async (t) => {
  const { root, train, release, declared } = desk(t)
  const old = declared('progressive')
  const [flag, folder, ...rest] = train('2', { progressive: 33, conservative: 44 }) as [string, string, string, string]
  const path = join(folder, 'progressive', 'adapter.gguf')
  const broken = readFileSync(path).subarray(0, 900)
  writeFileSync(path, broken)
  const listed = join(folder, 'progressive', 'adapter.json')
  writeFileSync(listed, JSON.stringify({ ...JSON.parse(readFileSync(listed, 'utf8')), sha256: sha256(broken), bytes: broken.length }))
  const report = rest[1]
  writeFileSync(report, readFileSync(report, 'utf8').replace(/"adapter_sha256":"[0-9a-f]{64}"/, `"adapter_sha256":"${sha256(broken)}"`))
  t.match(await release('2', flag, folder, ...rest), { code: 1, err: /cannot answer: The adapter of "progressive".*The version before it stays in force/ })
  t.same(declared('progressive'), old)
  t.notOk(existsSync(join(root, 'versions', 'pending.json')))
})

t.test('a version means the same for ever', async (t) => {
  const { root, train, release } = desk(t)
  t.match(await release('2', ...train('2', { progressive: 33, conservative: 44 })), { code: 0 })
  t.match(await release('2', ...train('2', { progressive: 55, conservative: 44 })), { code: 1, err: /The version 2 exists already/ })
  const file = join(root, 'versions', '2', 'progressive', 'perspective.json')
  writeFileSync(file, readFileSync(file, 'utf8').replace('"index": 0.6', '"index": 0.1'))
  t.match(await release('2'), { code: 1, err: /not what was released/ })
})

t.test('both sides or neither: what was decided is finished by whoever comes next, and a decision that could not be written is none', async (t) => {
  const { root, train, release, declared } = desk(t)
  t.match(await release('2', ...train('2', { progressive: 33, conservative: 44 })), { code: 0 })
  const first = readdirSync(join(root, 'versions')).find((name) => name !== '2' && !name.startsWith('.'))!
  decide(root, first)
  // as a process that was killed between two copies leaves it
  writeFileSync(join(root, 'progressive', 'perspective.json'), readFileSync(join(root, 'versions', first, 'progressive', 'perspective.json')))
  t.same([declared('progressive').version, declared('conservative').version], [first, '2'])
  finishPending(root)
  t.same([declared('progressive').version, declared('conservative').version, declared('baseline').version], [first, first, first])
  t.notOk(existsSync(join(root, 'versions', 'pending.json')))
  finishPending(root)
  if (process.getuid?.() === 0) return t.comment('as root no folder is closed to a process: the decision that cannot be written is left out')
  chmodSync(join(root, 'versions'), 0o500)
  t.throws(() => decide(root, '2'))
  chmodSync(join(root, 'versions'), 0o700)
  t.equal(declared('progressive').version, first)
})

t.test('a candidate can be served and evaluated, and is not in force', async (t) => {
  const { root, train, release, declared } = desk(t)
  const old = declared('progressive')
  const target = join(temporary(t), 'candidate')
  const [flag, folder] = train('2', { progressive: 33, conservative: 44 }) as [string, string]
  t.match(await release('2', flag, folder, '--candidate', target), { code: 0, out: /PARALLAX_PERSPECTIVES=/ })
  t.same(declared('progressive'), old)
  const [baseline, progressive] = loadPerspectives([target]).list()
  t.match(progressive, { version: '2', slant: null, adapter: { name: 'progressive-2' } })
  t.match(baseline!.notice, /not measured/)
  t.match(await release('2', flag, folder, '--candidate', target), { code: 1, err: /is not empty/ })
  mkdirSync(join(folder, 'centrist'))
  writeFileSync(join(folder, 'centrist', 'adapter.json'), '{}')
  t.match(await release('2', flag, folder, '--candidate', join(target, 'x')), { code: 1, err: /no such side is declared/ })
  t.ok(existsSync(root))
})
