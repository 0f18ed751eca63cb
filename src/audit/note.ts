/**
 * Signed notes (C2SP signed-note) and the checkpoints of a transparency log in them (C2SP tlog-checkpoint), with Ed25519.
 * Pure bytes: knows nothing of where keys or checkpoints are kept.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, hash, sign, verify, type KeyObject } from 'node:crypto'

const ED25519 = 1
/** C2SP tlog-cosignature: the same keys, but what they sign has a time in it. */
const COSIGNATURE = 4
const TIME_BYTES = 8
const KEY_BYTES = 32
const KEY_ID_BYTES = 4
const SIGNATURE_BYTES = 64
/** The fixed heads of DER around 32 raw bytes: RFC 8410 §4 and §7. */
const SPKI = Buffer.from('302a300506032b6570032100', 'hex')
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')

/** Signs a log's checkpoints. */
export interface Signer { readonly name: string, readonly verifier: string, sign (text: string): string }
export interface Verifier { readonly name: string, readonly keyId: Buffer, verify (text: string, signature: Uint8Array): boolean }

/** No spaces, no "+", not empty: names stand in lines that are split there. */
const NAME = /^[^\s+]{1,255}$/u

/** SHA-256(name ‖ 0x0A ‖ algorithm ‖ public key)[:4]. */
function keyIdOf (name: string, publicKey: Uint8Array, algorithm = ED25519): Buffer {
  return hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), Buffer.from([algorithm]), publicKey]), 'buffer').subarray(0, KEY_ID_BYTES)
}

/** `name+keyid+base64(0x01 ‖ public key)`. */
export const verifierKey = (name: string, publicKey: Uint8Array): string => `${name}+${keyIdOf(name, publicKey).toString('hex')}+${Buffer.concat([Buffer.from([ED25519]), publicKey]).toString('base64')}`

/** Throws for what is not the verifier key of an Ed25519 signer. */
export function parseVerifier (vkey: string): Verifier {
  const { name, keyId, key } = parseKey(vkey, [ED25519])
  return { name, keyId, verify: (text, signature) => signature.length === SIGNATURE_BYTES && verify(null, Buffer.from(text), key, signature) }
}

/**
 * A witness's key (`name+keyid+base64(0x04 ‖ public key)`): checks its cosignatures of a checkpoint, each a time (seconds since the
 * epoch, uint64 BE) and an Ed25519 signature over "cosignature/v1", that time and the checkpoint. Throws for any other key, but takes
 * the form with 0x01, in which some witnesses publish theirs; their cosignatures bear the key id of 0x04 all the same.
 */
export function parseCosigner (vkey: string): Verifier {
  const { name, raw, key } = parseKey(vkey, [COSIGNATURE, ED25519])
  return {
    name,
    keyId: keyIdOf(name, raw, COSIGNATURE),
    verify (text, signature) {
      if (signature.length !== TIME_BYTES + SIGNATURE_BYTES) return false
      const time = Buffer.from(signature).readBigUInt64BE()
      return time < 2n ** 63n && verify(null, Buffer.from(`cosignature/v1\ntime ${time}\n${text}`), key, signature.subarray(TIME_BYTES))
    },
  }
}

function parseKey (vkey: string, algorithms: readonly number[]): { readonly name: string, readonly keyId: Buffer, readonly raw: Uint8Array, readonly key: KeyObject } {
  const [name = '', keyId = '', encoded = ''] = splitKey(vkey)
  const bytes = Buffer.from(encoded, 'base64')
  const algorithm = bytes[0] ?? 0
  if (!NAME.test(name) || bytes.length !== 1 + KEY_BYTES || !algorithms.includes(algorithm)) throw new Error(`This is not an Ed25519 verifier key of the form name+keyid+key (type ${algorithms.join(' or ')}): ${vkey.slice(0, 80)}`)
  const raw = bytes.subarray(1)
  const expected = keyIdOf(name, raw, algorithm)
  if (expected.toString('hex') !== keyId) throw new Error(`The verifier key of "${name}" says the key id ${keyId}, its key has ${expected.toString('hex')}.`)
  return { name, keyId: expected, raw, key: createPublicKey({ key: Buffer.concat([SPKI, raw]), format: 'der', type: 'spki' }) }
}

