/**
 * The key-encryption keys: what opens every transcript. From the environment, from a file that the operator names, or from
 * `kek.keys` in the data directory, made at the first start. The first is the current one; those behind it only open what is old.
 */
import { createSecretKey, hash, randomBytes, type KeyObject } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { tooOpen, writePrivate } from '../../private-file.ts'

const KEY_BYTES = 32
const FILE = 'kek.keys'
const ID_HEX = 16

export interface Kek {
  /** 16 hex digits of the key's SHA-256 under a label: names it in the store and in the log, and says nothing of it. */
  readonly id: string
  readonly key: KeyObject
  readonly raw: Uint8Array
}

export interface Keyring {
  readonly current: Kek
  readonly all: readonly Kek[]
  find (id: string): Kek | undefined
}

export function kekOf (raw: Uint8Array): Kek {
  return { id: hash('sha256', Buffer.concat([Buffer.from('parallax kek id\0'), raw])).slice(0, ID_HEX), key: createSecretKey(raw), raw }
}

export function keyringOf (raws: readonly Uint8Array[]): Keyring {
  const all = raws.map(kekOf)
  const byId = new Map(all.map((kek) => [kek.id, kek]))
  return { current: all[0]!, all, find: (id) => byId.get(id) }
}

/** `text`: keys in base64, divided by commas or line ends. Throws, for people; never repeats what it read. */
function parse (text: string, where: string): Uint8Array[] {
  const raws = text.split(/[,\s]+/).filter((one) => one !== '').map((one) => Buffer.from(one, 'base64'))
  for (const [at, raw] of raws.entries()) {
    if (raw.length !== KEY_BYTES) throw new Error(`Key ${at + 1} in ${where} has ${raw.length} bytes and should have ${KEY_BYTES}, in base64. Make one with: openssl rand -base64 32`)
  }
  if (raws.length === 0) throw new Error(`There is no key in ${where}. Make one with: openssl rand -base64 32`)
  return raws
}

export interface KekOptions {
  /** Keys in base64, the current one first; wins over the file. */
  readonly keys?: string | undefined
  /** A file of such keys, one a line, which the operator keeps. Absent: `kek.keys` in the data directory. */
  readonly file?: string | undefined
}

/** Where the keys come from, and, if that is a file of ours, how they are changed. */
export interface KekSource {
  readonly ring: Keyring
  /** Null where the operator keeps the keys: then only they can rotate them. */
  readonly keep: ((raws: readonly Uint8Array[]) => void) | null
  readonly where: string
}

/** Throws, for people, where a key is malformed, or where its file can be read by others. */
export function readKeks (directory: string, { keys, file }: KekOptions = {}): KekSource {
  if (keys !== undefined) return { ring: keyringOf(parse(keys, 'PARALLAX_KEK')), keep: null, where: 'PARALLAX_KEK' }
  const path = file ?? join(directory, FILE)
  if (!existsSync(path)) {
    if (file !== undefined) throw new Error(`The file of key-encryption keys, ${path}, is not there. Make it with: openssl rand -base64 32 > ${path} && chmod 600 ${path}`)
    // a log that has transcripts already refuses the new key by its own account of the keys in use
    keepIn(path)([randomBytes(KEY_BYTES)])
  }
  const mode = tooOpen(path)
  if (mode !== null) throw new Error(`The key-encryption keys ${path} can be read by others (mode ${mode}). If nobody did, run: chmod 600 ${path}`)
  return { ring: keyringOf(parse(readFileSync(path, 'utf8'), path)), keep: file === undefined ? keepIn(path) : null, where: path }
}

const keepIn = (path: string) => (raws: readonly Uint8Array[]): void => {
  writePrivate(path, `${raws.map((raw) => Buffer.from(raw).toString('base64')).join('\n')}\n`)
}

export const newKek = (): Uint8Array => randomBytes(KEY_BYTES)
