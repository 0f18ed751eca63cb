import t from 'tap'
import { NO_POSTGRES } from '../fixtures/postgres.ts'
import { chaos } from './rounds.ts'

t.test('PostgreSQL: three rounds of kill -9 under mixed load, of one replica and of both, break none of the invariants (npm run chaos runs thirty)', async (t) => {
  const outcome = await chaos(3, { store: 'postgres', tell: (line) => { t.comment(line) } })
  if (outcome === null) {
    t.pass(NO_POSTGRES, { skip: NO_POSTGRES })
    return
  }
  const { broken, receipts, streams, leaves, interrupted, erased } = outcome
  t.same(broken, [])
  t.ok(receipts > 20 && streams > 50 && interrupted > 0 && erased > 0, `${receipts} receipts, ${streams} streams, ${interrupted} interrupted, ${erased} erased, ${leaves} leaves`)
})
