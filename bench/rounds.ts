/** Puts systems under the same load in turn (A B C A B C …), so that a noisy minute hits all of them, and compares them round by round. */
import type { LoadJob, LoadResult } from './load-job.ts'
import type { Loader } from './loader.ts'
import type { Placement } from './placement.ts'
import { median, quantile, sum } from './statistics.ts'
import type { System } from './system.ts'

export interface Contestant {
  readonly system: System
  readonly job: Pick<LoadJob, 'request' | 'counterAt' | 'connections' | 'rate'>
}

export interface Measured {
  readonly name: string
  readonly answersPerSecond: number
  readonly eventsPerSecond: number
  /** Of the system's process, its threads and children; microseconds. NaN where it cannot be read. */
  readonly cpuPerAnswer: number
  readonly cpuPerEvent: number
  readonly p50: number
  readonly p99: number
  readonly first50: number
  readonly first99: number
  readonly bodyBytes: number
  /** Busiest share of the mock's and the load's own core time: near 1 the harness is what was measured. */
  readonly harnessBusy: number
  /** Share of all cores' time that processes not of this bench took. */
  readonly strangers: number
  readonly failures: number
  readonly firstFailure: string | null
  /** Everything answered over the whole run, ramps and warm-up included. */
  readonly answersInAll: number
  /** Each round's answers a second and CPU an answer, for the spread. */
  readonly rounds: readonly { readonly answersPerSecond: number, readonly cpuPerAnswer: number, readonly eventsPerSecond: number, readonly cpuPerEvent: number }[]
}

export interface Plan {
  readonly rounds: number
  readonly measureMs: number
  /** Once a system, so that its code is compiled: so many answers, or so long. A gateway goes on getting faster for ten thousands of requests. */
  readonly warmUpAnswers: number
  readonly warmUpMs: number
  /** Load before each window: until as many requests are under way as will be. */
  readonly rampMs: number
}

export async function compare (loader: Loader, placement: Placement, mock: System, contestants: readonly Contestant[], plan: Plan): Promise<Measured[]> {
  const results = contestants.map((): LoadResult[] => [])
  const before = contestants.map(() => ({ answers: 0, failures: 0, firstFailure: null as string | null }))
  const watch = ({ system }: Contestant) => ({ system: system.pid, ...(system.pid !== mock.pid && { mock: mock.pid }) })
  for (const [at, one] of contestants.entries()) {
    const { answersInAll, failures, firstFailure } = await loader.run({ ...one.job, port: one.system.port, rampMs: plan.warmUpMs, rampAnswers: plan.warmUpAnswers, measureMs: 100, watch: {} })
    before[at] = { answers: answersInAll, failures, firstFailure }
  }
  for (let round = 0; round < plan.rounds; round++) {
    for (const [at, one] of contestants.entries()) {
      results[at]!.push(await loader.run({ ...one.job, port: one.system.port, rampMs: plan.rampMs, measureMs: plan.measureMs, watch: watch(one) }))
    }
  }
  return contestants.map(({ system }, at) => summarise(system.name, results[at]!, before[at]!, placement))
}

function summarise (name: string, results: readonly LoadResult[], before: { answers: number, failures: number, firstFailure: string | null }, placement: Placement): Measured {
  const rounds = results.map(({ answers, events, seconds, cpu }) => ({
    answersPerSecond: answers / seconds,
    eventsPerSecond: events / seconds,
    cpuPerAnswer: cpu['system']! > 0 ? cpu['system']! / answers * 1e6 : NaN,
    cpuPerEvent: cpu['system']! > 0 && events > 0 ? cpu['system']! / events * 1e6 : NaN,
  }))
  const of = (key: keyof (typeof rounds)[number]) => median(rounds.map((round) => round[key]))
  const latencies = results.flatMap((result) => [...result.latencies])
  const firsts = results.flatMap((result) => [...result.firsts])
  const harnessCores = Math.max(1, placement.others.length)
  return {
    name,
    answersPerSecond: of('answersPerSecond'),
    eventsPerSecond: of('eventsPerSecond'),
    cpuPerAnswer: of('cpuPerAnswer'),
    cpuPerEvent: of('cpuPerEvent'),
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    first50: quantile(firsts, 0.5),
    first99: quantile(firsts, 0.99),
    bodyBytes: results.at(-1)?.bodyBytes ?? 0,
    harnessBusy: median(results.map(({ cpu, seconds }) => ((cpu['mock'] ?? 0) + (cpu['load'] ?? 0)) / seconds / harnessCores)),
    strangers: median(results.map(({ cpu, cores, seconds }) => Math.max(0, (sum(cores) - sum(Object.values(cpu))) / seconds / cores.length))),
    failures: before.failures + sum(results.map(({ failures }) => failures)),
    firstFailure: before.firstFailure ?? results.find(({ firstFailure }) => firstFailure !== null)?.firstFailure ?? null,
    answersInAll: before.answers + sum(results.map(({ answersInAll }) => answersInAll)),
    rounds,
  }
}

/** `of` against `base`, round by round: the median of the ratios and their range. */
export function ratio (of: Measured, base: Measured, key: keyof Measured['rounds'][number]): { readonly middle: number, readonly low: number, readonly high: number } {
  const ratios = of.rounds.map((round, at) => round[key] / base.rounds[at]![key])
  return { middle: median(ratios), low: Math.min(...ratios), high: Math.max(...ratios) }
}
