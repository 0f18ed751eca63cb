/** `npm run bench -- [name…] [--seconds N] [--rounds N] [--cores N] [--portkey] [--litellm] [--against checkout] [--json file]`: runs the benches on one stage and prints their tables. */
import { mkdir, writeFile } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { Bench, Outcome, Stage } from './bench.ts'
import { hit } from './cache-hit.ts'
import { cpuTimeKnown } from './cpu-time.ts'
import { engine } from './engine.ts'
import { startGateway, type Gateway } from './gateway.ts'
import { startLitellm } from './litellm.ts'
import { startLoader } from './loader.ts'
import { logLoss, type LogLoss } from './log-loss.ts'
import { machine, machineLine } from './machine.ts'
import { place } from './placement.ts'
import { startPortkey } from './portkey.ts'
import { firstChunk, relay } from './streams.ts'
import { startServer, type System } from './system.ts'
import { delay, json } from './throughput.ts'
import { verification } from './verify.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '1.5' },
    rounds: { type: 'string', default: '5' },
    cores: { type: 'string', default: '1' },
    portkey: { type: 'boolean', default: false },
    litellm: { type: 'boolean', default: false },
    against: { type: 'string', multiple: true, default: [] },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
const figures: Record<string, number> = {}
const BENCHES: readonly Bench[] = [json, delay, hit, relay, firstChunk, verification, engine]
const WARM_UP_ANSWERS = 20_000
const WARM_UP_MS = 7_000
const RAMP_MS = 250
/** A run of everything starts no further bench after this long; on a quiet machine all of them fit. */
const ALL_MS = 240_000

function positive (name: 'seconds' | 'rounds' | 'cores'): number {
  const value = Number(values[name])
  if (!(value > 0)) throw new Error(`--${name}: wanted a positive number, got "${values[name]}"`)
  return value
}

function chosen (): readonly Bench[] {
  const unknown = positionals.filter((name) => !BENCHES.some((bench) => bench.name === name))
  if (unknown.length > 0) throw new Error(`no bench is called ${unknown.join(', ')}; there are ${BENCHES.map(({ name }) => name).join(', ')}`)
  return positionals.length === 0 ? BENCHES : BENCHES.filter(({ name }) => positionals.includes(name))
}

async function main (): Promise<void> {
  const benches = chosen()
  const placement = place(Math.round(positive('cores')))
  const plan = { rounds: Math.round(positive('rounds')), measureMs: positive('seconds') * 1000, warmUpAnswers: WARM_UP_ANSWERS, warmUpMs: WARM_UP_MS, rampMs: RAMP_MS }
  const where = machine()
  const dataParent = join(import.meta.dirname, '../.cache/bench')
  await mkdir(dataParent, { recursive: true })
  console.log(`${machineLine(where)}\n${placement.words}; ${plan.rounds} rounds of ${values.seconds} s a system, in turn; medians, ratios round by round (lowest–highest).`)
  if (!cpuTimeKnown()) console.log('CPU times cannot be read on this system.')

  const loader = await startLoader(placement.others)
  const mock = await startServer({ name: 'mock upstream', cores: placement.others, file: './mock-upstream.ts' })
  let gateway: Gateway | null = null
  const rivals: System[] = []
  let loss: LogLoss | null = null
  const outcomes: (Outcome & { name: string })[] = []
  try {
    try {
      gateway = await startGateway({ cores: placement.system, upstream: `http://127.0.0.1:${mock.port}/v1`, dataParent })
    } catch (error) {
      // the baselines are worth their numbers without it, but nobody may take this for a whole run
      console.log(`The gateway's rows are missing: ${(error as Error).message}`)
      process.exitCode = 1
    }
    if (values.portkey) rivals.push(await startPortkey(placement.system, `http://127.0.0.1:${mock.port}/v1`, dataParent))
    if (values.litellm) rivals.push(await startLitellm(placement.system, `http://127.0.0.1:${mock.port}/v1`, dataParent))
    for (const root of values.against) rivals.push(await startGateway({ name: `Parallax of ${basename(root)}`, root: resolve(root), cores: placement.system, upstream: `http://127.0.0.1:${mock.port}/v1`, dataParent }))
    for (const bench of benches) {
      if (positionals.length === 0 && performance.now() > ALL_MS) {
        console.log(`\n### ${bench.name}\n\nSkipped: the machine is too busy, ${ALL_MS / 1000} s have passed. Name the bench to run it.`)
        continue
      }
      const started: System[] = []
      const start: Stage['start'] = async (name, file, ...args) => {
        const system = await startServer({ name, cores: placement.system, file, args })
        started.push(system)
        return system
      }
      try {
        const outcome = await bench.run({ placement, loader, mock, gateway, rivals, plan, dataParent, start })
        Object.assign(figures, outcome.figures)
        outcomes.push({ name: bench.name, ...outcome })
        console.log(`\n### ${outcome.title}\n\n${outcome.report}`)
      } catch (error) {
        // the others' numbers are worth having all the same
        console.log(`\n### ${bench.name}\n\nFailed: ${(error as Error).message}`)
        process.exitCode = 1
      } finally { await Promise.all(started.map((system) => system.stop())) }
    }
    if (gateway) {
      loss = logLoss(gateway, loader.answersFrom(gateway.port))
      console.log(`\nLog: ${loss.answers} answers received under load, ${loss.records} end records, ${loss.lost} lost.`)
      if (loss.lost > 0) process.exitCode = 1
    }
  } finally {
    await Promise.all(rivals.map((system) => system.stop()))
    await gateway?.stop()
    await mock.stop()
    await loader.stop()
  }
  if (values.json) await writeFile(values.json, `${JSON.stringify({ machine: where, placement: placement.words, plan, figures, loss, outcomes }, null, 1)}\n`)
}

if (values.help) console.log(`npm run bench -- [name…] [--seconds N] [--rounds N] [--cores N] [--portkey] [--litellm] [--against checkout] [--json file]\n\n${BENCHES.map(({ name, about }) => `  ${name.padEnd(12)} ${about}`).join('\n')}`)
else {
  await main().catch((error: unknown) => {
    console.error((error as Error).message)
    process.exitCode = 1
  })
}
