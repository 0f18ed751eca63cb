import { readFileSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openSqliteLog } from '../../src/audit/sqlite.ts'
import { sqliteFeedback } from '../../src/feedback/sqlite.ts'
import { newId } from '../../src/ids.ts'
import { feedbackContract } from '../contracts/feedback.ts'
import { temporary } from '../helper.ts'

feedbackContract(t, async (t) => {
  const directory = temporary(t)
  const audit = await openSqliteLog({ directory })
  t.teardown(() => audit.close())
  return async () => ({ audit, store: sqliteFeedback(directory) })
})

t.test('the file is its owner\'s alone, and a comment that was removed is nowhere in it', async (t) => {
  const directory = temporary(t)
  const store = sqliteFeedback(directory)
  const about = { record: newId(), choice: 0, index: 1, perspective: 'conservative', adapterSha256: null }
  const given = { id: newId(), tenant: 't_1', key: 'k_1', at: 1, salt: Buffer.alloc(32), said: { kind: 'rating', rating: 'good', about, comment: 'a very peculiar comment', consent: false, consentVersion: null } } as const
  await store.put(given, 'thing')
  t.equal(statSync(join(directory, 'feedback.db')).mode & 0o777, 0o600)
  const found = (): string[] => readdirSync(directory).filter((name) => readFileSync(join(directory, name)).includes('a very peculiar comment'))
  t.same(found(), ['feedback.db'])
  await store.remove([given.id])
  t.same(found(), [])
  await store.close()
})
