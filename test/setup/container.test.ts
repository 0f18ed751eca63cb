import { execFileSync, spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { MODEL } from '../../setup/model-path.js'
import { temporary } from '../helper.ts'

// No container can be built where these tests run, so the recipe is held to its parts.

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const text = (file: string): string => readFileSync(join(ROOT, file), 'utf8')
/** Instructions, with continued lines joined. */
const instructions = text('Dockerfile').replace(/^#.*\n/gm, '').replace(/\\\n/g, ' ').split('\n').filter((line) => line !== '').map((line) => /^(?<word>\w+)\s+(?<rest>.*)$/.exec(line)?.groups as { word: string, rest: string })
const all = (word: string): string[] => instructions.filter((one) => one.word === word).map(({ rest }) => rest)
const lines = (file: string): string[] => text(file).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
const allowed = lines('.dockerignore').filter((line) => line.startsWith('!')).map((line) => line.slice(1))

/** The build context: what .dockerignore lets in of what is committed. */
function context (t: Test): string {
  const root = temporary(t)
  for (const file of execFileSync('git', ['ls-files', '-z', '--', ...allowed], { cwd: ROOT, encoding: 'utf8' }).split('\0').filter((name) => name !== '')) {
    if (!existsSync(join(ROOT, file))) continue
    mkdirSync(dirname(join(root, file)), { recursive: true })
    cpSync(join(ROOT, file), join(root, file))
  }
  return root
}

const freePort = (): Promise<number> => new Promise((settle) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address() as AddressInfo
    server.close(() => { settle(port) })
  })
})

t.test('nothing goes into the image unless it is named', async (t) => {
  t.equal(lines('.dockerignore')[0], '*')
  for (const name of ['data', '.git', '.env', 'node_modules', 'test', '.cache']) t.notOk(allowed.includes(name), name)
})

t.test('every file that is copied is in the build context, and every stage that is named exists', async (t) => {
  const stages = all('FROM').map((line) => / AS (\w+)$/.exec(line)?.[1])
  const root = context(t)
  for (const copy of all('COPY')) {
    const from = /^--from=(\w+) /.exec(copy)?.[1]
    if (from) t.ok(stages.includes(from), copy)
    else for (const source of copy.split(' ').slice(0, -1)) t.ok(existsSync(join(root, source)), copy)
  }
  for (const line of all('FROM')) t.match(line, /^(node:24-bookworm-slim|packages|gateway|\$\{MODEL\})( |$)/)
  const values = [/^MODEL=(\w+)$/.exec(all('ARG')[0]!)?.[1], /MODEL: (\w+)/.exec(text('compose.yaml'))?.[1], /--build-arg MODEL=(\w+)/.exec(text('Dockerfile'))?.[1]]
  for (const value of values) t.ok(stages.includes(value), `MODEL=${value}`)
})

t.test('the image runs without privileges, on port 3000, with its data and model on volumes', async (t) => {
  const last = instructions.slice(instructions.findLastIndex(({ word }) => word === 'FROM'))
  const of = (word: string): string | undefined => last.find((one) => one.word === word)?.rest
  t.equal(of('USER'), 'node')
  t.equal(of('EXPOSE'), '3000')
  t.match(of('ENV'), /HOST=0\.0\.0\.0 PORT=3000 DATA_DIR=\/data/)
  t.same(JSON.parse(of('VOLUME')!), ['/data', '/cache'])
  const compose = text('compose.yaml')
  for (const words of ['"127.0.0.1:3000:3000"', 'data:/data', 'cache:/cache', 'read_only: true', 'no-new-privileges:true']) t.ok(compose.includes(`- ${words}`) || compose.includes(words), words)
  t.equal(text('Dockerfile').split(MODEL.file).length, 3, 'the model\'s name is that of setup/model-path.js, in both places')
})

t.test('the build context alone runs as CMD says, makes its data, and HEALTHCHECK finds it healthy', async (t) => {
  const root = context(t)
  const data = temporary(t)
  symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'))
  const command = JSON.parse(all('CMD')[0]!) as string[]
  const [first, second] = command[2]!.split(' && exec ')
  t.same([command.slice(0, 2), first], [['sh', '-c'], 'node setup/prepare.js start'])
  const check = JSON.parse(/CMD (\[.*\])$/.exec(all('HEALTHCHECK')[0]!)![1]!) as [string, ...string[]]
  const env = { PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, HOST: '0.0.0.0', PORT: String(await freePort()), DATA_DIR: data, PARALLAX_MODEL: 'none', NODE_ENV: 'production' }
  const healthy = (): Promise<number | null> => new Promise((settle) => { spawn(check[0], check.slice(1), { env, stdio: 'ignore' }).once('exit', settle) })
  t.equal(await healthy(), 1, 'nothing answers yet')
  const gateway = spawn('sh', ['-c', `exec ${second}`], { cwd: root, env, stdio: ['ignore', 'pipe', 'ignore'] })
  t.teardown(() => { gateway.kill('SIGKILL') })
  await new Promise<void>((settle) => {
    gateway.once('exit', () => { settle() })
    gateway.stdout.on('data', (part: Buffer) => { if (part.includes('listens')) settle() })
  })
  t.equal(await healthy(), 0)
  t.not(readdirSync(data).length, 0, 'it wrote where it was told to')
  gateway.kill('SIGTERM')
  t.equal(await new Promise((settle) => { gateway.once('exit', settle) }), 0, 'it closes when it is asked to')
})
