/** Portkey's gateway from npm, for comparison: installed once beside the repository's own packages, started as its README says, told by headers where the mock is. It keeps no records and checks no keys. */
import { execFile } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort } from './free-port.ts'
import { answering, startNode, type System } from './system.ts'

const NAME = '@portkey-ai/gateway'
const VERSION = '1.15.2'
/** Later ones hand it a response whose headers it cannot append to: every stream is answered 500. */
const SERVER = { '@hono/node-server': '1.13.8' }
const START_MS = 20_000

/** Its build does not run under the repository's node_modules: other versions of the same packages stand there. */
async function install (parent: string): Promise<string> {
  const folder = join(parent, `portkey-${VERSION}`)
  const installed = join(folder, 'node_modules', NAME)
  try { await readFile(join(installed, 'package.json')); return installed } catch { /* not there yet */ }
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies: { [NAME]: VERSION }, overrides: SERVER }))
  await promisify(execFile)('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--prefix', folder])
  return installed
}

export async function startPortkey (cores: readonly number[], upstream: string, parent: string): Promise<System> {
  const file = join(await install(parent), 'build/start-server.js')
  const port = await freePort()
  const started = startNode({ cores, file, args: [`--port=${port}`, '--headless'], env: { PATH: process.env['PATH'], NODE_ENV: 'production' } })
  await answering('Portkey', started, `http://127.0.0.1:${port}/`, START_MS)
  const headers = { authorization: 'Bearer bench', 'x-portkey-provider': 'openai', 'x-portkey-custom-host': upstream }
  return { name: `Portkey ${VERSION}, nothing persisted`, port, pid: started.child.pid!, headers, stop: started.stop }
}
