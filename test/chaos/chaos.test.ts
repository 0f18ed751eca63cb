import t from 'tap'
import { chaos } from './rounds.ts'

t.test('SQLite: five rounds of kill -9 under mixed load break none of the invariants (npm run chaos runs thirty)', async (t) => {
  const { broken, receipts, streams, leaves, interrupted, erased } = (await chaos(5, { store: 'sqlite', tell: (line) => { t.comment(line) } }))!
  t.same(broken, [])
  t.ok(receipts > 20 && streams > 50 && interrupted > 0 && erased > 0, `${receipts} receipts, ${streams} streams, ${interrupted} interrupted, ${erased} erased, ${leaves} leaves`)
})
