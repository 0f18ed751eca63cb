/** Requests a second and CPU time a request: the mock alone, a bare proxy, Parallax with everything on. Each request its own question, so the cache never hits. */
import type { Bench, Outcome, Stage } from './bench.ts'
import { chatRequest, type Asked } from './request.ts'
import { compare, ratio, type Contestant, type Measured } from './rounds.ts'
import type { System } from './system.ts'
import { fixed, percent, table, whole } from './table.ts'

const HEAD = ['system', 'requests/s', 'of the baseline', 'CPU µs a request', 'CPU of the baseline', 'p50 ms', 'p99 ms', 'failed', 'harness busy']
/** From here on the load, not the system, may be what was measured. */
const HARNESS_LIMIT = 0.85

export const contestant = (system: System, asked: Asked, connections: number): Contestant => ({ system, job: { ...chatRequest(system, asked), connections, rate: null } })

export const harnessShare = ({ harnessBusy }: Measured): string => `${percent(harnessBusy)}${harnessBusy > HARNESS_LIMIT ? ' (!)' : ''}`

const range = ({ middle, low, high }: ReturnType<typeof ratio>): string => `${fixed(middle, 2)} (${fixed(low, 2)}–${fixed(high, 2)})`

/** The table of a comparison; `base` is the row that the others are held against. */
export function comparisonTable (measured: readonly Measured[], base: Measured): string {
  const rows = measured.map((one) => [
    one.name,
    whole(one.answersPerSecond),
    one === base ? '1' : range(ratio(one, base, 'answersPerSecond')),
    whole(one.cpuPerAnswer),
    one === base ? '1' : range(ratio(one, base, 'cpuPerAnswer')),
    fixed(one.p50, 2),
    fixed(one.p99, 2),
    whole(one.failures),
    harnessShare(one),
  ])
  return table(HEAD, rows)
}

export function remarks (measured: readonly Measured[]): string {
  const strangers = Math.max(...measured.map((one) => one.strangers))
  const failed = measured.filter((one) => one.firstFailure !== null).map((one) => `${one.name}: ${one.failures} failed, the first with "${one.firstFailure}"`)
  return [`Other processes took up to ${percent(strangers)} of all cores' time meanwhile.`, ...failed].join(' ')
}

async function measure (stage: Stage, title: string, asked: Asked, connections: number, key: string): Promise<Outcome> {
  const upstream = `http://127.0.0.1:${stage.mock.port}`
  // a mock of its own for the row "mock alone", on the cores that the other systems have
  const mock = await stage.start('mock alone', './mock-upstream.ts')
  const proxy = await stage.start('bare proxy (Fastify, undici), piped', './bare-proxy.ts', upstream)
  const buffered = await stage.start('bare proxy, answer buffered', './bare-proxy.ts', upstream, 'buffered')
  const systems = [mock, proxy, buffered, ...(stage.gateway ? [stage.gateway] : []), ...stage.rivals]
  const measured = await compare(stage.loader, stage.placement, stage.mock, systems.map((system) => contestant(system, asked, connections)), stage.plan)
  const [, base, quickest] = measured
  const gateway = stage.gateway ? measured[3] : undefined
  const figures = gateway && base && quickest
    ? { [`${key}.throughputOfBuffered`]: ratio(gateway, quickest, 'answersPerSecond').middle, [`${key}.cpuOfBuffered`]: 1 / ratio(gateway, quickest, 'cpuPerAnswer').middle, [`${key}.throughput`]: ratio(gateway, base, 'answersPerSecond').middle, [`${key}.cpu`]: 1 / ratio(gateway, base, 'cpuPerAnswer').middle }
    : {}
  return { title, report: `${comparisonTable(measured, base!)}\n\n${remarks(measured)}`, measured, figures }
}

export const json: Bench = {
  name: 'json',
  about: 'JSON answers, upstream without delay, 32 connections',
  run: (stage) => measure(stage, 'JSON answers, the upstream answers at once, 32 connections', { unique: true }, 32, 'json'),
}

export const delay: Bench = {
  name: 'delay',
  about: 'JSON answers, upstream with 20 ms delay, 128 connections',
  // the wait evens it out: fewer rounds do
  run: (stage) => measure({ ...stage, plan: { ...stage.plan, rounds: Math.ceil(stage.plan.rounds * 0.6), warmUpMs: stage.plan.warmUpMs / 3 } }, 'JSON answers, the upstream takes 20 ms, 128 connections', { unique: true, delayMs: 20 }, 128, 'delay'),
}
