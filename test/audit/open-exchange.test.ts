import t from 'tap'
import { openSqliteLog } from '../../src/audit/sqlite.ts'
import { begin, END, everything, note, soundness } from '../contracts/audit-log.ts'
import { temporary, until } from '../helper.ts'

t.test('an exchange whose begin was refused, kept or not, is closed as interrupted with its begin before it: no end stands alone', async (t) => {
  for (const when of ['beforeCommit', 'afterCommit'] as const) {
    for (const choices of [1, 2]) {
      for (const deferMs of [0, 1000]) {
        const faults: { beforeCommit?: () => void, afterCommit?: () => void } = {}
        const log = await openSqliteLog({ directory: temporary(t), limits: { probeMs: 20 }, direct: { faults } })
        faults[when] = () => { throw new Error('disk full') }
        const open = log.open(begin('k_1', { fields: { choices } }), { deferMs })
        await t.rejects(open.end({ ...END, answer: Buffer.from('x') }), { code: 'audit_unavailable' })
        delete faults[when]
        await until(() => log.health().ok)
        if (choices > 1) await open.end({ ...END, choice: 1, answer: Buffer.from('y') })
        await log.append([note()])
        await until(async () => (await everything(log)).filter((one) => JSON.parse(one.leaf).type === 'completion.end').length === choices)
        await soundness(t, log)
        await log.close()
      }
    }
  }
})

t.test('a begin that was refused while the store was away is written with its end, when that comes after the store is back', async (t) => {
  const faults: { beforeCommit?: () => void } = {}
  const log = await openSqliteLog({ directory: temporary(t), limits: { probeMs: 20 }, direct: { faults } })
  faults.beforeCommit = () => { throw new Error('disk full') }
  const open = log.open(begin(), { deferMs: 5 })
  await until(() => !log.health().ok)
  delete faults.beforeCommit
  await until(() => log.health().ok)
  const { index } = await open.end({ ...END, answer: Buffer.from('x') })
  t.equal((await log.record(open.record))!.index, index - 1)
  await soundness(t, log)
  await log.close()
})
