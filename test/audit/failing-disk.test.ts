import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { openSqliteLog } from '../../src/audit/sqlite.ts'
import { soundness, treeIsSound } from '../contracts/audit-log.ts'
import { NO_MOUNT, smallDisk } from '../fixtures/small-disk.ts'
import { temporary } from '../helper.ts'

const WRITER = fileURLToPath(new URL('../fixtures/paced-writer.ts', import.meta.url))
const EXCHANGES = 60

const traceable = spawnSync('strace', ['-f', '-e', 'inject=fdatasync:error=EIO:when=9999', 'true']).status === 0
const skip = traceable || process.env['CI'] === 'true' ? false : 'strace is missing or not allowed here (apt-get install strace)'

/** The kernel's own answers, from the 30th call on and for a while: a file system that went read-only or full, a disk that broke. */
const FAULTS = [
  ['a file system that became read-only', 'pwrite64:error=EROFS:when=80..110'],
  ['a full disk', 'pwrite64:error=ENOSPC:when=80..110'],
  ['a disk whose fsync fails', 'fsync,fdatasync:error=EIO:when=30..38'],
  ['a disk whose fsync fails now and then', 'fsync,fdatasync:error=EIO:when=20+7'],
] as const

for (const [name, inject] of FAULTS) {
  t.test(`${name}: refused while it lasts, then it goes on without a restart, and everything promised is there`, { skip }, async (t) => {
    const directory = join(temporary(t), 'data')
    const { status, stdout, stderr } = spawnSync('/bin/sh', ['-c', 'unset NODE_OPTIONS; exec strace "$@"', 'sh', '-f', '-o', '/dev/null', '-P', join(directory, 'audit.db-wal'), '-e', `trace=${inject.split(':')[0]}`, '-e', `inject=${inject}`, process.execPath, WRITER, directory, String(EXCHANGES)], { encoding: 'utf8', timeout: 100_000 })
    t.equal(status, 0, stderr)
    const lines = stdout.split('\n')
    const refused = lines.filter((line) => line.startsWith('REFUSED'))
    t.ok(refused.length > 0, 'some were refused')
    t.same(refused.filter((line) => !line.includes('audit_unavailable')), [], String(refused[0]))
    t.ok(lines.findLastIndex((line) => line.startsWith('PROMISED end')) > lines.lastIndexOf('AGAIN'), 'and it went on')
    const log = await openSqliteLog({ directory })
    const all = await soundness(t, log)
    const promised = lines.flatMap((line) => { const [, index, hash] = /^PROMISED end (\d+) (\S+)/.exec(line) ?? []; return index === undefined ? [] : [{ index: Number(index), hash }] })
    t.same(promised.filter(({ index, hash }) => all[index]?.leaf_hash !== hash), [], `${promised.length} promised, ${refused.length} refused`)
    await treeIsSound(t, log)
    await log.close()
  })
}

const disk = smallDisk(t, 8)

t.test('a start on a read-only file system is refused in words, and the log is as it was', { skip: disk === null ? NO_MOUNT : false }, async (t) => {
  const directory = join(disk!, 'data')
  await (await openSqliteLog({ directory })).close()
  t.equal(spawnSync('mount', ['-o', 'remount,ro', disk!]).status, 0)
  await t.rejects(openSqliteLog({ directory }), { message: /cannot be written: EROFS.*Make it writable/ })
  t.equal(spawnSync('mount', ['-o', 'remount,rw', disk!]).status, 0)
  const log = await openSqliteLog({ directory })
  await soundness(t, log)
  await log.close()
})
