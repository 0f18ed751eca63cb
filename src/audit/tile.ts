/** Tiles of a transparency log (C2SP tlog-tiles): their paths and bytes, and the tlog-proof in which a receipt travels. Pure. */
import { HASH_BYTES, nodeHash, type ReadNode } from './merkle.ts'

export const TILE_WIDTH = 256
const TILE_HEIGHT = 8
const ENTRY_BYTES_LIMIT = 65_535

/** `entries`: the leaves themselves. `width` 256 is a full tile; less is the part that existed at some size. */
export interface Tile { readonly level: number | 'entries', readonly index: number, readonly width: number }

/** "1234067" -> "x001/x234/067": three digits a folder, all but the last with an "x". */
function indexPath (index: number): string {
  const digits = String(index).padStart(Math.ceil(String(index).length / 3) * 3, '0')
  const groups = digits.match(/\d{3}/g)!
  return groups.map((group, at) => at === groups.length - 1 ? group : `x${group}`).join('/')
}

export const tilePath = ({ level, index, width }: Tile): string => `tile/${level}/${indexPath(index)}${width === TILE_WIDTH ? '' : `.p/${width}`}`

const PATH = /^tile\/(entries|0|[1-9]\d?)\/((?:x\d{3}\/)*\d{3})(?:\.p\/([1-9]\d{0,2}))?$/

/** Null for what is no tile's path; a path has one form only. */
export function parseTilePath (path: string): Tile | null {
  const match = PATH.exec(path)
  if (!match) return null
  const index = Number(match[2]!.replaceAll(/[x/]/g, ''))
  const width = match[3] === undefined ? TILE_WIDTH : Number(match[3])
  const tile: Tile = { level: match[1] === 'entries' ? 'entries' : Number(match[1]), index, width }
  const fits = Number.isSafeInteger(index) && width < TILE_WIDTH + (match[3] === undefined ? 1 : 0) && (tile.level === 'entries' || tile.level < 64)
  return fits && tilePath(tile) === path ? tile : null
}

/** How wide a tile is in a tree of `size` leaves; 0 where it does not exist yet. */
export function tileWidth (level: number | 'entries', index: number, size: number): number {
  const nodes = Math.floor(size / TILE_WIDTH ** (level === 'entries' ? 0 : level))
  return Math.max(0, Math.min(TILE_WIDTH, nodes - index * TILE_WIDTH))
}

/** Leaves behind their lengths, uint16 big-endian. Throws RangeError for one that is too long. */
export function entryBundle (leaves: readonly Uint8Array[]): Buffer {
  return Buffer.concat(leaves.flatMap((leaf) => {
    if (leaf.length > ENTRY_BYTES_LIMIT) throw new RangeError(`An entry of ${leaf.length} bytes does not fit a bundle.`)
    const length = Buffer.alloc(2)
    length.writeUInt16BE(leaf.length)
    return [length, leaf]
  }))
}

/** Throws for bytes that are cut short. */
export function parseEntryBundle (bytes: Uint8Array): Buffer[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const leaves: Buffer[] = []
  for (let at = 0; at < buffer.length;) {
    const end = at + 2 <= buffer.length ? at + 2 + buffer.readUInt16BE(at) : Infinity
    if (end > buffer.length) throw new Error('The bundle of entries is cut short.')
    leaves.push(buffer.subarray(at + 2, end))
    at = end
  }
  return leaves
}

/** Reads nodes out of tiles: `readTile` gives the hashes of a tile by its level and index, as many as there are. */
export function nodesFromTiles (readTile: (level: number, index: number) => readonly Uint8Array[]): ReadNode {
  return (level, index) => {
    const within = level % TILE_HEIGHT
    const first = index * 2 ** within
    const hashes = readTile(Math.floor(level / TILE_HEIGHT), Math.floor(first / TILE_WIDTH))
    let row = hashes.slice(first % TILE_WIDTH, first % TILE_WIDTH + 2 ** within)
    if (row.length < 2 ** within) throw new RangeError(`The subtree ${index} of level ${level} is not complete.`)
    while (row.length > 1) row = Array.from({ length: row.length / 2 }, (_, at) => nodeHash(row[2 * at]!, row[2 * at + 1]!))
    return row[0]!
  }
}

export function splitHashes (bytes: Uint8Array): Uint8Array[] {
  if (bytes.length % HASH_BYTES !== 0) throw new Error('A tile has to be a row of whole hashes.')
  return Array.from({ length: bytes.length / HASH_BYTES }, (_, at) => bytes.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES))
}

const PROOF_HEAD = 'c2sp.org/tlog-proof@v1'

/** The receipt that a client can keep: a leaf's place, its path, and the signed checkpoint that the path leads to. */
export const tlogProof = (index: number, proof: readonly Uint8Array[], checkpoint: string): string =>
  `${PROOF_HEAD}\nindex ${index}\n${proof.map((one) => `${Buffer.from(one).toString('base64')}\n`).join('')}\n${checkpoint}`

/** Throws for what is no tlog-proof. */
export function parseTlogProof (text: string): { index: number, proof: Buffer[], checkpoint: string } {
  const gap = text.indexOf('\n\n')
  const [head, index, ...hashes] = text.slice(0, gap).split('\n')
  const match = /^index (0|[1-9]\d{0,15})$/.exec(index ?? '')
  const proof = hashes.map((line) => Buffer.from(line, 'base64'))
  if (gap < 0 || head !== PROOF_HEAD || !match || proof.some((one, at) => one.length !== HASH_BYTES || one.toString('base64') !== hashes[at])) throw new Error('This is not a tlog-proof of version 1.')
  return { index: Number(match[1]), proof, checkpoint: text.slice(gap + 2) }
}
