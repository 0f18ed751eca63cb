import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { fileTarget } from '../../src/audit/anchor/file.ts'
import type { Target } from '../../src/audit/anchor/target.ts'
import { urlTarget } from '../../src/audit/anchor/url.ts'
import { witnessTarget } from '../../src/audit/anchor/witness.ts'
import { Anchors } from '../../src/audit/anchor.ts'
import type { AuditLog, LogTree } from '../../src/audit/log.ts'
import { openNote, parseCheckpoint, parseVerifier } from '../../src/audit/note.ts'
import { openSqliteLog } from '../../src/audit/sqlite.ts'
import { newId } from '../../src/ids.ts'
import { temporary } from '../helper.ts'
import { startWitness, type Witness } from '../fixtures/witness.ts'

const NOON = Date.parse('2026-01-01T12:00:00Z')
const HOUR = 3_600_000

interface Told { readonly level: string, readonly event: string, readonly reason?: string, readonly size?: number }
interface Made { readonly anchors: Anchors, readonly told: Told[] }

function anchorsOf (tree: LogTree, ...targets: Target[]): Made {
  const told: Told[] = []
  return { told, anchors: new Anchors({ tree, closeMs: 300, schedules: targets.map((target) => ({ target, everySeconds: 3600 })), log: (level, event, fields) => { told.push({ level, event, ...fields }) } }) }
}

async function logIn (t: Test, directory = temporary(t)): Promise<AuditLog> {
  const audit = await openSqliteLog({ directory, origin: 'log.example/test' })
  t.teardown(() => audit.close())
  return audit
}

const grow = (audit: AuditLog, leaves = 1) => audit.append(Array.from({ length: leaves }, () => ({ type: 'feedback' as const, id: newId(), key: null, fields: {} })))

async function witnessOf (t: Test, audit: AuditLog, name?: string): Promise<Witness> {
  const witness = await startWitness(audit.tree.verifier, name)
  t.teardown(() => witness.close())
  return witness
}

/** What is in an anchor file: times and notes by turns. */
const entriesOf = (path: string): string[] => readFileSync(path, 'utf8').split(/^(\d{4}-\d\d-\d\dT[\d:.]+Z)\n/m).slice(1)
const sizeOf = (note: string | undefined, tree: LogTree): number => parseCheckpoint(openNote(note!, parseVerifier(tree.verifier))).size

t.test('a file gets the newest checkpoint each time that it is due and the tree has grown, and nothing twice', async (t) => {
  const audit = await logIn(t)
  const path = join(temporary(t), 'anchors')
  const { anchors, told } = anchorsOf(audit.tree, fileTarget(path))
  t.match(anchors.state(), [{ to: 'file', name: null, everySeconds: 3600, size: null, at: null, failed: null }])
  await anchors.publishDue(NOON)
  t.same(entriesOf(path), ['2026-01-01T12:00:00.000Z', audit.tree.checkpoint()])
  await grow(audit, 5)
  await anchors.publishDue(NOON + HOUR - 1)
  t.equal(entriesOf(path).length, 2, 'not due yet')
  await anchors.publishDue(NOON + HOUR)
  t.same(entriesOf(path).slice(2), ['2026-01-01T13:00:00.000Z', audit.tree.checkpoint()])
  await anchors.publishDue(NOON + 2 * HOUR)
  await anchors.close()
  t.equal(entriesOf(path).length, 4, 'an unchanged tree is not written again, not even at the end')
  t.match(anchors.state(), [{ size: 6, at: NOON + HOUR, failed: null }])
  t.same(told.map(({ level, event, size }) => [level, event, size]), [['info', 'anchor.published', 1], ['info', 'anchor.published', 6]])
})