/** The base64 part may itself hold "+": only the first two separate. */
function splitKey (vkey: string): string[] {
  const first = vkey.indexOf('+')
  const second = vkey.indexOf('+', first + 1)
  return first < 0 || second < 0 ? [] : [vkey.slice(0, first), vkey.slice(first + 1, second), vkey.slice(second + 1)]
}

/** A signer from the 32 bytes of an Ed25519 private key (its seed). */
export function signerOf (name: string, seed: Uint8Array): Signer {
  if (!NAME.test(name)) throw new Error(`The name of a log has to be without spaces and "+": ${JSON.stringify(name)}`)
  const key: KeyObject = createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' })
  const raw = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(SPKI.length)
  const keyId = keyIdOf(name, raw)
  return {
    name,
    verifier: verifierKey(name, raw),
    sign: (text) => `— ${name} ${Buffer.concat([keyId, sign(null, Buffer.from(text), key)]).toString('base64')}\n`,
  }
}

export function newSeed (): Buffer {
  return generateKeyPairSync('ed25519').privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(PKCS8.length)
}

/** The text, an empty line, the signatures. The text has to end with a newline. */
export function signNote (text: string, signers: readonly Signer[]): string {
  if (!text.endsWith('\n')) throw new Error('The text of a note has to end with a newline.')
  return `${text}\n${signers.map((signer) => signer.sign(text)).join('')}`
}

/** The text of a note that `verifier` signed. Throws, with what is wrong, for anything else; signatures of others are passed over. */
export const openNote = (note: string, verifier: Verifier): string => openSigned(note, verifier).text

/** As openNote, with the line (newline included) by which `verifier` signed. */
export function openSigned (note: string, verifier: Verifier): { readonly text: string, readonly line: string } {
  const gap = note.lastIndexOf('\n\n')
  if (gap < 0 || !note.endsWith('\n')) throw new Error('This is not a signed note: it has no signatures after an empty line.')
  const text = note.slice(0, gap + 1)
  const lines = note.slice(gap + 2, -1).split('\n')
  for (const line of lines) {
    const match = /^— (\S+) (\S+)$/u.exec(line)
    if (!match) throw new Error(`This is not a signature line: ${JSON.stringify(line.slice(0, 80))}`)
    const bytes = Buffer.from(match[2]!, 'base64')
    if (match[1] !== verifier.name || !bytes.subarray(0, KEY_ID_BYTES).equals(verifier.keyId)) continue
    if (!verifier.verify(text, bytes.subarray(KEY_ID_BYTES))) throw new Error(`The signature of "${verifier.name}" does not fit the text: one of them was altered.`)
    // written anew: what decodes here although it is no clean base64 would not open elsewhere
    return { text, line: `— ${verifier.name} ${bytes.toString('base64')}\n` }
  }
  throw new Error(`The note is not signed by "${verifier.name}" with the key that was given.`)
}

/** The text of a note that one of them signed. Throws as openNote does for the first of them. */
export function openWithAny (note: string, verifiers: readonly Verifier[]): string {
  const failures: unknown[] = []
  for (const verifier of verifiers) {
    try { return openNote(note, verifier) } catch (error) { failures.push(error) }
  }
  throw failures[0]
}

export interface Checkpoint { readonly origin: string, readonly size: number, readonly root: Buffer }

export const checkpointText = ({ origin, size, root }: { readonly origin: string, readonly size: number, readonly root: Uint8Array }): string => `${origin}\n${size}\n${Buffer.from(root).toString('base64')}\n`

/** Throws for a text that is no checkpoint. Further lines are extensions, and allowed. */
export function parseCheckpoint (text: string): Checkpoint {
  const [origin = '', size = '', root = ''] = text.split('\n')
  const bytes = Buffer.from(root, 'base64')
  if (origin === '' || !/^(0|[1-9]\d{0,15})$/.test(size) || bytes.length !== KEY_BYTES || bytes.toString('base64') !== root) throw new Error('This is not a checkpoint: wanted its origin, its size and its root, a line each.')
  return { origin, size: Number(size), root: bytes }
}
