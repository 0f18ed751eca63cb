import t from 'tap'
import { openSqliteLog } from '../../src/audit/sqlite.ts'
import { begin, END, note, soundness } from '../contracts/audit-log.ts'
import { temporary } from '../helper.ts'

// rows of a group are written several to a statement: what is wrong with one of them must not hide behind another, nor harm it
t.test('a begin that is in the log already, and open, is found out as that in a large group, and the rest of the group is written', async (t) => {
  const log = await openSqliteLog({ directory: temporary(t), direct: {} })
  const draft = begin()
  const exchange = log.open(draft)
  await exchange.begun()
  const [again, ...others] = await Promise.allSettled([log.append([draft]), ...Array.from({ length: 20 }, async () => log.append([note()]))])
  t.match(again, { status: 'rejected', reason: { message: /in the log already/ } })
  t.same([...new Set(others.map(({ status }) => status))], ['fulfilled'])
  await exchange.end(END)
  await soundness(t, log)
  await log.close()
})

t.test('a group of any size is written whole, in its order, each transcript with its leaf', async (t) => {
  const log = await openSqliteLog({ directory: temporary(t), direct: {} })
  for (const size of [1, 7, 8, 9, 16, 25]) {
    const before = log.size()
    const texts = Array.from({ length: size }, (_, at) => `question ${at} of ${size}`)
    const receipts = await Promise.all(texts.map(async (text) => log.append([{ ...note(), payload: Buffer.from(text), owner: { tenant: 'tn_1' } }])))
    t.same(receipts.map(([receipt]) => receipt!.index), texts.map((_, at) => before + at))
    for (const [at, [receipt]] of receipts.entries()) {
      const found = await log.record(receipt!.record)
      t.match(found, { index: before + at, payload: { state: 'present' } })
      t.equal(Buffer.from((found!.payload as { bytes: Uint8Array }).bytes).toString(), texts[at])
    }
  }
  await soundness(t, log)
  await log.close()
})
