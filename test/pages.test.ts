/** The pages for auditors and operators, pasted as they stand. */
import { execFile, spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { readJob } from '../src/engine/wire.ts'
import { freePort, NO_POSTGRES, startPostgres } from './fixtures/postgres.ts'
import { gateway, linkProject, real } from './fixtures/started.ts'
import { FIXTURES, temporary, until } from './helper.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (page: string): string => readFileSync(join(root, page), 'utf8')
const blocksOf = (page: string): string[] => [...read(page).matchAll(/^ *```sh\n([\s\S]*?)^ *```$/gm)].map(([, block]) => block!)
const operations = blocksOf('docs/operations.md')

/** All in one shell, one after the other, as a reader pastes them; what each printed. */
async function paste (blocks: readonly string[], cwd: string, env: NodeJS.ProcessEnv): Promise<string[]> {
  const script = blocks.map((block) => `${block}printf '\\0'\n`).join('')
  const { stdout } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', script], { cwd, env: { ...process.env, ...env }, timeout: 240_000, maxBuffer: 1 << 26 })
  return stdout.split('\0').slice(0, -1)
}

const ask = (port: string, key: string, body: object) => fetch(`http://127.0.0.1:${port}/v1/chat/completions`, { method: 'POST', headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' }, body: JSON.stringify({ max_tokens: 8, messages: [{ role: 'user', content: 'What is your opinion on taxation?' }], ...body }) })
const keysOf = (dataDir: string) => JSON.parse(readFileSync(join(dataDir, 'keys.json'), 'utf8')) as Record<'app' | 'auditor', string>

t.test('every command of the auditor\'s page runs, in order, and verifies', { timeout: 300_000 }, async (t) => {
  const { port, cwd, dataDir } = await gateway(t)
  const reply = await ask(port, keysOf(dataDir).app, { model: 'progressive' })
  t.equal(reply.status, 200)
  await reply.arrayBuffer()
  const go = process.env['CI'] === 'true' || spawnSync('go', ['version']).status === 0
  if (!go) t.comment('Go is not on this machine: the lines that run it are left out')
  const blocks = blocksOf('docs/audit.md').map((block) => (go ? block : block.replace(/^.*\bgo run\b.*$/gm, '')).replaceAll('127.0.0.1:3000', `127.0.0.1:${port}`))
  const printed = await paste(blocks, cwd, { DATA_DIR: dataDir, ANCHORS: join(cwd, 'anchors') })
  const said = (command: RegExp): string => {
    const at = blocks.findIndex((block) => command.test(block))
    return printed[at] ?? t.fail(`no block has ${String(command)}`) as never
  }
  t.match(said(/^VKEY=/m), /^\S+\+[0-9a-f]{8}\+\S+\n$/)
  t.match(said(/verify export.ndjson .* checkpoint-kept/), /signed checkpoint over \d+ leaves[\s\S]*those of the kept checkpoint/)
  t.notMatch(said(/verify export.ndjson .* checkpoint-kept/), /WRONG/)
  t.match(said(/verify altered/), /WRONG {8}leaf 2 does not have the hash[\s\S]*WRONG[\s\S]*found, as it should be\n$/)
  t.match(said(/receipt receipt.json/), /the request is what the leaf commits to\n.*the answer is what the leaf commits to/)
  t.match(said(/ANCHORS/), /the first \d leaves are those of the kept checkpoint/, 'the one that was anchored at the start')
  t.match(readFileSync(join(cwd, 'export.csv'), 'utf8'), /^index,id,type/)
  if (go) {
    t.match(printed.join(''), /^\d+ leaves, \d+ entries checked\nthey go on from the \d+ of the kept checkpoint$/m)
    t.match(printed.join(''), /^the request and the answer are what they commit to$/m)
  }
  const { stdout } = await promisify(execFile)('bash', ['-c', 'head -n -1 export.ndjson | sha256sum'], { cwd })
  t.equal(stdout.slice(0, 64), JSON.parse(readFileSync(join(cwd, 'export.ndjson'), 'utf8').trimEnd().split('\n').at(-1)!).manifest.sha256)
})

t.test('every way to ask that the page on modes shows is answered, and every draw it makes is found again', { timeout: 300_000 }, async (t) => {
  const { port, cwd, dataDir } = await gateway(t)
  const [, both, drawn, draws, blend] = await paste(blocksOf('docs/modes.md').map((block) => block.replaceAll('127.0.0.1:3000', `127.0.0.1:${port}`)), cwd, { DATA_DIR: dataDir })
  t.same(JSON.parse(both!).choices.map((choice: { perspective: { id: string } }) => choice.perspective.id), ['progressive', 'conservative'])
  t.match(JSON.parse(drawn!).perspective, { mode: 'distributional', mixture: 'sample', draw: { sticky: /^[0-9a-f]{64}$/ } })
  t.match(draws, /0 draws are as recorded; 0 of 1 epochs are revealed\nnot checked {2}1 draw of epoch \d+, .*it ends at /)
  // stand-ins for the model speak a wire that cannot mix
  t.match(JSON.parse(blend!), real ? { perspective: { id: 'blend', parts: [{ weight: 0.5 }, { weight: 0.5 }] } } : { error: { code: 'mixture_unsupported' } })
})

t.test('the page on the cache shows what it says, and the one on modes the embedded engine\'s own defaults', { timeout: 180_000 }, async (t) => {
  const { port, cwd, dataDir } = await gateway(t)
  const [found] = await paste(blocksOf('docs/cache.md').map((block) => block.replaceAll('127.0.0.1:3000', `127.0.0.1:${port}`)), cwd, { DATA_DIR: dataDir })
  t.match(found, /^cache-status: parallax; fwd=miss; stored\r\ncache-status: parallax; hit; ttl=3[56]\d\d\r\n$/)
  const { temperature, topP, topK, minP, repeatPenalty, maxTokens } = readJob({ messages: [{ role: 'user', content: 'x' }] })
  t.match(read('docs/modes.md'), `\`temperature\` ${temperature}, \`top_p\` ${topP}, \`top_k\` ${topK}, \`min_p\` ${minP}, \`repeat_penalty\` ${repeatPenalty}, at most ${maxTokens} tokens`)
})

t.test('the operator\'s commands on transcripts and keys do what the page says', { timeout: 180_000 }, async (t) => {
  const { port, cwd, dataDir, stop } = await gateway(t)
  const { app } = keysOf(dataDir)
  const first = await ask(port, app, { model: 'conservative' })
  for (const reply of [first, await ask(port, app, { model: 'progressive', user: 'alice' })]) await reply.arrayBuffer()
  const { tenant } = JSON.parse((await promisify(execFile)(process.execPath, [join(root, 'src/cli/parallax.ts'), 'keys', 'list', '--json', '--data-dir', dataDir])).stdout).keys.find((key: { scopes: string[] }) => key.scopes.includes('app'))
  const env = { DATA_DIR: dataDir, RECORD: first.headers.get('x-audit-record')!, TENANT: tenant }
  const [transcripts, kek] = await paste(operations.slice(1, 3), cwd, env)
  t.match(transcripts, /"case-7" is set\.\ncase-7 {2}1 record\n.*is lifted.*\nErased the transcripts of 1 exchange.*\nErased the transcripts of 1 exchange.*\n0 transcripts expired\.\n$/)
  t.match(kek, /^The keys of \d+ transcripts? are under /)
  await stop()
  t.match(await paste(operations.slice(3), cwd, env), [/^The log's key was .*\nand is now /])
})

const server = await startPostgres(t)

t.test('two gateways on one PostgreSQL, started as the page says, show one log', { skip: server ? false : NO_POSTGRES, timeout: 120_000 }, async (t) => {
  const cwd = temporary(t)
  linkProject(cwd)
  writeFileSync(join(cwd, 'parallax.json'), JSON.stringify({ perspectives: [join(FIXTURES, 'perspectives')], engine: { enabled: false } }))
  const ports = [await freePort(), await freePort()]
  let block = operations[0]!.replaceAll('npm start', `${process.execPath} src/server.ts`).replace('postgres://parallax@127.0.0.1:5432/parallax', await server!.database())
  for (const [at, port] of ports.entries()) block = block.replace(`DATA_DIR=data-${at + 1} PORT=300${at + 1}`, `DATA_DIR=${cwd}/data-${at + 1} PORT=${port}`)
  const child = spawn('bash', ['-euo', 'pipefail', '-c', block], { cwd, env: { ...process.env, PARALLAX_CONFIG: join(cwd, 'parallax.json') }, detached: true })
  let out = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part) => { out += part })
  // a group: the shell and both gateways
  t.teardown(() => { try { process.kill(-child.pid!, 'SIGKILL') } catch { /* gone already */ } })
  await until(() => out.match(/listens on /g)?.length === 2 || undefined, 60_000).catch((error: Error) => { throw new Error(out, { cause: error }) })
  const logs = await Promise.all(ports.map(async (port) => (await fetch(`http://127.0.0.1:${port}/audit/v1/log`)).json() as Promise<{ verifier: string }>))
  t.equal(logs[0]!.verifier, logs[1]!.verifier)
  // made by whoever started first, and heard of by the other
  const made = [1, 2].map((at) => join(cwd, `data-${at}`)).find((dataDir) => existsSync(join(dataDir, 'keys.json')))!
  const headers = { authorization: `Bearer ${keysOf(made).auditor}` }
  const exported = await Promise.all(ports.map((port) => until(async () => {
    const reply = await fetch(`http://127.0.0.1:${port}/audit/v1/export?as_of=2`, { headers })
    const text = await reply.text()
    return reply.ok && text
  })))
  const leaves = exported.map((text) => text.split('\n').slice(0, 2))
  t.equal(leaves[0]!.length, 2)
  t.same(leaves[0], leaves[1])
})

t.test('every variable that is read from the environment stands on the operator\'s page', async (t) => {
  const config = read('src/config.ts')
  const names = new Set([...config.matchAll(/env\['([A-Z_]+)'\]|^ {2}([A-Z_]+): \{ path:/gm)].map(([, one, other]) => one ?? other!))
  t.ok(names.size > 15)
  const page = read('docs/operations.md')
  // the table shortens PARALLAX_ENGINE_…
  for (const name of names) t.ok(page.includes(`\`${name}\``) || page.includes(`\`${name.replace('PARALLAX_ENGINE', '')}\``), name)
})
