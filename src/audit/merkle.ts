/**
 * Hashes and proofs of RFC 6962 and RFC 9162. Knows nothing of storage, time or HTTP: whoever asks for a root or a proof
 * hands in a way to read the hash of a complete subtree.
 */
import { hash } from 'node:crypto'

export const HASH_BYTES = 32

/**
 * The hash of the complete subtree of 2^level leaves whose first leaf is `index * 2^level`; level 0 is the leaf hash itself.
 * Only asked for subtrees that are complete in the tree that is spoken of.
 */
export type ReadNode = (level: number, index: number) => Uint8Array

/** SHA-256. By way of a text: memory of its own for every digest, which a buffer from the library has, costs as much as the hash. */
export const sha256 = (bytes: Uint8Array): Buffer => Buffer.from(hash('sha256', bytes, 'binary'), 'binary')

/** 0x01 ‖ left ‖ right, of the pair that is being hashed. */
const pair = Buffer.alloc(1 + 2 * HASH_BYTES, 1)

/** SHA-256(0x01 ‖ left ‖ right), RFC 9162 §2.1.1. */
export function nodeHash (left: Uint8Array, right: Uint8Array): Buffer {
  pair.set(left, 1)
  pair.set(right, 1 + HASH_BYTES)
  return sha256(pair)
}

/** The root of the tree without leaves: SHA-256 of nothing. */
export const EMPTY_ROOT: Buffer = sha256(Buffer.alloc(0))

/** Largest power of two that is smaller than n (n ≥ 2); sizes go beyond 32 bits, so no bit operators. */
function split (n: number): number {
  let power = 1
  while (power * 2 < n) power *= 2
  return power
}

const isPowerOfTwo = (n: number): boolean => n > 0 && Math.log2(n) % 1 === 0

/** The hash of the leaves [from, to): MTH(D[from:to]). `from` has to be a multiple of the largest power of two in the range. */
function rangeHash (from: number, to: number, read: ReadNode): Uint8Array {
  const size = to - from
  if (isPowerOfTwo(size)) return read(Math.log2(size), from / size)
  const middle = split(size)
  return nodeHash(rangeHash(from, from + middle, read), rangeHash(from + middle, to, read))
}

/** The root of the tree of the first `size` leaves. */
export const rootOf = (size: number, read: ReadNode): Uint8Array => size === 0 ? EMPTY_ROOT : rangeHash(0, size, read)

/** PATH(index, D[0:size]), RFC 9162 §2.1.3.1, lowest first. Throws RangeError for an index outside of the tree. */
export function inclusionProof (index: number, size: number, read: ReadNode): Uint8Array[] {
  if (!Number.isSafeInteger(index) || index < 0 || index >= size) throw new RangeError(`There is no leaf ${index} in a tree of ${size}.`)
  const path = (from: number, to: number): Uint8Array[] => {
    if (to - from === 1) return []
    const middle = from + split(to - from)
    return index < middle ? [...path(from, middle), rangeHash(middle, to, read)] : [...path(middle, to), rangeHash(from, middle, read)]
  }
  return path(0, size)
}

/** PROOF(old, D[0:size]), RFC 9162 §2.1.4.1. Empty where old is 0 or the same size. Throws RangeError where old is larger. */
export function consistencyProof (old: number, size: number, read: ReadNode): Uint8Array[] {
  if (!Number.isSafeInteger(old) || old < 0 || old > size) throw new RangeError(`A tree of ${old} leaves is no beginning of a tree of ${size}.`)
  if (old === 0 || old === size) return []
  const proof = (from: number, to: number, known: boolean): Uint8Array[] => {
    if (to === old) return known ? [] : [rangeHash(from, to, read)]
    const middle = from + split(to - from)
    return old <= middle
      ? [...proof(from, middle, known), rangeHash(middle, to, read)]
      : [...proof(middle, to, false), rangeHash(from, middle, read)]
  }
  return proof(0, size, true)
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

/** RFC 9162 §2.1.3.2. */
export function verifyInclusion (index: number, size: number, leafHash: Uint8Array, proof: readonly Uint8Array[], root: Uint8Array): boolean {
  if (!Number.isSafeInteger(index) || index < 0 || index >= size) return false
  let node = BigInt(index)
  let last = BigInt(size - 1)
  let hashed = leafHash
  for (const sibling of proof) {
    if (last === 0n) return false
    if (node % 2n === 1n || node === last) {
      hashed = nodeHash(sibling, hashed)
      while (node % 2n === 0n && node !== 0n) { node /= 2n; last /= 2n }
    } else hashed = nodeHash(hashed, sibling)
    node /= 2n
    last /= 2n
  }
  return last === 0n && same(hashed, root)
}

/** RFC 9162 §2.1.4.2. A tree of no leaves is a beginning of every tree, and needs no proof. */
export function verifyConsistency (old: number, size: number, oldRoot: Uint8Array, root: Uint8Array, proof: readonly Uint8Array[]): boolean {
  if (!Number.isSafeInteger(old) || !Number.isSafeInteger(size) || old < 0 || old > size) return false
  if (old === 0) return proof.length === 0 && same(oldRoot, EMPTY_ROOT)
  if (old === size) return proof.length === 0 && same(oldRoot, root)
  // where the old tree is one complete subtree, its root is the first hash of the path
  const path = isPowerOfTwo(old) ? [oldRoot, ...proof] : [...proof]
  const first = path.shift()
  if (!first) return false
  let node = BigInt(old - 1)
  let last = BigInt(size - 1)
  while (node % 2n === 1n) { node /= 2n; last /= 2n }
  let older = first
  let newer = first
  for (const sibling of path) {
    if (last === 0n) return false
    if (node % 2n === 1n || node === last) {
      older = nodeHash(sibling, older)
      newer = nodeHash(sibling, newer)
      while (node % 2n === 0n && node !== 0n) { node /= 2n; last /= 2n }
    } else newer = nodeHash(newer, sibling)
    node /= 2n
    last /= 2n
  }
  return last === 0n && same(older, oldRoot) && same(newer, root)
}

/**
 * The right edge of a growing tree: the roots of its complete subtrees, largest first. Enough to append and to tell the root,
 * in memory that grows with the logarithm of the size.
 */
export class RightEdge {
  size: number
  readonly #roots: { readonly level: number, readonly hash: Uint8Array }[] = []

  /** The edge of the first `size` leaves. */
  constructor (size = 0, read?: ReadNode) {
    this.size = size
    let from = 0
    for (let level = 52; level >= 0; level--) {
      const leaves = 2 ** level
      if (from + leaves > size) continue
      this.#roots.push({ level, hash: read!(level, from / leaves) })
      from += leaves
    }
  }

  /** `completed` is told every subtree above the leaves that this leaf completes, by level and index. */
  append (leafHash: Uint8Array, completed?: (level: number, index: number, hash: Uint8Array) => void): void {
    let level = 0
    let hashed = leafHash
    while (this.#roots.at(-1)?.level === level) {
      hashed = nodeHash(this.#roots.pop()!.hash, hashed)
      level++
      completed?.(level, Math.floor(this.size / 2 ** level), hashed)
    }
    this.#roots.push({ level, hash: hashed })
    this.size++
  }

  root (): Uint8Array {
    const [last, ...others] = this.#roots.toReversed()
    if (!last) return EMPTY_ROOT
    return others.reduce((right: Uint8Array, left) => nodeHash(left.hash, right), last.hash)
  }
}
