import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { build, events, QUESTION, temporary } from '../helper.ts'

const SRC = fileURLToPath(new URL('../../src/', import.meta.url))

/** All that the check of a stranger needs: no store, no server, no package. */
const PURE = ['audit/merkle.ts', 'audit/note.ts', 'audit/record.ts', 'audit/tile.ts', 'audit/verify.ts', 'audit/verify-tiles.ts', 'canonical.ts', 'errors.ts', 'random.ts']
const ENTRY = ['cli/parallax.ts', 'cli/commands.ts', 'cli/verify.ts', 'cli/findings.ts', 'cli/input.ts', 'cli/log-keys.ts']

interface Result { readonly code: number, readonly stdout: string, readonly stderr: string }

t.test('a stranger with the pure files alone and no package installed pulls from a gateway and checks it; one flipped byte anywhere is found', async (t) => {
  const folder = temporary(t)
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  for (const file of [...PURE, ...ENTRY]) {
    mkdirSync(dirname(join(folder, 'src', file)), { recursive: true })
    cpSync(join(SRC, file), join(folder, 'src', file))
  }
  const gateway = await build(t)
  await (await gateway.ask({ model: 'A', messages: QUESTION })).arrayBuffer()
  await events(await gateway.ask({ model: 'B', messages: QUESTION, stream: true }))
  await gateway.services.audit.append(Array.from({ length: 700 }, () => ({ type: 'feedback' as const, id: crypto.randomUUID(), key: 'k_1', fields: {} })))
  const key = join(folder, 'key')
  writeFileSync(key, gateway.keys.auditor)
  const kept = join(folder, 'checkpoint')
  writeFileSync(kept, gateway.services.audit.tree.checkpoint())

  /** Passes everything on; `alter` may change what comes back. */
  let alter: (path: string, bytes: Buffer) => Buffer = (_path, bytes) => bytes
  const asked: string[] = []
  const between = createServer((request, response) => {
    asked.push(request.url!)
    void fetch(`${gateway.url}${request.url}`, { headers: { ...(request.headers.authorization && { authorization: request.headers.authorization }) } })
      .then(async (reply) => response.writeHead(reply.status).end(alter(request.url!, Buffer.from(await reply.arrayBuffer()))))
  })
  await new Promise<void>((resolve) => { between.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { between.closeAllConnections(); between.close() })
  const url = `http://127.0.0.1:${(between.address() as AddressInfo).port}`
  const verify = (): Promise<Result> => promisify(execFile)('/bin/sh', ['-c', 'unset NODE_OPTIONS; exec "$@"', 'sh', process.execPath, 'src/cli/parallax.ts', 'verify', url, '--vkey', gateway.services.audit.tree.verifier, '--key-file', key, '--checkpoint', kept], { cwd: folder })
    .then(({ stdout, stderr }) => ({ code: 0, stdout, stderr }), (error: Result) => error)

  const sound = await verify()
  t.equal(sound.code, 0, sound.stdout + sound.stderr)
  t.match(sound.stdout, /checked {6}7\d\d leaves: index, hash, time, key_seq\nchecked {6}\d+ transcripts against their commitments\nchecked {6}the manifest over all lines\nchecked {6}the signed checkpoint over 7\d\d leaves\nchecked {6}the first 7\d\d leaves are those of the kept checkpoint\nchecked {6}4 tiles/)
  t.match(sound.stdout, /not checked {2}whether exchanges were never recorded/)
  t.same(new Set(asked.map((path) => path.replace(/\/tile\/.*/, ''))), new Set(['/audit/v1/export', '/audit/v1/log']), 'asks for nothing else')

  const flip = (bytes: Buffer, at: number): Buffer => { const copy = Buffer.from(bytes); copy[at]! ^= 1; return copy }
  const after = (bytes: Buffer, text: string): number => bytes.indexOf(text) + text.length
  const cases: [string, RegExp, (bytes: Buffer) => number, RegExp][] = [
    ['an entry', /export$/, (bytes) => after(bytes, '\\"type\\":\\"completion.'), /leaf \d+ does not have the hash/],
    ['a payload', /export$/, (bytes) => after(bytes, '"base64":"') + 5, /transcript of leaf \d+ is not the one/],
    ['a salt', /export$/, (bytes) => after(bytes, '"salt":"') + 5, /transcript of leaf \d+ is not the one/],
    ['a checkpoint\'s size', /export$/, (bytes) => bytes.indexOf('\\n', bytes.lastIndexOf('"checkpoint"')) + 2, /the checkpoint: The signature/],
    ['a checkpoint\'s signature', /export$/, (bytes) => bytes.length - 20, /the checkpoint: /],
    ['a full tile', /tile\/0\/001$/, () => 7, /tiles do not add up|is not made of/],
    ['a part of a tile', /tile\/0\/002\.p\//, (bytes) => bytes.length - 1, /tiles do not add up/],
    ['a higher tile', /tile\/1\/000\.p\/2$/, () => 40, /tile\/1\/000\.p\/2 is not made of the tiles below it/],
  ]
  for (const [name, path, where, words] of cases) {
    let altered = 0
    alter = (one, bytes) => { if (!path.test(one)) return bytes; altered++; return flip(bytes, where(bytes)) }
    const { code, stdout, stderr } = await verify()
    t.equal(altered, 1, name)
    t.equal(code, 1, name)
    t.match(stdout, /^WRONG/m, name)
    t.match(stdout, words, name)
    t.match(stderr, /not hold/)
  }
  alter = (path, bytes) => path.includes('/tile/1/') ? bytes.subarray(0, 32) : bytes
  t.match((await verify()).stdout, /WRONG {8}the tiles: tile\/1\/000\.p\/2: it has 1 hashes and should have 2/)
  alter = (path, bytes) => path.endsWith('export') ? bytes.subarray(0, bytes.length - 400) : bytes
  t.match((await verify()).stdout, /WRONG .*cut off/)
})
