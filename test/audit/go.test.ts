import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { goProgram, noGo } from '../fixtures/go.ts'
import { build, temporary } from '../helper.ts'

t.test('Go\'s own transparency-log packages accept our log, and find one flipped byte anywhere', { skip: noGo, timeout: 240_000 }, async (t) => {
  const binary = await goProgram(t, '.')
  const gateway = await build(t)
  const { verifier } = gateway.services.audit.tree
  const leaves = (count: number) => gateway.services.audit.append(Array.from({ length: count }, () => ({ type: 'feedback' as const, id: crypto.randomUUID(), key: 'k_1', fields: { n: count } })))
  await leaves(100)
  const kept = join(temporary(t), 'checkpoint')
  writeFileSync(kept, gateway.services.audit.tree.checkpoint())
  await leaves(700)

  /** Passes everything on; `alter` may change what comes back. */
  let alter: (path: string, bytes: Buffer) => Buffer = (_path, bytes) => bytes
  const between = createServer((request, response) => {
    void fetch(`${gateway.url}${request.url}`, { headers: { ...(request.headers.authorization && { authorization: request.headers.authorization }) } })
      .then(async (reply) => response.writeHead(reply.status).end(alter(request.url!, Buffer.from(await reply.arrayBuffer()))))
  })
  await new Promise<void>((resolve) => { between.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { between.closeAllConnections(); between.close() })
  const base = `http://127.0.0.1:${(between.address() as AddressInfo).port}/audit/v1/log`
  const check = () => promisify(execFile)(binary, [base, verifier, gateway.keys.auditor, kept], { timeout: 30_000 }).then(({ stdout }) => stdout, (error: { stderr: string }) => error.stderr)

  t.match(await check(), /^8\d\d leaves, 8\d\d entries checked/)

  const flip = (bytes: Buffer, at: number): Buffer => { const copy = Buffer.from(bytes); copy[at]! ^= 1; return copy }
  const cases: [string, RegExp, (bytes: Buffer) => number][] = [
    ['the size in a checkpoint', /checkpoint$/, (bytes) => bytes.indexOf('\n') + 1],
    ['the root in a checkpoint', /checkpoint$/, (bytes) => bytes.indexOf('\n', bytes.indexOf('\n') + 1) + 5],
    ['a signature', /checkpoint$/, (bytes) => bytes.length - 20],
    ['a full tile', /tile\/0\/001$/, () => 7],
    ['a part of a tile', /tile\/0\/003\.p\//, (bytes) => bytes.length - 1],
    ['a higher tile', /tile\/1\/000\.p\//, () => 40],
    ['an entry', /tile\/entries\/002$/, () => 900],
    ['a proof', /proof\/0$/, () => 40],
  ]
  for (const [name, path, where] of cases) {
    alter = (url, bytes) => path.test(url) ? flip(bytes, where(bytes)) : bytes
    t.match(await check(), /^(checkpoint|tiles|entries|proof of \d+|consistency): /, name)
  }
  alter = (_path, bytes) => bytes
  writeFileSync(kept, gateway.services.audit.tree.checkpoint().replace(/\n\d+\n/, '\n99\n'))
  t.match(await check(), /^old checkpoint: /, 'a kept checkpoint that was altered')
})
