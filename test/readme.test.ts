import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { gateway, real } from './fixtures/started.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const pages = ['README.md', 'CONTRIBUTING.md', 'ARCHITECTURE.md', 'docs/operations.md', 'docs/errors.md', 'docs/sources.md', 'docs/audit.md', 'docs/modes.md', 'docs/cache.md', 'docs/policy.md', 'docs/evaluation.md']
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const blocks = [...readme.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map((match) => match[1]!)
const scripts = (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> }).scripts

t.test('every command of the README runs, in order, against a gateway that was started as it says', async (t) => {
  t.same(blocks.slice(0, 2), ['npm start\n', 'npm test\n'], 'the two commands come first')
  const { port, cwd, dataDir } = await gateway(t)
  const outputs: string[] = []
  for (const block of blocks.slice(2)) {
    const { stdout } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', block.replaceAll('127.0.0.1:3000', `127.0.0.1:${port}`)], { cwd, env: { ...process.env, DATA_DIR: dataDir }, timeout: 90_000 })
    outputs.push(stdout)
  }
  const replies = outputs[0]!.split(/(?=^HTTP\/1\.1 )/m)
  t.equal(replies.length, 2)
  for (const [at, id] of ['progressive', 'conservative'].entries()) {
    t.match(replies[at], /^HTTP\/1\.1 200 OK/)
    t.match(replies[at], new RegExp(`^perspective: ${id};mode=steerable`, 'm'))
    t.match(replies[at], /^ai-disclosure: mode=machine-generated/m)
    t.match(replies[at], /^x-audit-record: /m)
  }
  const said = replies.map((reply) => JSON.parse(reply.slice(reply.indexOf('\r\n\r\n'))).choices[0].message.content as string)
  t.comment(real ? `the real pair said:\nA: ${said[0]}\nB: ${said[1]}` : 'the base model is not on this machine: stand-ins answered')
  t.not(said[0], said[1], 'two slants for one question')
  t.ok(JSON.parse(outputs[1]!).data.length === 5)
  t.match(readFileSync(join(cwd, 'export.ndjson'), 'utf8'), /universal healthcare/)
  t.match(outputs[2], /plx_\w{36}/)
  t.match(outputs[2], /my app/)
})

t.test('every script and file that a page names is there', async (t) => {
  for (const page of pages) {
    const text = readFileSync(join(root, page), 'utf8')
    for (const [, script] of text.matchAll(/npm run (?:--silent )?([\w:]+)/g)) t.ok(scripts[script!], `${page}: npm run ${script}`)
    for (const [, link] of text.matchAll(/\]\((?!https?:)([^)#]+)\)/g)) t.ok(existsSync(join(root, page, '..', link!)), `${page}: ${link}`)
    for (const [, path] of text.matchAll(/`((?:src|test|plugins|routes|bench|docs|openapi|setup)\/[\w./-]+\.\w+)`/g)) t.ok(existsSync(join(root, path!)), `${page}: ${path}`)
  }
})
