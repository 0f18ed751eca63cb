/** A file of its own, and so a time limit of its own: each of these opens a log. */
import t from 'tap'
import { feedbackContract } from '../contracts/feedback.ts'
import { feedbackOn } from '../fixtures/feedback-replicas.ts'
import { NO_PGBOUNCER, startPgbouncer } from '../fixtures/pgbouncer.ts'
import { NO_POSTGRES, startPostgres } from '../fixtures/postgres.ts'

const server = await startPostgres(t)
const pooled = server && await startPgbouncer(t, server)

t.test('feedback keeps its promise through a pooler in transaction mode', { skip: server ? pooled ? false : NO_PGBOUNCER : NO_POSTGRES }, (t) => {
  feedbackContract(t, (t) => feedbackOn(server!, t, pooled!))
  t.end()
})