t.test('the end publishes what is new, and a restart goes on in the same file', async (t) => {
  const directory = temporary(t)
  const path = join(temporary(t), 'anchors')
  for (const round of [1, 2]) {
    const audit = await openSqliteLog({ directory, origin: 'log.example/test' })
    const { anchors } = anchorsOf(audit.tree, fileTarget(path))
    await anchors.publishDue(NOON)
    await grow(audit, 3)
    await anchors.close()
    t.equal(entriesOf(path).length, round * 4)
    t.equal(entriesOf(path).at(-1), audit.tree.checkpoint())
    await audit.close()
  }
  const audit = await logIn(t, directory)
  t.same(entriesOf(path).filter((_, at) => at % 2).map((note) => sizeOf(note, audit.tree)), [1, 4, 6, 9])
})

t.test('half an entry, left by a death of the machine, does not spoil the next', async (t) => {
  const audit = await logIn(t)
  const path = join(temporary(t), 'anchors')
  writeFileSync(path, '2026-01-01T11:00:00.000Z\nlog.exam')
  await anchorsOf(audit.tree, fileTarget(path)).anchors.publishDue(NOON)
  t.equal(entriesOf(path).at(-1), audit.tree.checkpoint())
  t.ok(readFileSync(path, 'utf8').startsWith('2026-01-01T11:00:00.000Z\nlog.exam\n2026-01-01T12'), 'what was there is untouched')
})

t.test('a folder that is not there fails, in words without a path, and is tried again later and later until it is', async (t) => {
  const audit = await logIn(t)
  const folder = join(temporary(t), 'disk')
  const { anchors, told } = anchorsOf(audit.tree, fileTarget(join(folder, 'anchors')))
  await anchors.publishDue(NOON)
  t.same(told, [{ level: 'warn', event: 'anchor.failed', target: 0, to: 'file', reason: 'The file cannot be appended to: ENOENT.', failures: 1 }])
  for (const second of Array.from({ length: 3600 }, (_, at) => at + 1)) await anchors.publishDue(NOON + second * 1000)
  t.equal(told.length, 20, '1, 2, 4 … 256 seconds, then every five minutes')
  t.match(anchors.state(), [{ size: null, at: null, failed: /ENOENT/ }])
  mkdirSync(folder)
  await anchors.publishDue(NOON + 2 * HOUR)
  t.match(anchors.state(), [{ size: 1, at: NOON + 2 * HOUR, failed: null }])
})

t.test('a disk that is full in the middle of an entry is left with the whole ones', async (t) => {
  const directory = temporary(t)
  await (await openSqliteLog({ directory, origin: 'log.example/test' })).close()
  const path = join(temporary(t), 'anchors')
  // tap's loader, which would write a file of its own there, stays out of it
  // a process of its own, in which the system lets no file grow beyond 1024 bytes: the write that goes over is cut short
  const script = `
    import { fileTarget } from ${JSON.stringify(import.meta.resolve('../../src/audit/anchor/file.ts'))}
    import { logSigner } from ${JSON.stringify(import.meta.resolve('../../src/audit/signing-key.ts'))}
    import { checkpointText, signNote } from ${JSON.stringify(import.meta.resolve('../../src/audit/note.ts'))}
    const signer = logSigner(${JSON.stringify(directory)}, 'log.example/test')
    for (let size = 1; size <= 6; size++) {
      const note = signNote(checkpointText({ origin: signer.name, size, root: Buffer.alloc(32, size) }), [signer])
      await fileTarget(${JSON.stringify(path)}).publish({ origin: signer.name, verifier: signer.verifier, checkpoint: () => note }, ${NOON}).then(() => console.log('kept'), (error) => console.log(error.message))
    }`
  const said = execFileSync('bash', ['-c', 'unset NODE_OPTIONS; ulimit -f 1; exec "$0" --input-type=module -e "$1"', process.execPath, script], { encoding: 'utf8' }).trim().split('\n')
  const kept = said.filter((line) => line === 'kept').length
  t.ok(kept > 0 && kept < 6, said.join('; '))
  t.match(said[kept], /^The file cannot be appended to: only \d+ of \d+ bytes could be written\.$/)
  t.equal(entriesOf(path).length, 2 * kept)
  t.match(entriesOf(path).at(-1), /^— log\.example\/test \S+\n$/m)
})

