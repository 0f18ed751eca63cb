/** The gateway as a user would start it – keys, checks, cache, limits, durable records all on – with the mock as the expert of every perspective. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './free-port.ts'
import { startNode, type System } from './system.ts'

export interface Gateway extends System {
  readonly auditorKey: string
  readonly dataDir: string
}

export interface GatewayStart {
  readonly name?: string
  readonly cores: readonly number[]
  /** The checkout whose gateway it is; absent: this one's. */
  readonly root?: string
  /** Where every perspective is answered from; absent: the embedded engine. */
  readonly upstream?: string
  /** For --cpu-prof and the like. */
  readonly nodeArgs?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** A disk, not memory: the records' fsync is part of what is measured. */
  readonly dataParent: string
}

const START_MS = 45_000
/** Of what the gateway said before it gave up. */
const TAIL = 600
const PERSPECTIVES = ['progressive', 'conservative', 'baseline']

export async function startGateway ({ name = 'Parallax', cores, root = '..', upstream, nodeArgs = [], env = {}, dataParent }: GatewayStart): Promise<Gateway> {
  const dataDir = await mkdtemp(join(dataParent, 'parallax-bench-'))
  const configuration = join(dataDir, 'bench.json')
  const expert = { wire: 'openai', baseUrl: upstream, model: 'mock' }
  await writeFile(configuration, JSON.stringify(upstream === undefined ? {} : { experts: Object.fromEntries(PERSPECTIVES.map((id) => [id, expert])), engine: { enabled: false } }))
  const port = await freePort()
  // only what a process needs: a variable of the caller's must not turn something off
  const { PATH, HOME, XDG_CACHE_HOME, PARALLAX_MODEL, PARALLAX_PERSPECTIVES } = process.env
  const { child, said, stop } = startNode({
    cores,
    file: join(root, 'src/server.ts'),
    nodeArgs,
    env: {
      PATH,
      HOME,
      XDG_CACHE_HOME,
      PORT: String(port),
      HOST: '127.0.0.1',
      DATA_DIR: dataDir,
      PARALLAX_CONFIG: configuration,
      PARALLAX_PERSPECTIVES,
      PARALLAX_MODEL: upstream === undefined ? PARALLAX_MODEL : 'none',
      LOG_LEVEL: 'warn',
      NODE_ENV: 'production',
      ...env,
    },
  })
  // a full pipe would stop it
  let output = ''
  child.stdout!.on('data', (part: Buffer) => { output = (output + part.toString()).slice(-4000) })
  const end = async (): Promise<void> => { await stop(); await rm(dataDir, { recursive: true, force: true }) }
  try {
    const deadline = Date.now() + START_MS
    for (let why = 'no answer yet'; ; await sleep(100)) {
      if (child.exitCode !== null) throw new Error(`the gateway ended with ${child.exitCode}: ${`${output}${said()}`.slice(-TAIL)}`)
      if (Date.now() > deadline) throw new Error(`the gateway was not ready within ${START_MS} ms (${why.slice(0, TAIL)})`)
      try {
        const ready = await fetch(`http://127.0.0.1:${port}/readyz`)
        if (ready.ok) break
        why = await ready.text()
      } catch (error) { why = (error as Error).message }
    }
    const keys = JSON.parse(await readFile(join(dataDir, 'keys.json'), 'utf8')) as { app: string, auditor: string }
    return { name, port, pid: child.pid!, headers: { authorization: `Bearer ${keys.app}` }, auditorKey: keys.auditor, dataDir, stop: end }
  } catch (error) {
    await end()
    throw error
  }
}
