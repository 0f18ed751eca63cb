import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openSqliteLog } from '../../src/audit/sqlite.ts'
import { begin, END, note, soundness, treeIsSound } from '../contracts/audit-log.ts'
import { NO_MOUNT, smallDisk } from '../fixtures/small-disk.ts'
import { until } from '../helper.ts'

const disk = smallDisk(t, 3)
const skip = disk === null ? NO_MOUNT : false

t.test('a disk that is really full refuses appends and journal alike, loses nothing that was promised, and is recovered from when there is room again', { skip }, async (t) => {
  const log = await openSqliteLog({ directory: disk!, limits: { probeMs: 50 } })
  const kept: string[] = []
  const open = log.open(begin())
  await open.begun()
  open.chunk(Buffer.from('before the disk was full '))
  const filler = join(disk!, 'filler')
  try { writeFileSync(filler, Buffer.alloc(64 * 1024 * 1024)) } catch { /* as full as it gets */ }
  let refused: unknown
  for (let at = 0; at < 50 && !refused; at++) await log.append([note('k_1', { payload: Buffer.alloc(20_000, at) })]).then(([receipt]) => kept.push(receipt!.leaf_hash), (error: unknown) => { refused = error })
  t.match(refused, { code: 'audit_unavailable' })
  t.match(log.health(), { ok: false })
  let unsent: unknown
  try { for (let at = 0; at < 50; at++) open.chunk(Buffer.alloc(20_000)) } catch (error) { unsent = error }
  t.match(unsent, { code: 'audit_unavailable' }, 'what cannot be journalled is not sent')
  rmSync(filler)
  await until(() => log.health().ok)
  await open.end(END)
  const all = await soundness(t, log)
  for (const hash of kept) t.ok(all.some((one) => one.leaf_hash === hash), 'an acknowledged leaf')
  await treeIsSound(t, log)
  await log.close()
  const again = await openSqliteLog({ directory: disk! })
  await soundness(t, again)
  await again.close()
})
