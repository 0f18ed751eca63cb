/** What a gateway under chaos is asked: whole answers, streams, streams that are left, erasures, a rotated key. Remembers what came back. */
import { setTimeout as sleep } from 'node:timers/promises'
import { parseCheckpoint } from '../../src/audit/note.ts'
import type { Gateway } from './gateway.ts'

export interface Receipt { readonly record: string, readonly index: number, readonly leaf_hash: string }

export interface Seen {
  readonly receipts: Receipt[]
  /** What the client had of each answer, by record. */
  readonly texts: Map<string, string>
  /** Roots by size. */
  readonly checkpoints: Map<number, string>
  /** Erasures that were asked for, and those that were confirmed. */
  readonly erasing: Set<string>
  readonly erased: Set<string>
  /** The record under a hold. */
  held: string | null
  /** What must never come back from a gateway. */
  readonly impossible: string[]
}

export const nothingSeen = (): Seen => ({ receipts: [], texts: new Map(), checkpoints: new Map(), erasing: new Set(), erased: new Set(), held: null, impossible: [] })

/** Not null where another root was seen for that size. */
export function remember ({ checkpoints }: Seen, note: string): string | null {
  const { size, root } = parseCheckpoint(note)
  const text = root.toString('base64')
  const known = checkpoints.get(size)
  checkpoints.set(size, text)
  return known !== undefined && known !== text ? `two roots for ${size} leaves` : null
}

/** Asks until it is told to stop: whole answers, streams, streams that it leaves, and the checkpoint now and then. */
export async function client (gateway: Gateway, lane: number, seen: Seen, stop: { now: boolean }): Promise<void> {
  for (let turn = 0; !stop.now; turn++) {
    const leaving = new AbortController()
    let record = ''
    let text = ''
    try {
      const kind = (lane + turn) % 4
      if (kind === 3 && lane < 2) {
        const twice = remember(seen, await (await fetch(`${gateway.url}/audit/v1/log/checkpoint`)).text())
        if (twice) seen.impossible.push(twice)
      }
      const reply = await gateway.call('app', '/v1/chat/completions', { model: lane % 2 ? 'A' : 'B', stream: kind !== 0, messages: [{ role: 'user', content: `lane ${lane}, turn ${turn}` }] }, leaving.signal)
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

/** Erases one answer after another, tries the held one, and rotates the key that seals them all where the gateway keeps it. */
export async function eraser (gateway: Gateway, seen: Seen, stop: { now: boolean }, rotates: boolean): Promise<void> {
  for (let turn = 0; !stop.now; turn++) {
    await sleep(30)
    try {
      if (seen.held !== null && turn % 4 === 0) {
        const reply = await gateway.call('admin', '/admin/v1/erasures', { record: seen.held, reason: 'chaos' })
        if (reply.status !== 409 && reply.status !== 503) seen.impossible.push(`a held record was not refused: ${reply.status}`)
        continue
      }
      if (rotates && turn % 6 === 5) {
        await (await gateway.call('admin', '/admin/v1/sealing/rotate', {})).text()
        continue
      }
      const record = [...seen.texts.keys()].findLast((one) => one !== seen.held && !seen.erasing.has(one))
      if (record === undefined) continue
      seen.erasing.add(record)
      const reply = await gateway.call('admin', '/admin/v1/erasures', { record, reason: 'chaos' })
      const { records } = await reply.json() as { records?: number }
      if (reply.status === 200 && records === 1) seen.erased.add(record)
    } catch { /* it was killed */ }
  }
}
