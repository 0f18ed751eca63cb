import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { temporary } from '../helper.ts'
import { ask, GREEDY, start } from './running.ts'

t.test('a socket path that cannot be used is a failure that touches nothing, and a stale socket is replaced', async (t) => {
  const folder = temporary(t)
  const taken = join(folder, 'notes.txt')
  writeFileSync(taken, 'mine')
  for (const [socketPath, reason] of [[taken, /not a socket/], [join(folder, 'x'.repeat(120)), /socket path has \d+ bytes/], [join(folder, 'absent', 's'), /cannot listen on its socket \(ENOENT\)|cannot listen on its socket \(EACCES\)/]] as const) {
    const engine = start(t, { socketPath })
    await t.rejects(engine.ready(), { message: reason })
    t.equal(engine.state().status, 'failed')
    await engine.close()
  }
  t.equal(readFileSync(taken, 'utf8'), 'mine')
  const socketPath = join(folder, 's')
  spawnSync(process.execPath, ['-e', `require('net').createServer().listen(${JSON.stringify(socketPath)}, () => process.kill(process.pid, 'SIGKILL'))`])
  t.ok(existsSync(socketPath), 'a killed process leaves its socket')
  const engine = start(t, { socketPath })
  await engine.ready()
  t.equal((await ask(engine, { ...GREEDY, max_tokens: 1 })).status, 200)
})
