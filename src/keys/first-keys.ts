/**
 * The first start: one key of each scope for whoever sits at this machine, in keys.json (mode 0600), and how to use them.
 * Only where nobody else can reach the gateway: on another address keys are asked for, never made by themselves.
 * Knows nothing of HTTP or of how keys are stored.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { randomBytes } from 'node:crypto'
import { SCOPES } from './keys.ts'
import type { KeyStore } from './keys.ts'
import { renameDurably, writePrivate } from '../private-file.ts'

/**
 * `made`: keys.json was written now. `present`: there are keys already. `stale`: a keys.json whose keys this store does not know.
 * `wanted`: no key exists, and none may be made on an address that others reach.
 */
export type FirstStart = 'made' | 'present' | 'stale' | 'wanted'

export interface FirstKeysOptions {
  readonly store: Pick<KeyStore, 'find' | 'list' | 'prepare'>
  readonly directory: string
  /** Only this machine can reach the gateway. */
  readonly loopback: boolean
}

const FILE = 'keys.json'
/** Holds the secrets while their keys are being made; renamed to keys.json once they work. */
const DRAFT = 'keys.json.part'

/** The keys that a draft holds, if all of them work. */
function works (path: string, store: Pick<KeyStore, 'find'>): boolean {
  try {
    const kept = JSON.parse(readFileSync(path, 'utf8')) as Record<string, string> | null
    return SCOPES.every((scope) => store.find(kept?.[scope] ?? '')?.scopes.has(scope))
  } catch {
    return false
  }
}

/**
 * Makes the first keys where they are due. A crash at any point leaves either a complete keys.json to be found by the next start,
 * or none and no working key. Throws what the store throws (`audit_unavailable`): then nothing was made.
 */
export async function firstKeys ({ store, directory, loopback }: FirstKeysOptions): Promise<FirstStart> {
  const file = join(directory, FILE)
  const draft = join(directory, DRAFT)
  if (existsSync(file)) return store.list().length > 0 ? 'present' : 'stale'
  if (existsSync(draft)) {
    // a start that crashed: the keys of a draft are made together, so either all of them work or none was ever made
    if (works(draft, store)) {
      renameDurably(draft, file)
      return 'made'
    }
    rmSync(draft)
  }
  if (store.list().length > 0) return 'present'
  if (!loopback) return 'wanted'
  const tenant = `t_${randomBytes(6).toString('hex')}`
  const prepared = store.prepare(SCOPES.map((scope) => ({ scopes: [scope], tenant, name: `first ${scope} key` })), null)
  const secrets = Object.fromEntries(SCOPES.map((scope, place) => [scope, prepared.keys[place]!.secret]))
  writePrivate(draft, `${JSON.stringify(secrets, null, 2)}\n`)
  try {
    await prepared.commit()
  } catch (error) {
    rmSync(draft, { force: true })
    throw error
  }
  renameDurably(draft, file)
  return 'made'
}

const QUESTION = 'What is your opinion on universal healthcare?'
/** What stands in double quotes unharmed in every shell, and in single quotes in JavaScript. */
const PLAIN_PATH = /^[\w./ @+,:=~-]+$/

/**
 * A command that hands a key to curl through a pipe: neither this text nor the process list shows the secret,
 * and it needs no jq and reads alike in sh, bash, zsh, fish and PowerShell 7.
 */
function curl (keys: string, scope: string, rest: string): string {
  return `node -p "'Authorization: Bearer ' + require('${keys}').${scope}" | curl -sS -i -H @- ${rest}`
}

/** What to tell the person who started the gateway, or null where there is nothing to tell. `origin` is where it listens. */
export function welcome (outcome: FirstStart, { directory, origin, from = process.cwd() }: { directory: string, origin: string, from?: string }): string | null {
  const file = join(directory, FILE)
  if (outcome === 'present') return existsSync(file) ? `Keys of each scope (${SCOPES.join(', ')}) are in ${file}.` : null
  if (outcome === 'stale') return `${file} is there, but its keys are unknown here. Remove it and start again for new ones, or run: npm run parallax -- keys create --scope app`
  if (outcome === 'wanted') {
    return [
      'There are no keys yet, and none are made by themselves on an address that other machines reach. To make them, run:',
      ...SCOPES.map((scope) => `  npm run parallax -- keys create --scope ${scope} --name "first ${scope} key"`),
    ].join('\n')
  }
  const inside = relative(from, file)
  const keys = (inside.startsWith('..') || inside === file ? file : `./${inside}`).split(sep).join('/')
  if (!PLAIN_PATH.test(keys)) return `Keys of each scope (${SCOPES.join(', ')}) are in ${file}.`
  const ask = (model: string): string => curl(keys, 'app', `${origin}/v1/chat/completions -H "Content-Type: application/json" -d '${JSON.stringify({ model, messages: [{ role: 'user', content: QUESTION }] })}'`)
  return [
    `Keys of each scope (${SCOPES.join(', ')}) were made for you: ${file}`,
    'Auditors of this gateway, you among them, can read what is asked and answered here.',
    '', 'Ask one side, and the other:', ask('progressive'), ask('conservative'),
    '', 'Read what was recorded:', curl(keys, 'auditor', `"${origin}/audit/v1/records?limit=10"`),
  ].join('\n')
}
