import t from 'tap'
import { chaos } from './rounds.ts'

t.test('five rounds of kill -9 under mixed load break none of the seven invariants (npm run chaos runs thirty)', async (t) => {
  const { broken, receipts, streams, leaves, interrupted } = await chaos(5, (line) => { t.comment(line) })
  t.same(broken, [])
  t.ok(receipts > 50 && streams > 50 && interrupted > 0, `${receipts} receipts, ${streams} streams, ${interrupted} interrupted, ${leaves} leaves`)
})
