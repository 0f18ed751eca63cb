import fc from 'fast-check'
import t from 'tap'
import { checkpointText, newSeed, openNote, openSigned, parseCheckpoint, parseCosigner, parseVerifier, signerOf, signNote } from '../../src/audit/note.ts'
import { entryBundle, parseEntryBundle, parseTilePath, parseTlogProof, tilePath, tileWidth, tlogProof, type Tile } from '../../src/audit/tile.ts'
import { startWitness } from '../fixtures/witness.ts'

/** The example of Go's golang.org/x/mod/sumdb/note. */
const GO_KEY = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW'
const GO_TEXT = 'If you think cryptography is the answer to your problem,\nthen you don\'t know what your problem is.\n'
const GO_NOTE = `${GO_TEXT}\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n`

/** A checkpoint that Go's github.com/transparency-dev/formats cosigned, the witness's key in both of its forms, and the log's. */
const GO_WITNESS = ['witness.example/go+116db3fb+BIV/haxfkMt3XWwuNNzD4nxNmiJNtANcJrtFO+x5/dUR', 'witness.example/go+c4e072f6+AYV/haxfkMt3XWwuNNzD4nxNmiJNtANcJrtFO+x5/dUR']
const GO_LOG = 'log.example/go+308eea3f+AcTNGZEto0n0CFDfX4PSv6rnm5TEUpSYgpNv+uzGP/vj'
const GO_CHECKPOINT = 'log.example/go\n7\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n'
const GO_COSIGNED = `${GO_CHECKPOINT}
— log.example/go MI7qP1vHX7rc/M6wXSldWLvcu84HGhomLxSmHKJQqfUg5CeAVnjHF1cCYOQzqJhAFvVTalAhqhylOI/gp1836z0JXAg=
— witness.example/go EW2z+wAAAABrBZ9KpVfvvRxHoXmtX5xJMLIipe3Bleus+2cHz0vvccRo6wraLDc0OvLu787NWrMFOiOR9tn7Y4osiH10HlDkRckbDQ==
`

t.test('a checkpoint that Go\'s library cosigned opens with the witness\'s key in either form, and with the log\'s', async (t) => {
  for (const vkey of GO_WITNESS) t.equal(openNote(GO_COSIGNED, parseCosigner(vkey)), GO_CHECKPOINT)
  t.equal(openNote(GO_COSIGNED, parseVerifier(GO_LOG)), GO_CHECKPOINT)
  t.throws(() => openNote(GO_COSIGNED.replace('7', '8'), parseCosigner(GO_WITNESS[0]!)), /does not fit/)
})

t.test('a note that Go\'s library signed opens', async (t) => {
  t.equal(openNote(GO_NOTE, parseVerifier(GO_KEY)), GO_TEXT)
  t.equal(parseVerifier('example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k').name, 'example.com/foo')
})

t.test('our notes open with our verifier key, among other signatures, and with no other key', async (t) => {
  const [one, two] = [signerOf('log.example/one', newSeed()), signerOf('witness.example', newSeed())]
  const note = signNote('a text\nof two lines\n', [two, one])
  t.equal(openNote(note, parseVerifier(one.verifier)), 'a text\nof two lines\n')
  t.equal(openNote(note, parseVerifier(two.verifier)), 'a text\nof two lines\n')
  t.throws(() => openNote(note, parseVerifier(signerOf('log.example/one', newSeed()).verifier)), /not signed by/)
  t.throws(() => signerOf('two words', newSeed()))
  t.throws(() => signNote('no newline', [one]))
})

t.test('one flipped byte anywhere in a note is found', async (t) => {
  const verifier = parseVerifier(GO_KEY)
  const bytes = Buffer.from(GO_NOTE)
  const passed: number[] = []
  for (let at = 0; at < bytes.length; at++) {
    const altered = Buffer.from(bytes)
    altered[at]! ^= 1
    // the last base64 digit of a signature holds bits that mean nothing
    try { if (openNote(altered.toString(), verifier) === GO_TEXT) passed.push(at) } catch { /* found */ }
  }
  t.ok(passed.every((at) => at >= bytes.length - 4), `passed: ${passed.join(', ')}`)
})

t.test('a key whose parts do not fit is refused', async (t) => {
  for (const key of ['', 'x', 'a+b', GO_KEY.replace('c74f20a3', 'c74f20a4'), GO_KEY.slice(0, -4), `${GO_KEY}+more`, GO_KEY.replace('+AR', '+BR')]) t.throws(() => parseVerifier(key), key)
})

