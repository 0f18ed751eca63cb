import { randomBytes } from 'node:crypto'
import t from 'tap'
import { openDatabase, type Database } from '../../src/database/database.ts'
import { postgresFeedback } from '../../src/feedback/postgres.ts'
import { newId } from '../../src/ids.ts'
import { feedbackContract } from '../contracts/feedback.ts'
import { feedbackOn } from '../fixtures/feedback-replicas.ts'
import { NO_POSTGRES, startPostgres } from '../fixtures/postgres.ts'

const server = await startPostgres(t)
const skip = server ? false : NO_POSTGRES

t.test('feedback keeps its promise on PostgreSQL', { skip }, (t) => {
  feedbackContract(t, (t) => feedbackOn(server!, t))
  t.end()
})

t.test('who reads the database does not read a comment, and a gateway with another key neither', { skip }, async (t) => {
  const database: Database = await openDatabase(await server!.database(), 2)
  t.teardown(() => database.end())
  const about = { record: newId(), choice: 0, index: 1, perspective: 'conservative', adapterSha256: null }
  const given = { id: newId(), tenant: 't_1', key: 'k_1', at: 1, salt: Buffer.alloc(32), said: { kind: 'rating', rating: 'good', about, comment: 'a very peculiar comment', consent: false, consentVersion: null } } as const
  const store = postgresFeedback(database, randomBytes(32))
  await store.put(given, 'thing')
  t.equal((await store.byId(given.id))!.said.comment, 'a very peculiar comment')
  const { rows } = await database.query<{ all: string }>('SELECT feedback::text AS all FROM parallax.feedback')
  t.notMatch(rows[0]!.all, new RegExp(`peculiar|${Buffer.from('peculiar').toString('hex')}`))
  await t.rejects(postgresFeedback(database, randomBytes(32)).byId(given.id))
})
