/**
 * `node bench/profile.ts [json|hit|stream|paced] [--seconds N] [--rate N] [--threads] [--root checkout] [--to folder]`: where the gateway's CPU time a request goes, by function and by package.
 * A profile slows what it measures: shares are what it gives. With `--threads` only the split between threads is told, and nothing is slowed.
 */
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { threadSeconds } from './cpu-time.ts'
import { startGateway } from './gateway.ts'
import { startLoader } from './loader.ts'
import { place } from './placement.ts'
import { chatRequest, type Asked } from './request.ts'
import { startServer } from './system.ts'
import { fixed, percent, table } from './table.ts'

const ASKED: Readonly<Record<string, Asked>> = { json: { unique: true }, hit: {}, stream: { stream: true, unique: true, chunks: 100 }, paced: { stream: true, unique: true, chunks: 100, pauseMs: 10 } }
const TOP = 60
/** Of `paced`, streams begun a second: about half load. */
const RATE = '48'
/** Until most of the code is compiled: what is slow in the first seconds is not what is slow. */
const RAMP_MS = 8_000

interface CpuProfile {
  nodes: { id: number, callFrame: { functionName: string, url: string, lineNumber: number }, children?: number[] }[]
  samples: number[]
  timeDeltas: number[]
}

/** "src/audit/record.ts", "npm undici", "node:internal/…" or V8's own "(garbage collector)". */
function placeOf (url: string, name: string): string {
  const inPackage = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)
  if (inPackage) return `npm ${inPackage[1]}`
  if (url.startsWith('file:')) return url.replace(/^file:.*?\/(src|plugins|routes)\//, '$1/')
  return url === '' ? `V8 ${name.startsWith('(') ? name : '(native)'}` : url
}

interface Shares { readonly byPlace: Map<string, number>, readonly byFunction: Map<string, number>, readonly inclusive: Map<string, number>, readonly busy: number }

/** Seconds by place and function within the window (seconds since the profile's start); `inclusive` counts what our own functions caused, each sample once a function. */
export function sharesOf ({ nodes, samples, timeDeltas }: CpuProfile, window: { readonly from: number, readonly to: number }): Shares {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const parent = new Map(nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node.id] as const)))
  const own = new Map<number, number>()
  let now = 0
  for (const [at, id] of samples.entries()) {
    const seconds = timeDeltas[at]! / 1e6
    now += seconds
    if (now >= window.from && now < window.to) own.set(id, (own.get(id) ?? 0) + seconds)
  }
  const byPlace = new Map<string, number>()
  const byFunction = new Map<string, number>()
  const inclusive = new Map<string, number>()
  const add = (to: Map<string, number>, key: string, seconds: number) => to.set(key, (to.get(key) ?? 0) + seconds)
  let busy = 0
  for (const [id, seconds] of own) {
    const { functionName: name, url, lineNumber } = byId.get(id)!.callFrame
    if (name === '(idle)') continue
    busy += seconds
    add(byPlace, placeOf(url, name), seconds)
    add(byFunction, `${name || '(anonymous)'}  ${placeOf(url, name)}:${lineNumber + 1}`, seconds)
    const seen = new Set<string>()
    for (let at: number | undefined = id; at !== undefined; at = parent.get(at)) {
      const frame = byId.get(at)!.callFrame
      if (!/\/(src|plugins|routes)\//.test(frame.url) || frame.url.includes('node_modules')) continue
      seen.add(`${frame.functionName || '(anonymous)'}  ${placeOf(frame.url, '')}:${frame.lineNumber + 1}`)
    }
    for (const key of seen) add(inclusive, key, seconds)
  }
  return { byPlace, byFunction, inclusive, busy }
}

function print (title: string, of: Map<string, number>, busy: number, answers: number): void {
  const rows = [...of].sort((a, b) => b[1] - a[1]).slice(0, TOP).map(([key, seconds]) => [percent(seconds / busy), fixed(seconds / answers * 1e6, 1), key])
  console.log(`\n${title}\n\n${table(['share', 'µs a request', 'where'], rows)}`)
}

async function main (): Promise<void> {
  const { values, positionals: [kind = 'json'] } = parseArgs({ allowPositionals: true, options: { seconds: { type: 'string', default: '5' }, rate: { type: 'string', default: RATE }, root: { type: 'string', default: '..' }, threads: { type: 'boolean', default: false }, to: { type: 'string' } } })
  const asked = ASKED[kind]
  if (!asked) throw new Error(`wanted one of ${Object.keys(ASKED).join(', ')}, got "${kind}"`)
  const placement = place(1)
  const dataParent = join(import.meta.dirname, '../.cache/bench')
  await mkdir(dataParent, { recursive: true })
  const folder = values.to ?? await mkdtemp(join(dataParent, 'profile-'))
  const loader = await startLoader(placement.others)
  const mock = await startServer({ name: 'mock', cores: placement.others, file: './mock-upstream.ts' })
  const born = performance.now()
  const gateway = await startGateway({ cores: placement.system, root: values.root, upstream: `http://127.0.0.1:${mock.port}/v1`, dataParent, nodeArgs: values.threads ? [] : ['--cpu-prof', `--cpu-prof-dir=${folder}`, '--cpu-prof-interval=200'] })
  try {
    const from = (performance.now() - born + RAMP_MS) / 1000
    const seconds = Number(values.seconds)
    const running = loader.run({ ...chatRequest(gateway, asked), port: gateway.port, ...(kind === 'paced' ? { connections: 0, rate: Number(values.rate) } : { connections: 32, rate: null }), rampMs: RAMP_MS, measureMs: seconds * 1000, watch: { system: gateway.pid } })
    await sleep(RAMP_MS)
    const before = threadSeconds(gateway.pid)
    await sleep(seconds * 1000)
    const after = threadSeconds(gateway.pid)
    const result = await running
    const threads = [...after].map(([name, spent]) => [name, (spent - (before.get(name) ?? 0)) / result.answers * 1e6] as const).sort((a, b) => b[1] - a[1])
    console.log(`${kind}: ${Math.round(result.answers / result.seconds)} requests/s while profiled, ${Math.round(result.cpu['system']! / result.answers * 1e6)} µs CPU a request, ${result.failures} failures (${result.firstFailure ?? 'none'})`)
    console.log(`Threads, µs a request: ${threads.filter(([, each]) => each >= 1).map(([name, each]) => `${name} ${fixed(each, 0)}`).join(', ')}`)
    await gateway.stop()
    for (const file of (await readdir(folder)).filter((name) => name.endsWith('.cpuprofile'))) {
      const shares = sharesOf(JSON.parse(await readFile(join(folder, file), 'utf8')) as CpuProfile, { from, to: from + result.seconds })
      console.log(`\n## ${file}: ${fixed(shares.busy, 2)} s busy`)
      print('By place, own time', shares.byPlace, shares.busy, result.answers)
      print('By function, own time', shares.byFunction, shares.busy, result.answers)
      print('Our functions with all they called', shares.inclusive, shares.busy, result.answers)
    }
  } finally {
    await gateway.stop().catch(() => {})
    await mock.stop()
    await loader.stop()
    if (!values.to) await rm(folder, { recursive: true, force: true })
  }
}

await main()