t.test('a cosignature that was made from the specification opens, with its time, and neither kind of key opens the other\'s', async (t) => {
  const log = signerOf('log.example/one', newSeed())
  const witness = await startWitness(log.verifier)
  t.teardown(() => witness.close())
  const text = checkpointText({ origin: 'log.example/one', size: 7, root: Buffer.alloc(32, 7) })
  const note = signNote(text, [log])
  const cosigner = parseCosigner(witness.vkey)
  for (const time of [0, 1_679_315_147, 2n ** 63n - 1n]) t.same(openSigned(note + witness.cosign(text, time), cosigner), { text, line: witness.cosign(text, time) })
  t.equal(openNote(note + witness.cosign(text), parseVerifier(log.verifier)), text, 'and the log\'s own signature still opens')
  t.throws(() => openNote(note + witness.cosign(text, 2n ** 63n), cosigner), /does not fit/, 'no time is so large')
  t.throws(() => openNote(note + witness.cosign(text.replace('7', '8')), cosigner), /does not fit/, 'another checkpoint\'s')
  t.throws(() => openNote(note, cosigner), /not signed by "witness\.example\/w1"/)
  t.throws(() => parseVerifier(witness.vkey), /type 1/)
  t.throws(() => parseCosigner(witness.vkey.slice(0, -4)), /type 4 or 1/)
  const plain = parseCosigner(log.verifier)
  t.not(plain.keyId.toString('hex'), parseVerifier(log.verifier).keyId.toString('hex'), 'a witness\'s key in the form of plain signatures has the id of cosignatures')
  t.throws(() => openNote(note, plain), /not signed by/, 'and opens no plain signature')
  const bytes = Buffer.from(witness.cosign(text, 1))
  const passed: number[] = []
  for (let at = 0; at < bytes.length; at++) {
    const altered = Buffer.from(bytes)
    altered[at]! ^= 1
    try { if (openSigned(note + altered.toString(), cosigner).line !== bytes.toString()) passed.push(at) } catch { /* found */ }
  }
  t.same(passed, [], 'one flipped byte anywhere is found, or means nothing')
})

t.test('checkpoints go there and back, with extensions, and nothing else passes for one', async (t) => {
  const root = Buffer.alloc(32, 7)
  const text = checkpointText({ origin: 'log.example/x', size: 48_213, root })
  t.same(parseCheckpoint(text), { origin: 'log.example/x', size: 48_213, root })
  t.equal(parseCheckpoint(`${text}an extension\n`).size, 48_213)
  for (const bad of ['', 'origin\n', 'origin\n-1\nAAAA\n', `origin\n01\n${root.toString('base64')}\n`, `origin\n1\n${root.toString('base64').slice(1)}\n`, `\n1\n${root.toString('base64')}\n`]) t.throws(() => parseCheckpoint(bad), JSON.stringify(bad))
})

t.test('tiles have the paths of the specification, one each', async (t) => {
  const known: [Tile, string][] = [
    [{ level: 0, index: 0, width: 256 }, 'tile/0/000'], [{ level: 0, index: 5, width: 17 }, 'tile/0/005.p/17'],
    [{ level: 3, index: 1_234_067, width: 256 }, 'tile/3/x001/x234/067'], [{ level: 'entries', index: 1_000, width: 1 }, 'tile/entries/x001/000.p/1'],
  ]
  for (const [tile, path] of known) {
    t.equal(tilePath(tile), path)
    t.same(parseTilePath(path), tile)
  }
  for (const path of ['tile/0/00', 'tile/0/0000', 'tile/00/000', 'tile/0/001/000', 'tile/0/x000/000', 'tile/0/000.p/0', 'tile/0/000.p/256', 'tile/0/000.p/01', 'tile/64/000', 'tile/0/000/', '/tile/0/000', 'tile/-1/000', 'tile/0/../000']) t.equal(parseTilePath(path), null, path)
  fc.assert(fc.property(fc.oneof(fc.constant('entries' as const), fc.nat(63)), fc.nat(2 ** 31), fc.integer({ min: 1, max: 256 }), (level, index, width) => {
    const parsed = parseTilePath(tilePath({ level, index, width }))
    return parsed !== null && parsed.level === level && parsed.index === index && parsed.width === width
  }))
  t.same([tileWidth(0, 0, 70_000), tileWidth(1, 1, 70_000), tileWidth(1, 2, 70_000), tileWidth('entries', 273, 70_000), tileWidth(2, 0, 70_000)], [256, 17, 0, 112, 1])
})

t.test('bundles of entries go there and back, and one that is cut short is refused', async (t) => {
  fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }), (leaves) => {
    const parsed = parseEntryBundle(entryBundle(leaves))
    return parsed.length === leaves.length && parsed.every((one, at) => one.equals(Buffer.from(leaves[at]!)))
  }))
  const bundle = entryBundle([Buffer.from('one'), Buffer.from('two')])
  for (const length of [1, 3, 6, 9]) t.throws(() => parseEntryBundle(bundle.subarray(0, length)), `${length} bytes`)
  t.throws(() => entryBundle([Buffer.alloc(65_536)]), RangeError)
})

t.test('a tlog-proof goes there and back, and what is no proof is refused', async (t) => {
  const proof = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]
  const text = tlogProof(7, proof, GO_NOTE)
  t.same(parseTlogProof(text), { index: 7, proof, checkpoint: GO_NOTE })
  t.same(parseTlogProof(tlogProof(0, [], GO_NOTE)), { index: 0, proof: [], checkpoint: GO_NOTE })
  for (const bad of ['', text.replace('v1', 'v2'), text.replace('index 7', 'index -7'), text.replace('AQEB', 'AQE')]) t.throws(() => parseTlogProof(bad))
})
