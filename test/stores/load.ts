/** A busy gateway, for tests that pull the store from under it: what its clients got, and whether all of it is on record in the end. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { QUESTION, until, type Built } from '../helper.ts'
import { audited } from './stores.ts'

const LANES = 8

export interface Load {
  readonly receipts: { record: string, index: number, leaf_hash: string }[]
  readonly refused: Map<string, number>
  stop (): Promise<void>
}

/** Whole answers and streams, side by side, until it is stopped. What came back is kept. */
export function load (t: Test, gateway: Built): Load {
  const receipts: Load['receipts'] = []
  const refused = new Map<string, number>()
  let over = false
  // also where the test fails before it stops it: what failed is then what is told
  t.teardown(() => { over = true })
  const lanes = Array.from({ length: LANES }, async (_, lane) => {
    while (!over) {
      const text = await gateway.ask({ model: lane % 2 ? 'A' : 'B', stream: lane % 4 > 1, messages: QUESTION }).then((reply) => reply.text(), (error: unknown) => { if (over) return ''; throw error })
      const receipt = /"audit":(\{[^}]*\})/.exec(text)
      if (receipt) receipts.push(JSON.parse(receipt[1]!))
      const code = /"code":"(\w+)"/.exec(text)?.[1]
      if (code) {
        refused.set(code, (refused.get(code) ?? 0) + 1)
        await sleep(20)
      }
    }
  })
  return { receipts, refused, async stop () { over = true; await Promise.all(lanes) } }
}

export const ready = async ({ url }: Built): Promise<number> => (await fetch(`${url}/readyz`)).status

/** Everything that was acknowledged is there, nothing stays open, and a stranger finds nothing wrong. */
export async function nothingLost (t: Test, gateway: Built, { receipts, refused }: Load): Promise<void> {
  const settled = await until(async () => {
    const found = await audited(gateway)
    return found.notChecked.some((one) => one.includes('begun and not ended')) ? null : found
  }, 20_000)
  t.same(settled.wrong, [])
  t.same(receipts.filter((one) => settled.lines[one.index]?.leaf_hash !== one.leaf_hash), [], `${receipts.length} receipts, refused: ${JSON.stringify([...refused])}`)
  t.same([...refused.keys()].filter((code) => code !== 'audit_unavailable'), [], 'and refused for no other reason')
}
