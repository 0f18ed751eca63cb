/** What every audit log has to keep, whichever store it is on. */
import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'
import type { Test } from 'tap'
import { v7 as uuidv7 } from 'uuid'
import { exportLines } from '../../src/audit/export.ts'
import type { AuditLog, LeafDraft, StoredRecord } from '../../src/audit/log.ts'
import { RightEdge, rootOf, verifyConsistency, verifyInclusion } from '../../src/audit/merkle.ts'
import { openNote, parseCheckpoint, parseVerifier } from '../../src/audit/note.ts'
import { nodesFromTiles, parseEntryBundle, parseTlogProof, splitHashes, tileWidth } from '../../src/audit/tile.ts'
import { verifyExport, type VerifyOptions } from '../../src/audit/verify.ts'

/** A store to be opened, closed and opened again. */
export interface Store {
  open (options?: { readonly clock?: () => number }): Promise<AuditLog>
}

const sha256 = (...parts: Uint8Array[]): string => createHash('sha256').update(Buffer.concat(parts)).digest('base64')
export const begin = (key = 'k_1', more: Partial<LeafDraft> = {}): LeafDraft => ({ type: 'completion.begin', id: uuidv7(), key, fields: { perspective: { id: 'progressive', mode: 'steerable' }, model: 'm' }, payload: Buffer.from('the request'), ...more })
export const note = (key: string | null = 'k_1', more: Partial<LeafDraft> = {}): LeafDraft => ({ type: 'audit.read', id: uuidv7(), key, fields: { read: 'x' }, ...more })
export const END = { status: 'complete', fields: { perspective: { id: 'progressive' }, model: 'm', tokens: [1, 2], finish: ['stop'], source: null } } as const

export async function everything (log: AuditLog): Promise<StoredRecord[]> {
  const all: StoredRecord[] = []
  for await (const one of log.stream({ payloads: true })) all.push(one)
  return all
}

/** `parallax verify` over what an auditor would pull now, with the log's own key. */
export async function verified (log: AuditLog, options: VerifyOptions = {}): ReturnType<typeof verifyExport> {
  const checkpoint = log.tree.checkpoint()
  const lines = exportLines(log, { asOf: parseCheckpoint(checkpoint).size }, checkpoint)
  return verifyExport((async function * () { for await (const line of lines) yield line.slice(0, -1) })(), { verifier: log.tree.verifier, ...options })
}

/** Indices without gaps, key_seq without gaps, hashes and commitments that can be recomputed, canonical bytes, time that never runs back, every begin ended; and `verify` agrees. */
export async function soundness (t: Test, log: AuditLog): Promise<StoredRecord[]> {
  const all = await everything(log)
  t.same(all.map((one) => one.index), all.map((_, index) => index), 'indices without gaps')
  t.equal(all.length, log.size())
  const seqs = new Map<string, number>()
  const open = new Map<string, number>()
  let last = 0
  const wrong: string[] = []
  for (const { leaf: text, leaf_hash: leafHash, id, payload } of all) {
    const leaf = JSON.parse(text)
    if (canonicalize(leaf) !== text) wrong.push(`${id} is not canonical`)
    if (sha256(Buffer.from([0]), Buffer.from(text)) !== leafHash) wrong.push(`${id} has another hash`)
    if (leaf.t < last) wrong.push(`${id} is earlier than the leaf before it`)
    last = leaf.t
    if (leaf.key === null) { if (leaf.key_seq !== null) wrong.push(`${id} has a key_seq without a key`) } else {
      if (leaf.key_seq !== (seqs.get(leaf.key) ?? 0) + 1) wrong.push(`${id} has key_seq ${leaf.key_seq} after ${seqs.get(leaf.key)}`)
      seqs.set(leaf.key, leaf.key_seq)
    }
    if (payload.state === 'present') {
      const commit = leaf.req_commit ?? leaf.res_commit ?? leaf.payload_commit
      if (sha256(payload.salt, Buffer.from(id), payload.bytes) !== commit) wrong.push(`${id} commits to something else`)
    }
    if (leaf.type === 'completion.begin') open.set(id, leaf.choices ?? 1)
    if (leaf.type === 'completion.end') open.set(leaf.begin, open.get(leaf.begin)! - 1)
  }
  t.same(wrong, [])
  t.same([...open].filter(([, missing]) => missing !== 0), [], 'every begin has its ends')
  t.same((await verified(log)).wrong, [], 'a stranger finds nothing wrong')
  return all
}

