/** The log's Ed25519 key: made at the first start, kept beside the log, never shown. Its public half is the log's name in the world. */
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { newSeed, signerOf, type Signer } from './note.ts'

const FILE = 'log.key'
const SEED_BYTES = 32
/** Others must not be able to sign in the log's name. */
const FORBIDDEN_MODE = 0o077

/** `origin` names the log in its checkpoints; without one it is named after its key. Throws, for people, where the key cannot be trusted. */
export function logSigner (directory: string, origin?: string): Signer {
  const path = join(directory, FILE)
  if (!existsSync(path)) make(path)
  if ((statSync(path).mode & FORBIDDEN_MODE) !== 0) throw new Error(`The key that signs the log, ${path}, can be read by others. If nobody has, run: chmod 600 ${path}`)
  const seed = readFileSync(path)
  if (seed.length !== SEED_BYTES) throw new Error(`The key that signs the log, ${path}, has ${seed.length} bytes and should have ${SEED_BYTES}. Restore it from a backup: without it the log cannot go on.`)
  return signerFor(seed, origin)
}

/** Named after its key where it has no name. */
export const signerFor = (seed: Uint8Array, origin?: string): Signer =>
  signerOf(origin ?? `parallax.local/${signerOf('x', seed).verifier.slice('x+'.length, 'x+'.length + 8)}`, seed)

/** Whole or not at all: a crash in between leaves no half a key behind. */
function make (path: string): void {
  const draft = `${path}.part`
  const file = openSync(draft, 'w', 0o600)
  writeSync(file, newSeed())
  fsyncSync(file)
  closeSync(file)
  renameSync(draft, path)
}
