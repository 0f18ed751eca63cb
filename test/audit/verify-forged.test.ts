import { hash } from 'node:crypto'
import t from 'tap'
import { canonical } from '../../src/canonical.ts'
import { RightEdge } from '../../src/audit/merkle.ts'
import { checkpointText, newSeed, signerOf, signNote } from '../../src/audit/note.ts'
import { commitment, leafHash } from '../../src/audit/record.ts'
import { verifyExport } from '../../src/audit/verify.ts'

const signer = signerOf('operator.example/log', newSeed())
const SALT = Buffer.alloc(32, 3)

type Leaf = Record<string, any>

/** A log as an operator would make it who holds the key and wants to hide something: every hash, the manifest and the signature are right. */
function forged (leaves: readonly Leaf[], signedLeaves: readonly Leaf[] = leaves): string[] {
  const bytes = (leaf: Leaf): string => canonical(leaf)
  const edge = new RightEdge()
  for (const leaf of signedLeaves) edge.append(leafHash(Buffer.from(bytes(leaf))))
  const lines = leaves.map((leaf, index) => JSON.stringify({
    index, id: leaf['id'], leaf: bytes(leaf), leaf_hash: leafHash(Buffer.from(bytes(leaf))).toString('base64'),
    payload: leaf['req_commit'] || leaf['res_commit'] ? { state: 'present', base64: Buffer.from('text').toString('base64'), text: 'text', salt: SALT.toString('base64') } : { state: 'none' },
  }))
  const sha256 = hash('sha256', lines.map((line) => `${line}\n`).join(''))
  const checkpoint = signNote(checkpointText({ origin: signer.name, size: leaves.length, root: edge.root() }), [signer])
  return [...lines, JSON.stringify({ manifest: { count: leaves.length, first_index: 0, last_index: leaves.length - 1, as_of: leaves.length, sha256, origin: signer.name, verifier: signer.verifier, checkpoint } })]
}

const wrongIn = async (lines: readonly string[]): Promise<string> => (await verifyExport((async function * () { yield * lines })(), { verifier: signer.verifier })).wrong.join('\n')

const exchange = (name: string, t: number, seq: number): Leaf[] => [
  { v: 1, type: 'completion.begin', id: `${name}-begin`, t, key: 'k_1', key_seq: seq, req_commit: commitment(SALT, `${name}-begin`, Buffer.from('text')) },
  { v: 1, type: 'completion.end', id: `${name}-end`, begin: `${name}-begin`, status: 'complete', t: t + 1, key: 'k_1', key_seq: seq + 1, res_commit: commitment(SALT, `${name}-end`, Buffer.from('text')) },
]
const sound: readonly Leaf[] = [...exchange('a', 10, 1), ...exchange('b', 20, 3), ...exchange('c', 30, 5)]
const edited = (at: number, change: Leaf): Leaf[] => sound.map((leaf, index) => index === at ? { ...leaf, ...change } : leaf)

t.test('a forger who signs his own tree is believed where nothing contradicts him', async (t) => {
  t.equal(await wrongIn(forged(sound)), '')
})

t.test('what contradicts itself is found in a log whose every hash and signature is right', async (t) => {
  const cases: [string, string[], RegExp][] = [
    ['a record left out before the tree was made', forged(sound.filter((_, at) => at < 2 || at > 3)), /leaf 2 has key_seq 5 where k_1 is at 3: a record of this key is missing/],
    ['a key_seq given twice', forged(edited(3, { key_seq: 3 })), /leaf 3 has key_seq 3/],
    ['a key_seq taken away', forged(edited(3, { key_seq: null })), /leaf 3 has key_seq null/],
    ['a record dated back', forged(edited(4, { t: 5 })), /leaf 4 is earlier than the leaf before it/],
    ['an end without a begin', forged(edited(3, { begin: 'nobody' })), /leaf 3 ends an exchange that is not open/],
    ['an exchange that ends twice', forged(edited(3, { begin: 'a-begin' })), /leaf 3 ends an exchange that is not open/],
    ['leaves that are not those of the signed tree', forged(sound, edited(1, { status: 'interrupted' })), /leaves do not add up to the root that was signed/],
    ['leaves in another order than in the signed tree', forged(sound, sound.toReversed()), /leaves do not add up to the root that was signed/],
    ['another transcript than was committed to', forged(edited(2, { req_commit: commitment(SALT, 'b-begin', Buffer.from('another')) })), /transcript of leaf 2 is not the one/],
    ['a transcript committed to under another id', forged(edited(2, { req_commit: commitment(SALT, 'a-begin', Buffer.from('text')) })), /transcript of leaf 2 is not the one/],
    ['one leaf twice', forged([...sound.slice(0, 2), ...sound.slice(0, 2)]), /key_seq/],
  ]
  for (const [name, lines, words] of cases) t.match(await wrongIn(lines), words, name)
})