/** The checkpoint's signature, every leaf against its root by the tiles alone, and a proof of some leaves: what a stranger can do. */
export async function treeIsSound (t: Test, log: AuditLog): Promise<void> {
  const checkpoint = parseCheckpoint(openNote(log.tree.checkpoint(), parseVerifier(log.tree.verifier)))
  t.equal(checkpoint.origin, log.tree.origin)
  t.equal(checkpoint.size, log.size())
  const read = new Map<string, Uint8Array[]>()
  for (let level = 0; tileWidth(level, 0, checkpoint.size) > 0; level++) {
    for (let index = 0, width; (width = tileWidth(level, index, checkpoint.size)) > 0; index++) read.set(`${level}/${index}`, splitHashes((await log.tree.tile({ level, index, width }))!))
  }
  const tiles = nodesFromTiles((level, index) => read.get(`${level}/${index}`)!)
  t.ok(checkpoint.root.equals(rootOf(checkpoint.size, tiles)), 'the tiles have the root that was signed')
  const all = await everything(log)
  const edge = new RightEdge()
  for (const one of all) edge.append(Buffer.from(one.leaf_hash, 'base64'))
  t.ok(checkpoint.root.equals(edge.root()), 'the leaves have the root that was signed')
  const entries: Buffer[] = []
  for (let index = 0; index * 256 < all.length; index++) entries.push(...parseEntryBundle((await log.tree.tile({ level: 'entries', index, width: tileWidth('entries', index, checkpoint.size) }))!))
  t.same(entries.map(String), all.map((one) => one.leaf), 'the bundles hold the leaves')
  for (const index of new Set([0, all.length - 1, all.length >> 1])) {
    const { proof, checkpoint: note } = parseTlogProof((await log.tree.proof(index))!)
    const { size, root } = parseCheckpoint(openNote(note, parseVerifier(log.tree.verifier)))
    t.ok(verifyInclusion(index, size, Buffer.from(all[index]!.leaf_hash, 'base64'), proof, root), `leaf ${index} is proved`)
  }
  t.equal(await log.tree.proof(all.length), null)
  t.equal(await log.tree.tile({ level: 0, index: 0, width: Math.min(256, all.length + 1) }) === null, all.length < 256)
}

