/**
 * Kills the real gateway with `kill -9` under mixed load, again and again, and holds what its clients were given against its log.
 * The seven invariants are named in `Broken`.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { RightEdge } from '../../src/audit/merkle.ts'
import { openNote, parseCheckpoint, parseVerifier } from '../../src/audit/note.ts'
import { answer, startUpstream, type Upstream } from '../fixtures/upstream.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const FIXTURES = fileURLToPath(new URL('../fixtures/', import.meta.url))
const LANES = 12

export interface Broken { readonly round: number, readonly invariant: 'receipts' | 'indices' | 'checkpoints' | 'one root a size' | 'open records' | 'key_seq' | 'prefix', readonly what: string }
export interface Outcome { readonly broken: Broken[], readonly receipts: number, readonly streams: number, readonly leaves: number, readonly interrupted: number }

interface Receipt { readonly record: string, readonly index: number, readonly leaf_hash: string }
interface Seen { readonly receipts: Receipt[], readonly texts: Map<string, string>, readonly checkpoints: Map<number, string> }

class Gateway {
  readonly #env: Record<string, string>
  #child: ChildProcess | undefined
  url = ''

  constructor (env: Record<string, string>) { this.#env = env }

  async start (): Promise<void> {
    const child = this.#child = spawn(process.execPath, [join(ROOT, 'src/server.ts')], { cwd: ROOT, env: { PATH: process.env['PATH'] ?? '', PORT: '0', PARALLAX_MODEL: 'none', LOG_LEVEL: 'error', ...this.#env }, stdio: ['ignore', 'pipe', 'pipe'] })
    let told = ''
    this.url = await new Promise((resolve, reject) => {
      child.stdout.on('data', (part) => { told += part; const found = /listens on (\S+)/.exec(told); if (found) resolve(found[1]!) })
      child.stderr.on('data', (part) => { told += part })
      child.once('exit', () => { reject(new Error(`The gateway did not start: ${told.slice(-500)}`)) })
    })
  }

  async kill (): Promise<void> {
    const child = this.#child!
    const gone = new Promise((resolve) => { child.once('exit', resolve) })
    child.kill('SIGKILL')
    await gone
  }
}

/** Rounds of load, kill, restart, check. `tell` is called after each. */
export async function chaos (rounds: number, tell: (line: string) => void = () => {}): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'plx-chaos-'))
  const expert: Upstream = await startUpstream()
  let turn = 0
  expert.reply(() => answer(turn++ % 3 === 0 ? { delay: 3 } : {}))
  const file = join(folder, 'parallax.json')
  const experts = Object.fromEntries(['progressive', 'conservative'].map((id) => [id, { wire: 'openai', baseUrl: expert.url, model: 'mock' }]))
  writeFileSync(file, JSON.stringify({ perspectives: [join(FIXTURES, 'perspectives')], engine: { enabled: false }, experts }))
  const dataDir = join(folder, 'data')
  const gateway = new Gateway({ DATA_DIR: dataDir, PARALLAX_CONFIG: file })
  const seen: Seen = { receipts: [], texts: new Map(), checkpoints: new Map() }
  const outcome = { broken: [] as Broken[], receipts: 0, streams: 0, leaves: 0, interrupted: 0 }
  try {
    await gateway.start()
    for (let round = 1; round <= rounds; round++) {
      const keys = JSON.parse(readFileSync(join(dataDir, 'keys.json'), 'utf8')) as Record<'app' | 'auditor', string>
      const stop = { now: false }
      const load = Array.from({ length: LANES }, (_, lane) => client(gateway.url, keys.app, lane, seen, stop))
      await sleep(150 + Math.random() * 500)
      await gateway.kill()
      stop.now = true
      await Promise.all(load)
      await gateway.start()
      Object.assign(outcome, await check(round, gateway.url, keys.auditor, seen, outcome.broken))
      tell(`round ${round}: ${outcome.leaves} leaves, ${outcome.receipts} receipts and ${outcome.streams} streams held against them, ${outcome.interrupted} interrupted, ${outcome.broken.length} broken`)
    }
    return outcome
  } finally {
    await gateway.kill().catch(() => {})
    await expert.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Asks until it is told to stop: whole answers, streams, streams that it leaves, and the checkpoint now and then. */
async function client (url: string, key: string, lane: number, seen: Seen, stop: { now: boolean }): Promise<void> {
  for (let turn = 0; !stop.now; turn++) {
    const leaving = new AbortController()
    let record = ''
    let text = ''
    try {
      const kind = (lane + turn) % 4
      if (kind === 3 && lane === 0) {
        const note = await (await fetch(`${url}/audit/v1/log/checkpoint`)).text()
        remember(seen, note)
      }
      const reply = await fetch(`${url}/v1/chat/completions`, {
        method: 'POST', signal: leaving.signal, headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: JSON.stringify({ model: lane % 2 ? 'A' : 'B', stream: kind !== 0, messages: [{ role: 'user', content: `lane ${lane}, turn ${turn}` }] }),
      })
      record = reply.headers.get('x-audit-record') ?? ''
      const decoder = new TextDecoder()
      for await (const part of reply.body!) {
        text += decoder.decode(part as Uint8Array, { stream: true })
        if (kind === 2 && text.length > 600) leaving.abort()
      }
    } catch { /* it was killed, or left */ }
    const receipt = /"audit":(\{[^}]*\})/.exec(text)
    if (receipt) seen.receipts.push(JSON.parse(receipt[1]!) as Receipt)
    // an error in the place of an answer stands in the leaf by its code
    if (record !== '' && text !== '' && !text.startsWith('{"error"')) seen.texts.set(record, text)
    if (record === '') await sleep(20)
  }
}

