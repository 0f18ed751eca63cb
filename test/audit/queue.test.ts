import t from 'tap'
import type { Entry } from '../../src/audit/entry.ts'
import { newId } from '../../src/ids.ts'
import type { LeafDraft } from '../../src/audit/log.ts'
import { CommitQueue } from '../../src/audit/queue.ts'
import type { Writer, Written } from '../../src/audit/writer.ts'

const LIMITS = { entries: 1000, bytes: 1e6, probeMs: 1000 }

/** A store whose groups end when the test says so. */
function heldStore () {
  const groups: { readonly entries: readonly Entry[], readonly end: () => void }[] = []
  let index = 0
  const writer: Writer & { size: number } = {
    size: 0,
    write: (entries) => new Promise<Written>((resolve) => {
      groups.push({ entries, end: () => { resolve({ outcomes: entries.map(() => ({ index: index++, keySeq: 1, hash: Buffer.alloc(32) })), size: index, reason: null, checkpoint: null, milliseconds: 1 }) } })
    }),
    probe: async () => ({ reason: null, size: index }),
    rekey: async () => {},
    rewrap: async () => ({ next: null, count: 0 }),
    close: async () => {},
  }
  return { queue: new CommitQueue(writer, LIMITS, new Uint8Array(32)), groups }
}

const draft = (fields: LeafDraft['fields'] = {}): LeafDraft => ({ type: 'feedback', id: newId(), key: 'k_1', fields })
const turn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve) })

async function until (reached: () => boolean): Promise<number> {
  const started = performance.now()
  while (!reached()) {
    if (performance.now() - started > 5000) throw new Error('it never came')
    await turn()
  }
  return performance.now() - started
}

t.test('a caller alone never waits, however patient', async (t) => {
  const { queue, groups } = heldStore()
  for (let at = 1; at <= 3; at++) {
    const receipt = queue.append([draft()], { patient: true })
    // two turns of the loop: one that gathers what it still brings, one that writes
    await turn()
    await turn()
    t.equal(groups.length, at)
    groups.at(-1)!.end()
    await receipt
    await turn()
  }
})

t.test('behind another group patient calls gather, and one that is not patient ends that at once', async (t) => {
  const { queue, groups } = heldStore()
  const first = queue.append([draft()])
  await until(() => groups.length === 1)
  const patient = [queue.append([draft()], { patient: true }), queue.append([draft()], { patient: true })]
  groups[0]!.end()
  await first
  await turn()
  t.equal(groups.length, 1, 'they wait')
  const pressing = queue.append([draft()])
  await until(() => groups.length === 2)
  t.equal(groups[1]!.entries.length, 3, 'all in one group')
  groups[1]!.end()
  await Promise.all([...patient, pressing])
})

t.test('patience ends after some milliseconds', async (t) => {
  const { queue, groups } = heldStore()
  const first = queue.append([draft()])
  await until(() => groups.length === 1)
  const patient = queue.append([draft()], { patient: true })
  groups[0]!.end()
  await first
  t.ok(await until(() => groups.length === 2) < 1000)
  groups[1]!.end()
  await patient
})

t.test('what cannot be a leaf is refused alone: the calls beside it are written', async (t) => {
  const { queue, groups } = heldStore()
  const calls = Promise.allSettled([queue.append([draft()]), queue.append([draft({ notice: 'x'.repeat(70_000) })]), queue.append([draft({ t: 1 })]), queue.append([draft()])])
  await until(() => groups.length === 1)
  t.equal(groups[0]!.entries.length, 2)
  groups[0]!.end()
  const outcomes = await calls
  t.same(outcomes.map(({ status }) => status), ['fulfilled', 'rejected', 'rejected', 'fulfilled'])
  t.match(outcomes[1], { reason: { code: 'invalid_request' } })
  t.match(outcomes[2], { reason: { code: 'internal_error' } })
  // a group of nothing but those is no group
  await t.rejects(queue.append([draft({ t: 1 })]), { code: 'internal_error' })
  t.equal(groups.length, 1)
})