t.test('an address gets the checkpoint as text; a refusal, a redirect and silence are failures, and hold up nobody', async (t) => {
  const audit = await logIn(t)
  const came: string[] = []
  const replies: (number | 'silence')[] = [503, 302, 'silence', 204]
  const server = createServer(async (request, response) => { // eslint-disable-line typescript/no-misused-promises -- a rejection fails the test
    let body = ''
    for await (const part of request.setEncoding('utf8')) body += part
    came.push(`${request.method} ${request.url} ${request.headers['content-type']} ${body}`)
    const reply = replies.shift() ?? 200
    if (reply !== 'silence') response.writeHead(reply, { location: '/elsewhere' }).end('x'.repeat(reply === 503 ? 1_000_000 : 0))
  })
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { server.closeAllConnections(); server.close() })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/kept?token=s3cret`
  const path = join(temporary(t), 'anchors')
  const { anchors, told } = anchorsOf(audit.tree, urlTarget(url, 'PUT'), fileTarget(path))
  await anchors.publishDue(NOON)
  t.match(anchors.state(), [{ to: 'url', size: null, failed: /status 503/ }, { to: 'file', size: 1, failed: null }])
  t.equal(came[0], `PUT /kept?token=s3cret text/plain; charset=utf-8 ${audit.tree.checkpoint()}`)
  await anchors.publishDue(NOON + 1000)
  t.match(anchors.state(), [{ failed: /status 302/ }, {}])
  t.equal(came.length, 2, 'the redirect was not followed')
  const silent = anchors.publishDue(NOON + 3000)
  await grow(audit)
  await anchors.publishDue(NOON + 2 * HOUR)
  t.same(anchors.state().map(({ size }) => size), [null, 2], 'the file goes on while the address says nothing')
  const closed = Date.now()
  await anchors.close()
  await silent
  t.ok(Date.now() - closed < 2000, 'and the end does not wait for it, but breaks it off')
  await new Promise((resolve) => { setTimeout(resolve, 50) })
  t.equal(came.length, 3, 'nothing is begun beside it, or after the end')
  t.same(told.flatMap(({ reason }) => reason ?? []), ['The address answered with the status 503.', 'The address answered with the status 302.', 'No answer came in time.'])
  t.notMatch(JSON.stringify(told), /s3cret|127\.0\.0\.1/, 'the log holds no address')

  const again = anchorsOf(audit.tree, urlTarget(url, 'POST'))
  await again.anchors.publishDue(NOON)
  t.match(again.anchors.state(), [{ size: 2, failed: null }])
  t.match(came.at(-1), /^POST /)
})

t.test('an address where nobody listens is a failure with a code, and no host', async (t) => {
  const audit = await logIn(t)
  const { anchors } = anchorsOf(audit.tree, urlTarget('http://127.0.0.1:1/', 'POST'))
  await anchors.publishDue(NOON)
  t.match(anchors.state()[0]!.failed, /^The request failed: [^.]+\.$/)
  t.notMatch(anchors.state()[0]!.failed, /127/)
})

t.test('a witness signs each checkpoint on proof that the last one is its beginning, for trees of many shapes', async (t) => {
  const audit = await logIn(t)
  const witness = await witnessOf(t, audit)
  const { anchors, told } = anchorsOf(audit.tree, witnessTarget(`${witness.url}/`, witness.vkey))
  t.equal(anchors.witnessed(), null)
  for (const [round, more] of [0, 1, 1, 1, 4, 5, 17, 34, 200, 300].entries()) {
    if (more > 0) await grow(audit, more)
    await anchors.publishDue(NOON + round * HOUR)
    t.equal(witness.size(), audit.size())
    const [checkpoint, line] = [audit.tree.checkpoint(), anchors.witnessed()!.slice(audit.tree.checkpoint().length)]
    t.ok(anchors.witnessed()!.startsWith(checkpoint))
    t.match(line, /^— witness\.example\/w1 \S+\n$/)
  }
  t.equal(witness.requests.length, 10, 'the size that it has seen is remembered')
  t.match(anchors.state(), [{ to: 'witness', name: 'witness.example/w1', size: audit.size(), failed: null }])
  t.ok(told.every(({ level }) => level === 'info'))
})

t.test('a witness that has seen more than is known here says so, and gets the proof from there', async (t) => {
  const audit = await logIn(t)
  const witness = await witnessOf(t, audit)
  await anchorsOf(audit.tree, witnessTarget(witness.url, witness.vkey)).anchors.publishDue(NOON)
  await grow(audit, 6)
  // after a restart nothing is known of what it saw
  const { anchors, told } = anchorsOf(audit.tree, witnessTarget(witness.url, witness.vkey))
  await anchors.publishDue(NOON)
  t.same(witness.requests.map((body) => body.split('\n')[0]), ['old 0', 'old 0', 'old 1'])
  t.equal(witness.size(), 7)
  t.same(told.map(({ event, size }) => [event, size]), [['anchor.published', 7]])
})

t.test('a witness that names a size which this log never had is told of, and asked anew', async (t) => {
  const audit = await logIn(t)
  const witness = await witnessOf(t, audit)
  const { anchors, told } = anchorsOf(audit.tree, witnessTarget(witness.url, witness.vkey))
  witness.next(() => ({ status: 409, body: '1000000\n', headers: { 'content-type': 'text/x.tlog.size' } }))
  await anchors.publishDue(NOON)
  t.match(told.at(-1), { level: 'error', reason: /has seen a tree of 1000000 leaves, this log has 1/ })
  for (const [round, body] of ['-1\n', '01\n', '1', '', 'a'].entries()) {
    witness.next(() => ({ status: 409, body, headers: { 'content-type': 'text/x.tlog.size' } }))
    await anchors.publishDue(NOON + (round + 1) * HOUR)
    t.match(told.at(-1), { level: 'warn', reason: /status 409/ }, 'this is no size')
  }
  await anchors.publishDue(NOON + 10 * HOUR)
  t.match(anchors.state(), [{ size: 1, failed: null }])
})

t.test('a witness that is down for a while is asked again, and then signs what there is by then', async (t) => {
  const audit = await logIn(t)
  const witness = await witnessOf(t, audit)
  const { anchors, told } = anchorsOf(audit.tree, witnessTarget(witness.url, witness.vkey))
  for (const status of [503, 502, 404]) witness.next(() => ({ status }))
  for (const second of [0, 1, 3]) await anchors.publishDue(NOON + second * 1000)
  t.same(told.map(({ level, reason }) => [level, /status (\d+)/.exec(reason!)?.[1]]), [['warn', '503'], ['warn', '502'], ['warn', '404']])
  await grow(audit, 4)
  await anchors.publishDue(NOON + 6999)
  t.equal(witness.requests.length, 3, 'four seconds after the third failure, not before')
  await anchors.publishDue(NOON + 7000)
  t.equal(sizeOf(anchors.witnessed()!, audit.tree), 5)
  t.match(anchors.state(), [{ size: 5, failed: null }])
})

t.test('a cosignature that does not hold is refused, told, and never served', async (t) => {
  const audit = await logIn(t)
  const witness = await witnessOf(t, audit)
  const stranger = await witnessOf(t, audit)
  const { anchors, told } = anchorsOf(audit.tree, witnessTarget(witness.url, witness.vkey))
  const text = openNote(audit.tree.checkpoint(), parseVerifier(audit.tree.verifier))
  const other = text.replace('\n1\n', '\n2\n')
  const bad: [string, string, RegExp][] = [
    ['over another checkpoint', witness.cosign(other), /does not fit the text/],
    ['by another key under its name', stranger.cosign(text), /not signed by/],
    ['over another note that it brings along', `${other}\n${witness.cosign(`${audit.tree.checkpoint()}${other}`)}`, /over another text/],
    ['nothing', '', /not signed by/],
    ['no lines', 'thank you\n', /not a signature line/],
    ['cut off', witness.cosign(text).slice(0, -1), /not a signed note/],
    ['after more than is read', `${'— unknown.example AAAA\n'.repeat(1000)}${witness.cosign(text)}`, /not a signed note/],
  ]
  for (const [round, [name, body, reason]] of bad.entries()) {
    witness.next(() => ({ status: 200, body }))
    await anchors.publishDue(NOON + round * HOUR)
    t.match(told.at(-1), { level: 'error', event: 'anchor.failed', reason }, name)
    t.match(told.at(-1)!.reason, /witness\.example\/w1/)
    t.equal(anchors.witnessed(), null, name)
    t.match(anchors.state(), [{ size: null, failed: reason }])
  }
  witness.next((right) => { const { body } = right(); return { status: 200, body: `— unknown.example AAAA\n${body}` } })
  await anchors.publishDue(NOON + 100 * HOUR)
  t.equal(anchors.witnessed()?.includes('unknown.example'), false, 'lines of unknown keys are passed over')
  t.match(anchors.state(), [{ size: 1, failed: null }])
})

t.test('a log that was set back, or has a twin, is contradicted by its witness', async (t) => {
  const directory = temporary(t)
  const audit = await logIn(t, directory)
  const witness = await witnessOf(t, audit)
  // the same key and name, another history
  const twinDirectory = temporary(t)
  writeFileSync(join(twinDirectory, 'log.key'), readFileSync(join(directory, 'log.key')), { mode: 0o600 })
  const twin = await logIn(t, twinDirectory)
  await grow(audit, 4)
  await anchorsOf(audit.tree, witnessTarget(witness.url, witness.vkey)).anchors.publishDue(NOON)
  const { anchors, told } = anchorsOf(twin.tree, witnessTarget(witness.url, witness.vkey))
  const at = async (hour: number) => { await anchors.publishDue(NOON + hour * HOUR); return told.at(-1) }
  t.match(await at(0), { level: 'error', reason: /has seen a tree of 5 leaves, this log has 1/ })
  await grow(twin, 4)
  t.match(await at(1), { level: 'error', reason: /does not take this log's 5 leaves/ }, 'of the same size')
  await grow(twin, 4)
  t.match(await at(2), { level: 'error', reason: /does not take this log's 9 leaves for ones that grew out of the 5/ }, 'larger')
  t.equal(anchors.witnessed(), null)
  t.equal(witness.size(), 5)
})

t.test('several witnesses sign one checkpoint; a newer one counts for more than many lines', async (t) => {
  const audit = await logIn(t)
  const [one, two] = [await witnessOf(t, audit, 'one.example'), await witnessOf(t, audit, 'two.example')]
  const { anchors } = anchorsOf(audit.tree, witnessTarget(one.url, one.vkey), witnessTarget(two.url, two.vkey))
  const names = () => [...anchors.witnessed()!.matchAll(/^— (\S+) /gm)].map((match) => match[1]).toSorted((a, b) => a! < b! ? -1 : 1)
  await anchors.publishDue(NOON)
  t.same(names(), ['log.example/test', 'one.example', 'two.example'])
  await grow(audit)
  one.next(() => ({ status: 500 }))
  await anchors.publishDue(NOON + HOUR)
  t.same(names(), ['log.example/test', 'two.example'])
  await anchors.publishDue(NOON + HOUR + 1000)
  t.same(names(), ['log.example/test', 'one.example', 'two.example'])
})
