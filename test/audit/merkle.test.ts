import { createHash } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { consistencyProof, EMPTY_ROOT, inclusionProof, RightEdge, rootOf, verifyConsistency, verifyInclusion, type ReadNode } from '../../src/audit/merkle.ts'
import { nodesFromTiles } from '../../src/audit/tile.ts'

const sha256 = (...parts: Uint8Array[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest()
const MOST = 1100
const leaves = Array.from({ length: MOST }, (_, index) => sha256(Buffer.from([0]), Buffer.from(`leaf ${index}`)))

/** MTH as RFC 9162 §2.1.1 writes it down, without any cleverness. */
function naive (hashes: readonly Buffer[]): Buffer {
  if (hashes.length === 0) return sha256()
  if (hashes.length === 1) return hashes[0]!
  let k = 1
  while (k * 2 < hashes.length) k *= 2
  return sha256(Buffer.from([1]), naive(hashes.slice(0, k)), naive(hashes.slice(k)))
}

const kept = new Map<string, Buffer>()
const read: ReadNode = (level, index) => {
  const key = `${level}/${index}`
  let node = kept.get(key)
  if (!node) kept.set(key, node = naive(leaves.slice(index * 2 ** level, (index + 1) * 2 ** level)))
  return node
}

t.test('known answers: the trees of no leaf and of one', async (t) => {
  t.equal(EMPTY_ROOT.toString('hex'), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
  t.ok(Buffer.from(rootOf(1, read)).equals(leaves[0]!))
})

t.test('for every size up to 1,100: the root, the growing edge and the tiles agree with the definition', async (t) => {
  const edge = new RightEdge()
  const wrong: number[] = []
  const tiles = nodesFromTiles((level, index) => Array.from({ length: 256 }, (_, at) => at).map((at) => (index * 256 + at + 1) * 256 ** level <= MOST ? read(level * 8, index * 256 + at) : null).filter((one) => one !== null))
  for (let size = 0; size <= MOST; size++) {
    const root = naive(leaves.slice(0, size))
    if (![rootOf(size, read), edge.root(), new RightEdge(size, read).root(), rootOf(size, tiles)].every((one) => root.equals(one))) wrong.push(size)
    if (size < MOST) edge.append(leaves[size]!)
  }
  t.same(wrong, [])
})

t.test('for every size up to 1,100: inclusion of first, last and a middle leaf is proved, and of no other leaf or place', async (t) => {
  const wrong: string[] = []
  for (let size = 1; size <= MOST; size++) {
    const root = rootOf(size, read)
    for (const index of new Set([0, size - 1, Math.floor(size / 2), (size * 7) % size])) {
      const proof = inclusionProof(index, size, read)
      if (!verifyInclusion(index, size, leaves[index]!, proof, root)) wrong.push(`${index} of ${size}`)
      if (size > 1) {
        if (verifyInclusion((index + 1) % size, size, leaves[index]!, proof, root)) wrong.push(`${index} of ${size} passes at another place`)
        if (verifyInclusion(index, size, leaves[(index + 1) % size]!, proof, root)) wrong.push(`another leaf than ${index} of ${size}`)
        if (verifyInclusion(index, size, leaves[index]!, proof.slice(1), root)) wrong.push(`${index} of ${size} with a hash missing`)
      }
    }
  }
  t.same(wrong, [])
})

t.test('consistency holds between all pairs of sizes up to 130, and many larger ones; an altered root never passes', async (t) => {
  const wrong: string[] = []
  const check = (old: number, size: number): void => {
    const [oldRoot, root] = [rootOf(old, read), rootOf(size, read)]
    const proof = consistencyProof(old, size, read)
    if (!verifyConsistency(old, size, oldRoot, root, proof)) wrong.push(`${old} -> ${size}`)
    const bad = Buffer.from(oldRoot)
    bad[7]! ^= 1
    if (verifyConsistency(old, size, bad, root, proof)) wrong.push(`${old} -> ${size} with another old root`)
    if (old > 0 && old < size && verifyConsistency(old, size, oldRoot, Buffer.from(root).fill(1, 3, 4), proof) && root[3] !== 1) wrong.push(`${old} -> ${size} with another new root`)
  }
  for (let size = 0; size <= 130; size++) for (let old = 0; old <= size; old++) check(old, size)
  for (let size = 131; size <= MOST; size += 7) for (const old of [1, 2, 3, 64, 127, 128, 129, size >> 1, size - 1, size]) check(old, size)
  t.same(wrong, [])
})

t.test('one flipped bit anywhere in a proof is found', async (t) => {
  fc.assert(fc.property(fc.integer({ min: 2, max: MOST }), fc.nat(), fc.nat(), fc.nat(255), (size, at, where, bit) => {
    const index = at % size
    const proof = inclusionProof(index, size, read).map((one) => Buffer.from(one))
    const node = proof[where % proof.length]!
    node[bit % 32]! ^= 1 << (bit % 8)
    return !verifyInclusion(index, size, leaves[index]!, proof, rootOf(size, read))
  }), { numRuns: 300 })
  t.pass()
})

t.test('trees far larger than memory: the edge of a tree of up to 2^45 leaves tells its root and grows', async (t) => {
  const made: ReadNode = (level, index) => sha256(Buffer.from(`${level}/${index}`))
  fc.assert(fc.property(fc.integer({ min: 1, max: 2 ** 45 }), (size) => {
    const edge = new RightEdge(size, made)
    const root = Buffer.from(edge.root())
    edge.append(leaves[0]!)
    return root.equals(rootOf(size, made)) && edge.size === size + 1 && !root.equals(edge.root())
  }), { numRuns: 200 })
  t.throws(() => inclusionProof(5, 5, read), RangeError)
  t.throws(() => consistencyProof(6, 5, read), RangeError)
})
