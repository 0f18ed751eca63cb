import t from 'tap'
import { inTurns } from '../../src/evaluation/client/asking.ts'

t.test('voices take turns, each in its own order, and nothing is lost where one has more', async (t) => {
  const jobs = ['a1', 'a2', 'a3', 'b1', 'c1', 'c2']
  t.same(inTurns(jobs, (job) => job[0]!), ['a1', 'b1', 'c1', 'a2', 'c2', 'a3'])
  t.same(inTurns([], String), [])
})