const remember = (seen: Seen, note: string): string | null => {
  const { size, root } = parseCheckpoint(note)
  const known = seen.checkpoints.get(size)
  seen.checkpoints.set(size, root.toString('base64'))
  return known !== undefined && known !== root.toString('base64') ? `two roots for ${size} leaves` : null
}

/** The bytes that the log commits to: without the receipt, and without comments. */
const bare = (text: string): string => text.replace(/,"audit":\{[^}]*\}/, '').replaceAll(/^: parallax\n\n/gm, '')

async function check (round: number, url: string, auditor: string, seen: Seen, broken: Broken[]): Promise<Omit<Outcome, 'broken'>> {
  const blame = (invariant: Broken['invariant'], what: string): void => { broken.push({ round, invariant, what }) }
  const note = await (await fetch(`${url}/audit/v1/log/checkpoint`)).text()
  const { verifier } = await (await fetch(`${url}/audit/v1/log`)).json() as { verifier: string }
  openNote(note, parseVerifier(verifier))
  const twice = remember(seen, note)
  if (twice) blame('one root a size', twice)
  const lines = (await (await fetch(`${url}/audit/v1/export`, { headers: { authorization: `Bearer ${auditor}` } })).text()).trimEnd().split('\n')
  lines.pop()
  const edge = new RightEdge()
  const hashes: string[] = []
  const open = new Set<string>()
  const answers = new Map<string, string>()
  const keySeqs = new Map<string, number>()
  let interrupted = 0
  for (const [at, line] of lines.entries()) {
    const one = JSON.parse(line) as { index: number, id: string, leaf: string, leaf_hash: string, payload: { text?: string } }
    const leaf = JSON.parse(one.leaf) as { type: string, key: string | null, key_seq: number, begin: string, status: string }
    if (one.index !== at) { blame('indices', `${one.index} at ${at}`); break }
    hashes.push(`${one.leaf_hash}`)
    edge.append(Buffer.from(one.leaf_hash, 'base64'))
    const known = seen.checkpoints.get(edge.size)
    if (known !== undefined && known !== Buffer.from(edge.root()).toString('base64')) blame('checkpoints', `the checkpoint of ${edge.size} leaves is not of this log`)
    if (leaf.key !== null) {
      if (leaf.key_seq !== (keySeqs.get(leaf.key) ?? 0) + 1) blame('key_seq', `${leaf.key_seq} after ${keySeqs.get(leaf.key)}`)
      keySeqs.set(leaf.key, leaf.key_seq)
    }
    if (leaf.type === 'completion.begin') open.add(one.id)
    if (leaf.type === 'completion.end') {
      open.delete(leaf.begin)
      answers.set(leaf.begin, one.payload.text ?? '')
      if (leaf.status === 'interrupted') interrupted++
    }
  }
  if (open.size > 0) blame('open records', `${open.size} are open`)
  for (const receipt of seen.receipts) if (hashes[receipt.index] !== receipt.leaf_hash) blame('receipts', `the receipt of ${receipt.record} is not in the log`)
  for (const [record, text] of seen.texts) {
    const kept = answers.get(record)
    // of a receipt cut in half the client has bytes that the log cannot commit to
    const whole = bare(text).replace(/,"audit":[^\n]*$/, '')
    if (kept === undefined || !kept.startsWith(whole)) blame('prefix', `${record}: the client has ${whole.length} bytes, the log ${kept?.length ?? 'none'}: ${JSON.stringify(text.slice(0, 160))}`)
  }
  return { receipts: seen.receipts.length, streams: seen.texts.size, leaves: lines.length, interrupted }
}
