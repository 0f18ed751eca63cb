import { hash } from 'node:crypto'
import t from 'tap'
import { rootOf, verifyInclusion } from '../../src/audit/merkle.ts'
import { openNote, parseCheckpoint, parseVerifier } from '../../src/audit/note.ts'
import { nodesFromTiles, parseEntryBundle, parseTlogProof, splitHashes, tilePath, tileWidth } from '../../src/audit/tile.ts'
import { build, events, QUESTION, type Built } from '../helper.ts'

const LOG = '/audit/v1/log'
const text = async (gateway: Built, path: string) => (await fetch(`${gateway.url}${path}`)).text()

t.test('anyone can check the tree: signature, tiles, root, and the proof that a receipt names', async (t) => {
  const gateway = await build(t)
  for (let at = 0; at < 5; at++) await (await gateway.ask({ model: at % 2 ? 'A' : 'B', messages: QUESTION })).arrayBuffer()
  const { audit } = await (await gateway.ask({ model: 'A', messages: QUESTION })).json() as any
  const about = JSON.parse(await text(gateway, LOG)) as { origin: string, verifier: string }
  t.equal(audit.origin, about.origin)
  const verifier = parseVerifier(about.verifier)
  const { size, root } = parseCheckpoint(openNote(await text(gateway, `${LOG}/checkpoint`), verifier))
  const bytes = Buffer.from(await (await fetch(`${gateway.url}${LOG}/${tilePath({ level: 0, index: 0, width: tileWidth(0, 0, size) })}`)).arrayBuffer())
  t.ok(root.equals(rootOf(size, nodesFromTiles(() => splitHashes(bytes)))))
  const proof = parseTlogProof(await text(gateway, audit.proof))
  t.equal(proof.index, audit.index)
  const under = parseCheckpoint(openNote(proof.checkpoint, verifier))
  t.ok(verifyInclusion(audit.index, under.size, Buffer.from(audit.leaf_hash, 'base64'), proof.proof, under.root))
  t.equal(gateway.services.audit.size(), size, 'looking at the tree does not grow it')
})

t.test('a stream\'s receipt is proved as well', async (t) => {
  const gateway = await build(t)
  const { audit } = (await events(await gateway.ask({ model: 'B', messages: QUESTION, stream: true }))).find((chunk) => chunk.audit)
  t.equal(parseTlogProof(await text(gateway, audit.proof)).index, audit.index)
})

t.test('the owner of an exchange gets its leaves, salts and proofs, and nobody else does', async (t) => {
  const gateway = await build(t)
  const body = JSON.stringify({ model: 'A', messages: QUESTION })
  const reply = await gateway.ask(body)
  const answer = await reply.text()
  const id = reply.headers.get('x-audit-record')
  const get = (key: string, record = id) => fetch(`${gateway.url}/audit/v1/receipts/${record}`, { headers: { authorization: `Bearer ${key}` } })
  const receipt = await (await get(gateway.keys.app)).json() as any
  const bare = answer.replace(/,"audit":\{[^}]*\}\}$/, '}')
  for (const [one, name, bytes] of [[receipt.begin, 'req_commit', body], [receipt.ends[0], 'res_commit', bare]] as const) {
    t.equal(hash('sha256', Buffer.concat([Buffer.from(one.salt, 'base64'), Buffer.from(one.record), Buffer.from(bytes)]), 'base64'), JSON.parse(one.leaf)[name], 'what was sent is what is committed to')
    const { proof, index, checkpoint } = parseTlogProof(one.proof)
    const { size, root } = parseCheckpoint(openNote(checkpoint, parseVerifier(receipt.verifier)))
    t.ok(verifyInclusion(index, size, hash('sha256', Buffer.concat([Buffer.from([0]), Buffer.from(one.leaf)]), 'buffer'), proof, root))
  }
  const stranger = await gateway.services.keys.create({ scopes: ['app'] }, null)
  t.equal((await get(stranger.secret)).status, 404, 'another tenant\'s')
  t.equal((await get(gateway.keys.app, '01900000-0000-7000-8000-000000000000')).status, 404)
  t.equal((await get(gateway.keys.auditor)).status, 403)
})

t.test('hash tiles are public and cacheable, entries are the auditor\'s and their reading is on record', async (t) => {
  const gateway = await build(t)
  await gateway.services.audit.append(Array.from({ length: 300 }, (_, at) => ({ type: 'feedback' as const, id: `x-${at}`, key: null, fields: {} })))
  const full = await fetch(`${gateway.url}${LOG}/tile/0/000`)
  t.equal(full.headers.get('cache-control'), 'public, max-age=31536000, immutable')
  t.equal((await full.arrayBuffer()).byteLength, 256 * 32)
  t.match((await fetch(`${gateway.url}${LOG}/tile/0/001.p/3`)).headers.get('cache-control'), /max-age=60/)
  t.equal((await (await fetch(`${gateway.url}${LOG}/tile/1/000.p/1`)).arrayBuffer()).byteLength, 32)
  for (const path of ['tile/0/0', 'tile/0/001', 'tile/0/001.p/250', 'tile/2/000', 'tile/0/x', 'tile/entries', 'tile/0/000.p/256']) t.equal((await fetch(`${gateway.url}${LOG}/${path}`)).status, 404, path)
  t.equal((await fetch(`${gateway.url}${LOG}/tile/entries/000`)).status, 401)
  const read = (key: string) => fetch(`${gateway.url}${LOG}/tile/entries/000`, { headers: { authorization: `Bearer ${key}` } })
  t.equal((await read(gateway.keys.app)).status, 403)
  const entries = await read(gateway.keys.auditor)
  t.equal(entries.headers.get('cache-control'), 'private, no-store')
  t.equal(parseEntryBundle(Buffer.from(await entries.arrayBuffer())).length, 256)
  t.match((await gateway.leaves()).at(-1), { type: 'audit.read', read: 'entries', tile: 0, width: 256 })
  t.equal((await fetch(`${gateway.url}${LOG}/proof/100000`)).status, 404)
  t.equal((await fetch(`${gateway.url}${LOG}/proof/-1`)).status, 400)
})
