/** Holds what clients were given against the log of a gateway that was killed. The invariants are named in `Broken`. */
import { setTimeout as sleep } from 'node:timers/promises'
import { RightEdge } from '../../src/audit/merkle.ts'
import { openNote, parseVerifier } from '../../src/audit/note.ts'
import { verifyExport } from '../../src/audit/verify.ts'
import type { Gateway } from './gateway.ts'
import { remember, type Seen } from './load.ts'

export interface Broken {
  readonly round: number
  readonly invariant:
    | 'receipts' | 'indices' | 'checkpoints' | 'one root a size' | 'open records' | 'key_seq' | 'prefix'
    /** What was erased is gone, and nothing else; what is held is not. */
    | 'erasure'
    /** `parallax verify` finds nothing wrong. */
    | 'stranger'
    /** No expert goes on for nobody. */
    | 'generations'
    | 'replies'
  readonly what: string
}

export interface Counted { readonly receipts: number, readonly streams: number, readonly leaves: number, readonly interrupted: number, readonly erased: number }

interface Line { readonly index: number, readonly id: string, readonly leaf: string, readonly leaf_hash: string, readonly payload: { readonly state: string, readonly text?: string } }

const CLOSING_MS = 10_000

/** The bytes that the log commits to: without the receipt, and without comments. */
const bare = (text: string): string => text.replace(/,"audit":\{[^}]*\}/, '').replaceAll(/^: parallax\n\n/gm, '')

/** An export's lines, the manifest last. Pulled again while records are open: a replica that lives may still be closing what its clients left. */
async function pulled (gateway: Gateway): Promise<string[]> {
  for (const end = Date.now() + CLOSING_MS; ; await sleep(100)) {
    const lines = (await (await gateway.call('auditor', '/audit/v1/export')).text()).trimEnd().split('\n')
    const open = new Set<string>()
    for (const line of lines.slice(0, -1)) {
      const leaf = JSON.parse((JSON.parse(line) as Line).leaf) as { type: string, id: string, begin: string }
      if (leaf.type === 'completion.begin') open.add(leaf.id)
      if (leaf.type === 'completion.end') open.delete(leaf.begin)
    }
    if (open.size === 0 || Date.now() > end) return lines
  }
}

export async function check (round: number, gateway: Gateway, seen: Seen, broken: Broken[]): Promise<Counted> {
  const blame = (invariant: Broken['invariant'], what: string): void => { broken.push({ round, invariant, what }) }
  for (const what of seen.impossible.splice(0)) blame('replies', what)
  const { verifier } = await (await fetch(`${gateway.url}/audit/v1/log`)).json() as { verifier: string }
  const note = await (await fetch(`${gateway.url}/audit/v1/log/checkpoint`)).text()
  openNote(note, parseVerifier(verifier))
  const twice = remember(seen, note)
  if (twice) blame('one root a size', twice)
  const lines = await pulled(gateway)
  for (const what of (await verifyExport((async function * () { yield * lines })(), { verifier, kept: note })).wrong) blame('stranger', what)
  lines.pop()

  const edge = new RightEdge()
  const hashes: string[] = []
  const open = new Set<string>()
  const answers = new Map<string, Line['payload']>()
  const questions = new Map<string, string>()
  const keySeqs = new Map<string, number>()
  let interrupted = 0
  for (const [at, line] of lines.entries()) {
    const one = JSON.parse(line) as Line
    const leaf = JSON.parse(one.leaf) as { type: string, key: string | null, key_seq: number, begin: string, status: string }
    if (one.index !== at) { blame('indices', `${one.index} at ${at}`); break }
    hashes.push(one.leaf_hash)
    edge.append(Buffer.from(one.leaf_hash, 'base64'))
    const known = seen.checkpoints.get(edge.size)
    if (known !== undefined && known !== Buffer.from(edge.root()).toString('base64')) blame('checkpoints', `the checkpoint of ${edge.size} leaves is not of this log`)
    if (leaf.key !== null) {
      if (leaf.key_seq !== (keySeqs.get(leaf.key) ?? 0) + 1) blame('key_seq', `${leaf.key_seq} after ${keySeqs.get(leaf.key)}`)
      keySeqs.set(leaf.key, leaf.key_seq)
    }
    if (leaf.type === 'completion.begin') {
      open.add(one.id)
      questions.set(one.id, one.payload.state)
    }
    if (leaf.type === 'completion.end') {
      open.delete(leaf.begin)
      answers.set(leaf.begin, one.payload)
      if (leaf.status === 'interrupted') interrupted++
    }
  }
  if (open.size > 0) blame('open records', `${open.size} are open`)
  for (const receipt of seen.receipts) if (hashes[receipt.index] !== receipt.leaf_hash) blame('receipts', `the receipt of ${receipt.record} is not in the log`)
  for (const [record, text] of seen.texts) {
    const kept = answers.get(record)
    const states = [questions.get(record), kept?.state]
    if (seen.erased.has(record) && states.some((state) => state !== 'erased')) blame('erasure', `${record} was erased and is ${states.join(', ')}`)
    if (!seen.erasing.has(record) && states.some((state) => state !== 'present')) blame('erasure', `nobody erased ${record}, and it is ${states.join(', ')}`)
    if (kept?.state === 'erased') continue
    // of a receipt cut in half the client has bytes that the log cannot commit to
    const whole = bare(text).replace(/,"audit":[^\n]*$/, '')
    if (!kept?.text?.startsWith(whole)) blame('prefix', `${record}: the client has ${whole.length} bytes, the log ${kept?.text?.length ?? 'none'}: ${JSON.stringify(text.slice(0, 160))}`)
  }
  return { receipts: seen.receipts.length, streams: seen.texts.size, leaves: lines.length, interrupted, erased: seen.erased.size }
}
