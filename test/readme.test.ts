import { execFile, spawn } from 'node:child_process'
import { existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { modelPath } from '../setup/model-path.js'
import * as upstream from './fixtures/upstream.ts'
import { FIXTURES, temporary, until } from './helper.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const pages = ['README.md', 'CONTRIBUTING.md', 'ARCHITECTURE.md', 'docs/operations.md', 'docs/errors.md', 'docs/sources.md', 'docs/audit.md']
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const blocks = [...readme.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map((match) => match[1]!)
const scripts = (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> }).scripts

/** The real pair where the model is there, else two stand-ins for it: the commands are the same. */
const real = modelPath(process.env) !== null

async function gateway (t: Test): Promise<{ port: string, cwd: string, dataDir: string }> {
  const cwd = temporary(t)
  const dataDir = join(cwd, 'data')
  const env: Record<string, string> = { ...process.env as Record<string, string>, PORT: '0', DATA_DIR: dataDir, PARALLAX_ANCHOR_FILE: join(cwd, 'anchors') }
  if (!real) {
    const experts: Record<string, object> = {}
    for (const id of ['progressive', 'conservative']) {
      const expert = await upstream.startUpstream()
      t.teardown(() => expert.close())
      expert.reply(upstream.answer({ content: `I am the ${id} stand-in.` }))
      experts[id] = { wire: 'openai', baseUrl: expert.url, model: 'stand-in' }
    }
    const file = join(cwd, 'parallax.json')
    writeFileSync(file, JSON.stringify({ perspectives: [join(FIXTURES, 'perspectives')], engine: { enabled: false }, experts }))
    env['PARALLAX_CONFIG'] = file
  }
  const child = spawn(process.execPath, [join(root, 'src/server.ts')], { cwd: root, env })
  let out = ''
  child.stdout.on('data', (part) => { out += part })
  t.teardown(() => { child.kill('SIGKILL') })
  const port = await until(() => /listens on http:\/\/127\.0\.0\.1:(\d+)/.exec(out)?.[1], 30_000)
  if (real) await until(() => /^Ready: /m.exec(out)?.[0], 60_000)
  // "npm run" has to find the project from where the reader stands
  for (const name of ['package.json', 'node_modules', 'src', 'setup', 'perspectives']) symlinkSync(join(root, name), join(cwd, name))
  return { port, cwd, dataDir }
}

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

t.test('every command of the auditor\'s page runs, in order, and verifies', async (t) => {
  const { port, cwd, dataDir } = await gateway(t)
  const keys = JSON.parse(readFileSync(join(dataDir, 'keys.json'), 'utf8')) as Record<string, string>
  const url = `http://127.0.0.1:${port}`
  const ask = async () => fetch(`${url}/v1/chat/completions`, { method: 'POST', headers: { authorization: `Bearer ${keys['app']}`, 'content-type': 'application/json' }, body: JSON.stringify({ model: 'conservative', max_tokens: 8, messages: [{ role: 'user', content: 'What is your opinion on taxation?' }] }) })
  const reply = await ask()
  t.equal(reply.status, 200)
  await reply.arrayBuffer()
  writeFileSync(join(cwd, 'checkpoint-before'), await (await fetch(`${url}/audit/v1/log/checkpoint`)).text())
  await (await ask()).arrayBuffer()
  const { verifier } = await (await fetch(`${url}/audit/v1/log`)).json() as { verifier: string }
  const env = { ...process.env, DATA_DIR: dataDir, GATEWAY: url, AUDITOR: keys['auditor'], APP: keys['app'], VKEY: verifier, ANCHORS: join(cwd, 'anchors'), RECORD: reply.headers.get('x-audit-record') ?? '' }
  const page = readFileSync(join(root, 'docs/audit.md'), 'utf8')
  const outputs: string[] = []
  for (const [, block] of page.matchAll(/^ *```sh\n([\s\S]*?)^ *```$/gm)) outputs.push((await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', block!], { cwd, env, timeout: 60_000 })).stdout)
  t.equal(outputs.length, 4)
  t.match(outputs[1], /signed checkpoint over \d+ leaves/)
  t.match(outputs[1], /those of the kept checkpoint/)
  t.match(JSON.parse(outputs[2]!), { begin: { proof: /^c2sp\.org\/tlog-proof@v1/ }, ends: [{ salt: String }] })
  t.match(outputs[3], /the first \d leaves are those of the kept checkpoint/, 'the one that was anchored at the start')
  const { stdout } = await promisify(execFile)('bash', ['-c', 'head -n -1 export.ndjson | sha256sum'], { cwd })
  t.equal(stdout.slice(0, 64), JSON.parse(readFileSync(join(cwd, 'export.ndjson'), 'utf8').trimEnd().split('\n').at(-1)!).manifest.sha256)
})

t.test('every script and file that a page names is there', async (t) => {
  for (const page of pages) {
    const text = readFileSync(join(root, page), 'utf8')
    for (const [, script] of text.matchAll(/npm run (?:--silent )?([\w:]+)/g)) t.ok(scripts[script!], `${page}: npm run ${script}`)
    for (const [, link] of text.matchAll(/\]\((?!https?:)([^)#]+)\)/g)) t.ok(existsSync(join(root, page, '..', link!)), `${page}: ${link}`)
    for (const [, path] of text.matchAll(/`((?:src|test|plugins|routes|bench|docs|openapi|setup)\/[\w./-]+\.\w+)`/g)) t.ok(existsSync(join(root, path!)), `${page}: ${path}`)
  }
})