export function auditLogContract (t: Test, make: (t: Test) => Store): void {
  t.test('appends are kept in order, with receipts that say where', async (t) => {
    const log = await make(t).open()
    const first = await log.append([note('k_1'), note('k_2'), note(null)])
    const second = await log.append([note('k_1', { payload: Buffer.from('payload') })])
    t.same([...first, ...second].map((one) => one.index), [1, 2, 3, 4], 'after log.start')
    t.same([...first, ...second].map((one) => one.key_seq), [1, 1, null, 2])
    const all = await soundness(t, log)
    t.same(all.slice(1).map((one) => [one.id, one.leaf_hash]), [...first, ...second].map((one) => [one.record, one.leaf_hash]))
    await log.close()
  })

  t.test('two hundred at once get contiguous places, and each call stays together', async (t) => {
    const log = await make(t).open()
    const calls = await Promise.all(Array.from({ length: 200 }, (_, at) => log.append([note(`k_${at % 7}`), note(`k_${at % 7}`)])))
    for (const [one, other] of calls) t.equal(other!.index, one!.index + 1)
    await soundness(t, log)
    await log.close()
  })

  t.test('an id that is taken is refused, and nobody else\'s append suffers', async (t) => {
    const log = await make(t).open()
    const taken = note()
    await log.append([taken])
    const [twice, both, fine] = await Promise.allSettled([log.append([taken]), log.append([note(), taken]), log.append([note()])])
    t.equal(twice.status, 'rejected')
    t.equal(both.status, 'rejected', 'all of a call or nothing')
    t.equal(fine.status, 'fulfilled')
    t.equal(log.size(), 3)
    await soundness(t, log)
    await log.close()
  })

  t.test('a leaf that is too long, or that names a member of the log\'s, is refused before anything is written', async (t) => {
    const log = await make(t).open()
    await t.rejects(log.append([note(), note('k_1', { fields: { long: 'x'.repeat(70_000) } })]), { code: 'invalid_request' })
    await t.rejects(log.append([note('k_1', { fields: { key_seq: 7 } })]), /key_seq/)
    await t.rejects(log.append([note('k_1', { fields: { n: Number.NaN } })]), /NaN/)
    t.equal(log.size(), 1)
    await log.append([note('k_1', { fields: { long: 'x'.repeat(60_000), odd: '\u0001\u0002"\\\ud800 é🙂' } })])
    t.match(JSON.parse((await log.records({ afterIndex: 0 }))[0]!.leaf)['odd'], '\u0001\u0002')
    await log.close()
  })

  t.test('an exchange begins before its answer and ends with what was journalled', async (t) => {
    const log = await make(t).open()
    const exchange = log.open(begin())
    await exchange.begun()
    exchange.chunk(Buffer.from('one '))
    exchange.chunk(Buffer.from('two'))
    const end = await exchange.end(END)
    const begun = (await log.record(exchange.record))!
    t.ok(end.index > begun.index)
    t.equal(await exchange.end({ ...END, status: 'interrupted' }), end, 'the first end counts')
    const [kept] = await log.endsOf(exchange.record)
    t.equal(kept!.payload.state === 'present' && Buffer.from(kept!.payload.bytes).toString(), 'one two')
    t.match(JSON.parse(kept!.leaf), { type: 'completion.end', begin: exchange.record, status: 'complete', bytes_sent: 7, tokens: [1, 2] })
    t.equal(await log.record(uuidv7()), null)
    await soundness(t, log)
    await log.close()
  })

  t.test('a begin that is held back stands right before its end, or by itself when the end is late', async (t) => {
    const log = await make(t).open()
    const quick = log.open(begin(), { deferMs: 10_000 })
    const end = await quick.end({ ...END, answer: Buffer.from('the whole answer') })
    t.equal((await log.record(quick.record))!.index, end.index - 1)
    const slow = log.open(begin(), { deferMs: 20 })
    const size = log.size()
    while (log.size() === size) await new Promise((resolve) => setTimeout(resolve, 10))
    t.equal((await log.record(slow.record))!.index, size)
    await slow.end(END)
    await soundness(t, log)
    await log.close()
  })

  t.test('an exchange of several choices has an end for each, in any order', async (t) => {
    const log = await make(t).open()
    const exchange = log.open(begin('k_1', { fields: { choices: 2, perspective: null } }), { deferMs: 1000 })
    exchange.chunk(Buffer.from('a'), 0)
    exchange.chunk(Buffer.from('b'), 1)
    const [second, first] = await Promise.all([exchange.end({ ...END, choice: 1 }), exchange.end({ ...END, choice: 0 })])
    t.not(first.record, second.record)
    t.same((await log.endsOf(exchange.record)).map((one) => [JSON.parse(one.leaf).choice, one.payload.state === 'present' && Buffer.from(one.payload.bytes).toString()]), [[1, 'b'], [0, 'a']])
    await soundness(t, log)
    await log.close()
  })

  t.test('reading filters, pages and pins', async (t) => {
    const log = await make(t).open()
    for (const [key, id] of [['k_1', 'progressive'], ['k_2', 'conservative'], ['k_1', 'conservative']] as const) {
      const fields = { perspective: { id, mode: 'steerable' } }
      await log.open(begin(key, { fields }), { deferMs: 100 }).end({ ...END, status: key === 'k_2' ? 'client_abort' : 'complete', fields })
    }
    const count = async (query: Parameters<AuditLog['records']>[0]) => (await log.records(query)).length
    t.equal(await count({}), 7)
    t.equal(await count({ type: 'completion.end' }), 3)
    t.equal(await count({ perspective: 'conservative' }), 4)
    t.equal(await count({ key: 'k_1', type: 'completion.begin' }), 2)
    t.equal(await count({ status: 'client_abort' }), 1)
    t.equal(await count({ afterIndex: 2, limit: 2 }), 2)
    t.equal(await count({ asOf: 3 }), 3)
    t.equal(await count({ from: Date.now() + 10_000 }), 0)
    t.equal(await count({ to: Date.now() - 10_000 }), 0)
    t.equal(await count({ from: 0, to: Date.now() + 10_000 }), 7)
    t.same((await log.records({ type: 'completion.begin' }))[0]!.payload, { state: 'present', bytes: new Uint8Array(), salt: (await log.records({ type: 'completion.begin', payloads: true }))[0]!.payload.state === 'present' ? ((await log.records({ type: 'completion.begin', payloads: true }))[0]!.payload as { salt: Uint8Array }).salt : null })
    await log.close()
  })

  t.test('a reading in pages leaves nothing out where long transcripts stand before leaves that have none', async (t) => {
    const log = await make(t).open()
    // a page ends after 4 MiB: a leaf without a transcript behind that end once came with it, and what lay between was never read
    const long = Buffer.alloc(600_000, 'x')
    for (let at = 0; at < 24; at++) await log.append([note(`k_${at % 2}`, at % 4 === 3 ? {} : { payload: long })])
    for (const payloads of [true, false]) {
      const read: number[] = []
      for await (const one of log.stream({ payloads })) read.push(one.index)
      t.same(read, Array.from({ length: log.size() }, (_, index) => index))
    }
    const page = await log.records({ payloads: true, limit: 1000 })
    t.same(page.map(({ index }) => index), Array.from({ length: page.length }, (_, index) => index), 'a page has no gaps')
    t.ok(page.length < log.size(), 'and is bounded')
    await log.close()
  })

  t.test('the tree is the one that was signed, after every group and across a restart, and each is a beginning of the next', async (t) => {
    const store = make(t)
    const seen: { size: number, root: Buffer }[] = []
    for (const rounds of [[1, 3, 254], [2, 600]]) {
      const log = await store.open()
      for (const count of rounds) {
        await log.append(Array.from({ length: count }, () => note()))
        await treeIsSound(t, log)
        const now = parseCheckpoint(openNote(log.tree.checkpoint(), parseVerifier(log.tree.verifier)))
        for (const old of seen) t.ok(verifyConsistency(old.size, now.size, old.root, now.root, (await log.tree.consistency(old.size))!), `${old.size} is a beginning of ${now.size}`)
        seen.push(now)
      }
      await log.close()
    }
  })

  t.test('a clock that steps back is on record once, and the log\'s time stands still meanwhile, also across a restart', async (t) => {
    const store = make(t)
    let now = 1_000_000
    const clock = (): number => now
    let log = await store.open({ clock })
    await log.append([note()])
    now -= 60_000
    await log.append([note()])
    await log.append([note()])
    now += 120_000
    await log.append([note()])
    const leaves = (await soundness(t, log)).map((one) => JSON.parse(one.leaf))
    t.same(leaves.map((leaf) => leaf.type), ['log.start', 'audit.read', 'clock.anomaly', 'audit.read', 'audit.read', 'audit.read'])
    t.equal(leaves[2].behind_ms, 60_000)
    t.same(leaves.map((leaf) => leaf.t), [1_000_000, 1_000_000, 1_000_000, 1_000_000, 1_000_000, 1_060_000])
    await log.close()
    now -= 500_000
    log = await store.open({ clock })
    await log.append([note()])
    const after = (await soundness(t, log)).map((one) => JSON.parse(one.leaf)).slice(leaves.length)
    t.same(after.map((leaf) => leaf.type), ['log.stop', 'clock.anomaly', 'log.start', 'audit.read'])
    t.equal(after[1].behind_ms, 500_000)
    t.same(after.map((leaf) => leaf.t), [1_060_000, 1_060_000, 1_060_000, 1_060_000])
    await log.close()
  })

  t.test('closing ends what is open as interrupted, and everything is there again after a restart', async (t) => {
    const store = make(t)
    const log = await store.open()
    const exchange = log.open(begin())
    await exchange.begun()
    exchange.chunk(Buffer.from('half an ans'))
    const before = await log.append([note('k_9')])
    await log.close()
    await t.rejects(log.append([note()]), { code: 'audit_unavailable' })
    const again = await store.open()
    const all = await soundness(t, again)
    t.same(all.map((one) => JSON.parse(one.leaf).type), ['log.start', 'completion.begin', 'audit.read', 'completion.end', 'log.stop', 'log.start'])
    t.match(JSON.parse(all[3]!.leaf), { status: 'interrupted', bytes_sent: 11 })
    const [next] = await again.append([note('k_9')])
    t.equal(next!.key_seq, before[0]!.key_seq! + 1, 'key_seq goes on')
    await again.close()
  })
}
