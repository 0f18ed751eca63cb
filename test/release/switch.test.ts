import { mkdirSync, readFileSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { controlPath, serveControl } from '../../src/control.ts'
import { alive } from '../engine/running.ts'
import { buildTiny, tinyPerspectives } from '../fixtures/tiny-perspectives.ts'
import { build, events, QUESTION, until, type Built } from '../helper.ts'
import { desk, type Desk } from './releasing.ts'

const SIDES = ['progressive', 'conservative'] as const
const ASK = { messages: QUESTION, temperature: 0, max_tokens: 16 }
const FRESH = { 'cache-control': 'no-store' }

/** One request at a time on each adapter, so that nothing is batched: a greedy answer is then the same every time, and tells who gave it. */
async function opened (t: Test): Promise<{ gateway: Built, at: Desk }> {
  const root = tinyPerspectives(t)
  const gateway = await buildTiny(t, { perspectives: [root], engine: { enabled: true, threads: 1, sequences: 1, queueLimit: 1000 } })
  const control = await serveControl({ path: controlPath(gateway.dataDir), handler: (request, response) => { gateway.app.routing(request, response) } })
  t.teardown(() => control.close())
  return { gateway, at: desk(t, { root, dataDir: gateway.dataDir }) }
}

const textOf = (chunks: any[], index = 0): string => chunks.map((chunk) => chunk.choices?.find((one: any) => one.index === index)?.delta?.content ?? '').join('')

async function whole (gateway: Built, model: string): Promise<{ text: string, digest: string | null, body: any }> {
  const reply = await gateway.ask({ ...ASK, model }, FRESH)
  const body = await reply.json() as any
  return { text: body.choices?.[0].message.content, digest: body.perspective?.expert.adapter_sha256, body }
}

/** What each digest answers, asked while nothing else runs. */
async function references (gateway: Built, known = new Map<string, string>()): Promise<Map<string, string>> {
  for (const side of [...SIDES, 'baseline']) {
    const { text, digest } = await whole(gateway, side)
    known.set(digest ?? 'base', text)
  }
  return known
}

t.test('a release under streaming load: no request fails, no answer mixes, and the digest that is disclosed is the one that answered', { timeout: 180_000 }, async (t) => {
  const { gateway, at } = await opened(t)
  const known = await references(gateway)
  const old = Object.fromEntries(SIDES.map((side) => [side, at.declared(side).adapter.sha256]))
  const oldEngine = gateway.services.engine!
  const cached = { ...ASK, model: 'progressive' }
  await (await gateway.ask(cached)).json()
  t.match((await gateway.ask(cached)).headers.get('cache-status'), /hit/)

  const seen: { digest: string, text: string, slant: unknown }[] = []
  const wrong: string[] = []
  let [running, ended] = [true, 0]
  const streamed = async (model: string): Promise<void> => {
    const chunks = await events(await gateway.ask({ ...ASK, model, stream: true }, FRESH))
    ended++
    if (chunks.at(-1) !== '[DONE]') return void wrong.push(`${model}: ${JSON.stringify(chunks.at(-1))}`)
    const { perspective } = chunks[0]
    const voices = perspective.voices ?? [perspective]
    for (const [index, one] of voices.entries()) seen.push({ digest: one.expert.adapter_sha256 ?? 'base', text: textOf(chunks, index), slant: one.slant })
    if (voices.length === 2 && (voices[0].expert.adapter_sha256 === old['progressive']) !== (voices[1].expert.adapter_sha256 === old['conservative'])) wrong.push('one side of before beside one of after')
  }
  const worker = async (models: readonly string[]): Promise<void> => { for (let turn = 0; running; turn++) await streamed(models[turn % models.length]!) }
  const long = gateway.ask({ ...ASK, model: 'conservative', max_tokens: 1200, stream: true }, FRESH).then(events)
  const load = Promise.all([worker(['progressive', 'both']), worker(['conservative', 'baseline']), worker(['both', 'progressive'])])
  await until(() => ended >= 6, 20_000)
  const options = at.train('2', { progressive: 33, conservative: 44 })
  const done = await at.release('2', ...options)
  t.match(done, { code: 0, out: /in the running gateway too/ }, done.err)
  const during = ended
  await until(() => ended >= during + 12, 20_000)
  running = false
  await load

  const now = Object.fromEntries(SIDES.map((side) => [side, at.declared(side).adapter.sha256]))
  await references(gateway, known)
  t.same(wrong, [])
  for (const side of SIDES) {
    t.not(now[side], old[side])
    t.not(known.get(now[side] ?? ''), known.get(old[side] ?? ''), 'they can be told apart')
    for (const digest of [old[side]!, now[side]!]) t.ok(seen.some((one) => one.digest === digest), `${side}: ${digest.slice(0, 8)} answered`)
  }
  t.same(seen.filter(({ digest, text }) => known.get(digest) !== text), [], `${seen.length} answers are what their digest says`)
  t.same(seen.filter(({ digest, slant }) => Object.values(old).includes(digest) ? slant !== 'not measured' : Object.values(now).includes(digest) && slant === 'not measured'), [], 'and so is what is said of it')
  const chunks = await long
  t.equal(chunks.at(-1), '[DONE]', 'one that had begun before ends')
  t.equal(chunks[0].perspective.expert.adapter_sha256, old['conservative'])

  t.comment(`${seen.length} answers, ${during} requests over when the release was`)
  await until(() => !alive(oldEngine.state().pid ?? -1) || oldEngine.state().status === 'closed', 20_000)
  t.not(gateway.services.engine, oldEngine)
  await until(() => gateway.services.exchanges.draining().length === 0)

  const again = await gateway.ask(cached)
  t.match(again.headers.get('cache-status'), /fwd=miss|fwd=bypass/, 'no copy of the old one\'s answers')
  t.match(await again.json(), { perspective: { slant: { index: 0.6 }, expert: { adapter: 'progressive-2', adapter_sha256: now['progressive'] } } })
  t.match((await whole(gateway, 'baseline')).body.perspective, { notice: /its own lean: left by 0\.20/, slant: { index: 0.2 } }, 'the same weights, and what is said of them now')
  t.match(await (await fetch(`${gateway.url}/v1/perspectives/A`)).json(), { version: '2', adapter: { name: 'progressive-2' }, expert: { adapter_sha256: now['progressive'] } })

  const leaves = await gateway.leaves()
  const accepted = leaves.findIndex(({ type }) => type === 'release.accepted')
  t.match(leaves.slice(accepted, accepted + 3), [
    { type: 'release.accepted', key: 'k_local', version: '2', waived: [], report_sha256: /./, gate_sha256: /./, adapters: [{ perspective: 'progressive', adapter: 'progressive-2', adapter_sha256: now['progressive'] }, { perspective: 'conservative' }], replaces: { adapters: [{ adapter_sha256: old['progressive'] }, {}] } },
    { type: 'model.loaded', adapters: [{ adapter_sha256: now['progressive'] }, { adapter_sha256: now['conservative'] }] },
    { type: 'config.changed' },
  ])
  const first = leaves.findIndex((leaf) => leaf.type === 'completion.begin' && JSON.stringify(leaf).includes(now['progressive']))
  t.ok(first > accepted + 2, 'on record before anything was answered by it')

  await t.test('and back: rollback is a release', async (t) => {
    const back = await at.release(JSON.parse(readFileSync(join(at.root, 'versions', '2', 'release.json'), 'utf8')).version === '2' ? leaves[accepted]!['replaces'].versions[0] : '')
    t.match(back, { code: 0 }, back.err)
    for (const side of SIDES) {
      const { text, digest } = await whole(gateway, side)
      t.same([digest, text], [old[side], known.get(old[side] ?? '')])
    }
    t.match((await whole(gateway, 'baseline')).body.perspective, { slant: 'not measured' })
    t.match((await gateway.ask(cached)).headers.get('cache-status'), /fwd=miss/, 'what was kept of it before it went is gone')
    t.match(await at.release(leaves[accepted]!['replaces'].versions[0]), { code: 0, out: /was in force already/ })
  })
})

t.test('a failure at any step leaves the old version serving', { timeout: 120_000 }, async (t) => {
  const { gateway, at } = await opened(t)
  const { engine, audit } = gateway.services
  const before = await whole(gateway, 'progressive')
  const unchanged = async (what: string): Promise<void> => {
    const { digest, text, body } = await whole(gateway, 'progressive')
    t.same([digest, text, body.perspective.slant], [before.digest, before.text, 'not measured'], what)
    t.equal(gateway.services.engine, engine, what)
    t.equal(at.declared('progressive').adapter.sha256, before.digest, what)
    t.same(gateway.services.exchanges.draining(), [])
  }
  // one that stands in the way of the decision
  const options = at.train('2', { progressive: 33, conservative: 44 })
  const wall = join(at.root, 'versions', 'pending.json')
  mkdirSync(wall, { recursive: true })
  const post = async (body: object, key = gateway.keys.admin, path = '') => {
    const reply = await fetch(`${gateway.url}/admin/v1/releases${path}`, { method: 'POST', headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' }, body: JSON.stringify(body) })
    return { status: reply.status, body: await reply.json() as any }
  }
  t.match(await at.release('2', ...options), { code: 1, err: /pending\.json/ }, 'the command itself cannot read it')
  rmdirSync(wall)

  const realAppend = audit.append.bind(audit)
  audit.append = async () => { throw new Error('The disk is full.') }
  t.match(await at.release('2', ...options), { code: 1, err: /cannot be put in force: The disk is full\. The one that was serving goes on/ })
  audit.append = realAppend
  await unchanged('a log that refuses')

  const { sha256 } = await import('../fixtures/trained.ts')
  const release = { version: '2', release_sha256: sha256(readFileSync(join(at.root, 'versions', '2', 'release.json'))) }
  mkdirSync(wall)
  t.match(await post(release), { status: 502, body: { code: 'adapter_not_switched' } })
  rmdirSync(wall)
  await unchanged('a decision that cannot be written')
  t.match((await gateway.leaves()).findLast(({ type }) => type === 'config.changed')!['perspectives'].find(({ id }: any) => id === 'progressive'), { adapter_sha256: before.digest }, 'and the log says that it is the old one')

  t.match(await post({ ...release, release_sha256: 'f'.repeat(64) }), { status: 409, body: { detail: /another release than the one that is meant/ } })
  t.match(await post({ ...release, version: '../2' }), { status: 400 })
  t.match(await post({ ...release, version: '9' }), { status: 409, body: { detail: /There is no version 9/ } })
  for (const key of [gateway.keys.app, gateway.keys.auditor]) t.match(await post(release, key), { status: 403 })
  await unchanged('what was not meant')

  const both = await Promise.all([post(release), post(release)])
  t.same(both.map(({ status }) => status).toSorted((a, b) => a - b), [200, 409], 'one at a time')
  t.match(await whole(gateway, 'progressive'), { digest: at.declared('progressive').adapter.sha256 })
})

t.test('who was routed before a release and is cast after it gets declaration and adapter of one version', async (t) => {
  const gateway = await build(t)
  const { limits, perspectives } = gateway.services
  const admit = limits.admit.bind(limits)
  const old = perspectives.find('progressive')!
  limits.admit = async (asked) => {
    perspectives.replace([{ ...old, version: '2', notice: 'The new words.', sha256: 'f'.repeat(64) }])
    return admit(asked)
  }
  t.match(await (await gateway.ask({ model: 'progressive', messages: QUESTION })).json(), { perspective: { notice: 'The new words.' } })
  for (const model of ['both', 'progressive']) t.match(await (await gateway.ask({ model, messages: QUESTION })).text(), /The new words\./, model)
  t.equal(perspectives.find('A')!.version, '2')
  t.throws(() => { perspectives.replace([{ ...old, alias: 'B' }]) }, /claim the name "B"/)
  t.equal(perspectives.find('A')!.version, '2', 'all or none')
})

t.test('a refusal is on record, and the log remembers it where the file was edited', { timeout: 120_000 }, async (t) => {
  const { gateway, at } = await opened(t)
  const worse = at.train('2', { progressive: 33, conservative: 44 }, { conservative: { sentences: 0.5 } })
  t.match(await at.release('2', ...worse), { code: 3, out: /On record in the log of the running gateway/ })
  t.match((await gateway.leaves()).findLast(({ type }) => type === 'release.refused'), { key: 'k_local', version: '2', adapters: [{ perspective: 'conservative', adapter_sha256: /./ }], failed: [{ threshold: 'two-sentences', found: 0.5 }], report_sha256: /./, gate_sha256: /./ })
  const { writeFileSync } = await import('node:fs')
  writeFileSync(at.refused, JSON.stringify({ about: 'emptied', refused: [] }))
  t.match(await at.release('3', ...at.train('3', { progressive: 33, conservative: 44 })), { code: 1, err: /The gate refused this version's conservative/ })
  t.not(at.declared('conservative').version, '3')
})
