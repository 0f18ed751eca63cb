/** As much of an audit log as keys use, in memory: it can refuse, or keep what it says it refused. What is not here fails by its absence. */
import type { AuditLog, LeafDraft } from '../../src/audit/log.ts'

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
  const log: Pick<MemoryLog, 'leaves' | 'mode' | 'before' | 'closed' | 'append' | 'record' | 'close'> = {
    leaves,
    mode: 'accept',
    before: () => {},
    closed: false,
    async append (drafts) {
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
    async record (id) {
      const index = leaves.findIndex((leaf) => leaf.id === id)
      return index < 0 ? null : { index, id, leaf: JSON.stringify(leaves[index]), leaf_hash: '', payload: { state: 'none' } }
    },
    close: async () => { log.closed = true },
  }
  return log as MemoryLog
}
