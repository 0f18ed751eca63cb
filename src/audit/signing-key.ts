/**
 * The log's Ed25519 key: made at the first start, kept beside the log, never shown. Its public half is the log's name in the world.
 * When it is changed, the one before is remembered by its public half: what it has signed stays signed.
 */
import { existsSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { tooOpen, writePrivate } from '../private-file.ts'
import type { LogIdentity } from './edge-check.ts'
import { newSeed, signerOf, type Signer } from './note.ts'

const FILE = 'log.key'
const NEXT = 'log.key.next'
/** Public halves of keys that signed before, one a line. */
const PREVIOUS = 'log.key.previous'
/** The name, once it can no longer be told from the key. */
const ORIGIN = 'log.origin'
const SEED_BYTES = 32

export type LogSigner = Signer & LogIdentity

const linesOf = (path: string): string[] => existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter((line) => line !== '') : []

/** `origin` names the log in its checkpoints; without one it is named after its first key. Throws, for people, where the key cannot be trusted. */
export function logSigner (directory: string, origin?: string): LogSigner {
  const path = join(directory, FILE)
  // whole or not at all: a crash in between leaves no half a key behind
  if (!existsSync(path)) writePrivate(path, newSeed())
  if (tooOpen(path) !== null) throw new Error(`The key that signs the log, ${path}, can be read by others. If nobody has, run: chmod 600 ${path}`)
  const seed = readFileSync(path)
  if (seed.length !== SEED_BYTES) throw new Error(`The key that signs the log, ${path}, has ${seed.length} bytes and should have ${SEED_BYTES}. Restore it from a backup: without it the log cannot go on.`)
  return signerFor(seed, origin ?? linesOf(join(directory, ORIGIN))[0], linesOf(join(directory, PREVIOUS)))
}

/** Named after its key where it has no name. */
export function signerFor (seed: Uint8Array, origin?: string, previous: readonly string[] = []): LogSigner {
  const signer = signerOf(origin ?? `parallax.local/${signerOf('x', seed).verifier.slice('x+'.length, 'x+'.length + 8)}`, seed)
  return { ...signer, previous }
}

/** The key that is to follow, under the same name: made once, kept until it is adopted. */
export function nextLogKey (directory: string, present: LogSigner): LogSigner {
  const path = join(directory, NEXT)
  if (!existsSync(path)) writePrivate(path, newSeed())
  return signerFor(readFileSync(path), present.name, [...present.previous, present.verifier])
}

/** From here on the log is signed by the next key. A crash at any point leaves a log that opens: with the old key, or with the new one. */
export function adoptNextLogKey (directory: string, present: LogSigner): void {
  writePrivate(join(directory, ORIGIN), `${present.name}\n`)
  writePrivate(join(directory, PREVIOUS), [...present.previous, present.verifier, ''].join('\n'))
  renameSync(join(directory, NEXT), join(directory, FILE))
}
