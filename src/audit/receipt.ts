/**
 * A stranger's check of one receipt, offline: leaf to hash, hash to signed root, and what was sent to what the leaf commits to.
 * Built from the pure files only; asks nobody anything.
 */
import { committedBytes, toldHashes } from './answer-bytes.ts'
import { HASH_BYTES, verifyInclusion } from './merkle.ts'
import { openWithAny, parseCheckpoint, parseVerifier } from './note.ts'
import { commitment, leafHash } from './record.ts'
import type { Findings } from './verify.ts'

interface ReceiptLeaf { readonly record: string, readonly index: number, readonly leaf: string, readonly leaf_hash: string, readonly salt: string | null, readonly proof: string }
interface Receipt { readonly origin: string, readonly verifier: string, readonly begin: ReceiptLeaf, readonly ends: readonly ReceiptLeaf[] }
interface Leaf { readonly id?: string, readonly type?: string, readonly begin?: string, readonly choice?: number, readonly req_commit?: string, readonly res_commit?: string }

export interface ReceiptOptions {
  /** The log's keys (C2SP vkey), from elsewhere than the gateway. */
  readonly verifiers?: readonly string[]
  /** What was sent, and the whole of what came, byte by byte. */
  readonly request?: Uint8Array | undefined
  readonly answer?: Uint8Array | undefined
}

export const isReceipt = (value: unknown): value is Receipt => {
  const { begin, ends } = (value ?? {}) as Partial<Receipt>
  return [begin, ...(Array.isArray(ends) ? ends as unknown[] : [null])].every((one) => typeof (one as ReceiptLeaf | null)?.leaf === 'string' && typeof (one as ReceiptLeaf).proof === 'string')
}

/** As it is, and without a last newline: editors and `curl -w` add one. */
const forms = (bytes: Buffer): Buffer[] => bytes.at(-1) === 0x0a ? [bytes, bytes.subarray(0, -1)] : [bytes]

/** Throws for what is no tlog-proof. */
function parseProof (text: string): { readonly index: number, readonly hashes: Buffer[], readonly checkpoint: string } {
  const gap = text.indexOf('\n\n')
  const [head, place = '', ...lines] = text.slice(0, Math.max(gap, 0)).split('\n')
  const hashes = lines.map((line) => Buffer.from(line, 'base64'))
  if (head !== 'c2sp.org/tlog-proof@v1' || !/^index \d{1,15}$/.test(place) || hashes.some((one) => one.length !== HASH_BYTES)) throw new Error('this is not a tlog-proof')
  return { index: Number(place.slice('index '.length)), hashes, checkpoint: text.slice(gap + 2) }
}

export function verifyReceipt (receipt: Receipt, { verifiers = [], request, answer }: ReceiptOptions = {}): Pick<Findings, 'checked' | 'wrong' | 'notChecked'> {
  const checked: string[] = []
  const wrong: string[] = []
  const notChecked: string[] = []
  const keys = (verifiers.length > 0 ? verifiers : [receipt.verifier]).map(parseVerifier)
  if (verifiers.length === 0) notChecked.push('whether the key is the log\'s own: it came with the receipt; give the one you know with --vkey')

  const parts = [receipt.begin, ...receipt.ends].map((part, at) => {
    const name = at === 0 ? 'begin' : receipt.ends.length === 1 ? 'end' : `end ${at}`
    let leaf: Leaf = {}
    try {
      leaf = JSON.parse(part.leaf) as Leaf
      if (leaf.type !== (at === 0 ? 'completion.begin' : 'completion.end')) wrong.push(`${name}: its leaf is a ${JSON.stringify(leaf.type)}`)
      if (leaf.id !== part.record) wrong.push(`${name}: its leaf bears another id than the receipt`)
      if (at > 0 && leaf.begin !== receipt.begin.record) wrong.push(`${name}: its leaf ends another exchange`)
      const hashed = leafHash(Buffer.from(part.leaf))
      if (hashed.toString('base64') !== part.leaf_hash) wrong.push(`${name}: its leaf does not have the hash that the receipt gives for it`)
      const proof = parseProof(part.proof)
      const { size, root } = parseCheckpoint(openWithAny(proof.checkpoint, keys))
      if (proof.index !== part.index || !verifyInclusion(proof.index, size, hashed, proof.hashes, root)) wrong.push(`${name}: its proof does not lead from its leaf to the signed root`)
      else checked.push(`${name}: leaf ${part.index} is in the signed tree of ${size}`)
    } catch (error) { wrong.push(`${name}: ${(error as Error).message}`) }
    return { name, part, leaf }
  })
  const [begin, ...ends] = parts

  const committed = (what: string, bytes: Buffer, { part, leaf }: typeof parts[number], give: string): void => {
    if (part.salt === null) notChecked.push(`${what}: the transcript is erased or expired, and its salt with it; a receipt fetched before still checks`)
    else if (forms(bytes).some((form) => commitment(Buffer.from(part.salt!, 'base64'), part.record, form) === (leaf.req_commit ?? leaf.res_commit))) checked.push(`${what} is what the leaf commits to`)
    else wrong.push(`${what} is not what the leaf commits to: give the bytes exactly as they ${give}`)
  }
  if (request) committed('the request', Buffer.from(request), begin!, 'were sent (curl: --data-binary)')
  else notChecked.push('the request: give what was sent with --request')
  if (answer) {
    for (const end of ends) committed(`the answer${end.leaf.choice === undefined ? '' : `, choice ${end.leaf.choice},`}`, committedBytes(answer, end.leaf.choice), end, 'came (the body alone; of a stream, all of it)')
    if (toldHashes(answer).some((told) => !ends.some(({ part }) => part.leaf_hash === told))) wrong.push('the answer came with the hash of another leaf than the receipt\'s')
  } else notChecked.push('the answer: give what came with --answer')
  if (ends.length === 0) notChecked.push('the end: the exchange had not ended when the receipt was fetched')
  return { checked, wrong, notChecked }
}
