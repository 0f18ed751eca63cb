/** An audit log in memory that can refuse, or keep what it says it refused. */
import type { AuditLog, LeafDraft, Receipt, StoredRecord } from '../../src/audit/log.ts'

export interface MemoryLog extends AuditLog {
  readonly leaves: LeafDraft[]
  /** `refuse`: rejects and keeps nothing. `lose-answer`: keeps, and rejects all the same. */
  mode: 'accept' | 'refuse' | 'lose-answer'
  /** Called before a leaf is kept. */
  before: (drafts: readonly LeafDraft[]) => void
  closed: boolean
}

export function memoryLog (): MemoryLog {
  const leaves: LeafDraft[] = []
  const unused = (): never => { throw new Error('not part of this fake') }
  const log: MemoryLog = {
    leaves,
    mode: 'accept',
    before: () => {},
    closed: false,
    async append (drafts): Promise<Receipt[]> {
      await new Promise((resolve) => { setImmediate(resolve) })
      log.before(drafts)
      if (log.mode === 'refuse') throw new Error('disk full')
      for (const draft of drafts) {
        if (leaves.some((leaf) => leaf.id === draft.id)) throw new Error(`duplicate leaf ${draft.id}`)
        leaves.push(draft)
      }
      if (log.mode === 'lose-answer') throw new Error('connection lost')
      return drafts.map((draft) => ({ record: draft.id, index: leaves.indexOf(draft), key_seq: null, leaf_hash: '' }))
    },
    async record (id): Promise<StoredRecord | null> {
      const index = leaves.findIndex((leaf) => leaf.id === id)
      return index < 0 ? null : { index, id, leaf: JSON.stringify(leaves[index]), leaf_hash: '', payload: { state: 'none' } }
    },
    open: unused,
    size: () => leaves.length,
    records: unused,
    endsOf: unused,
    health: () => ({ ok: true, lastCommitMs: 0 }),
    close: async () => { log.closed = true },
  }
  return log
}
