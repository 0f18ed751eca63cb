/** LiteLLM's proxy from PyPI, for comparison: installed once into an environment of its own, one worker, told by its file where the mock is. One key, no database, no cache. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort } from './free-port.ts'
import { answering, startProgram, type System } from './system.ts'

const VERSION = '1.108.7'
/** It does not start without one; one key, compared in memory. */
const KEY = 'sk-bench-0123456789abcdef0123456789abcdef'
const START_MS = 90_000
const run = promisify(execFile)

async function install (parent: string): Promise<string> {
  const folder = join(parent, `litellm-${VERSION}`)
  const program = join(folder, 'bin/litellm')
  if (existsSync(program)) return folder
  await mkdir(folder, { recursive: true })
  await run('python3', ['-m', 'venv', folder])
  await run(join(folder, 'bin/pip'), ['install', '--quiet', '--disable-pip-version-check', `litellm[proxy]==${VERSION}`], { maxBuffer: 1 << 24 })
  return folder
}

export async function startLitellm (cores: readonly number[], upstream: string, parent: string): Promise<System> {
  const folder = await install(parent)
  const file = join(folder, 'bench.yaml')
  await writeFile(file, `model_list:
  - model_name: "*"
    litellm_params: { model: "openai/*", api_base: "${upstream}", api_key: "bench" }
`)
  const port = await freePort()
  const started = startProgram({
    cores, program: join(folder, 'bin/litellm'), args: ['--config', file, '--host', '127.0.0.1', '--port', String(port), '--num_workers', '1', '--telemetry', 'False'],
    // its price list would be fetched from the internet
    env: { PATH: `${join(folder, 'bin')}:${process.env['PATH']}`, HOME: folder, LITELLM_MASTER_KEY: KEY, LITELLM_LOG: 'ERROR', LITELLM_MODE: 'PRODUCTION', LITELLM_LOCAL_MODEL_COST_MAP: 'True', DISABLE_ADMIN_UI: 'True' },
  })
  await answering('LiteLLM', started, `http://127.0.0.1:${port}/health/liveliness`, START_MS)
  return { name: `LiteLLM ${VERSION}, nothing persisted`, port, pid: started.child.pid!, headers: { authorization: `Bearer ${KEY}` }, stop: started.stop }
}
