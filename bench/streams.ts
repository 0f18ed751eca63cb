/** Streams: chunks a second through the relay against a raw undici pipe, and what the gateway adds to the time to the first chunk. */
import type { Bench, Outcome, Stage } from './bench.ts'
import { chatRequest } from './request.ts'
import { compare, ratio, type Contestant, type Measured } from './rounds.ts'
import type { System } from './system.ts'
import { fixed, percent, table, whole } from './table.ts'
import { contestant, harnessShare, remarks } from './throughput.ts'

const CHUNKS = 100
/** Streams until the code is compiled: each runs the relay a hundred times. */
const WARM_UP_STREAMS = 2_000
/** About 100 tokens a second, a quick hosted model. */
const PAUSE_MS = 10
/** Streams a second of the probe that finds out what half load is. */
const PROBE_RATE = 30
const PROBE_MS = 1_500
const HALF = 0.5

async function systems (stage: Stage): Promise<System[]> {
  return [
    await stage.start('mock alone', './mock-upstream.ts'),
    await stage.start('raw undici pipe', './raw-pipe.ts', `http://127.0.0.1:${stage.mock.port}`),
    ...(stage.gateway ? [stage.gateway] : []),
    ...stage.rivals,
  ]
}

export const relay: Bench = {
  name: 'relay',
  about: `streams of ${CHUNKS} chunks without pause, against a raw undici pipe`,
  async run (stage) {
    const asked = { stream: true, unique: true, chunks: CHUNKS }
    const measured = await compare(stage.loader, stage.placement, stage.mock, (await systems(stage)).map((system) => contestant(system, asked, 32)), { ...stage.plan, warmUpAnswers: WARM_UP_STREAMS })
    const base = measured[1]!
    const range = (one: Measured, key: 'eventsPerSecond' | 'cpuPerEvent') => {
      if (one === base) return '1'
      const { middle, low, high } = ratio(one, base, key)
      return `${fixed(middle, 2)} (${fixed(low, 2)}–${fixed(high, 2)})`
    }
    const report = table(
      ['system', 'chunks/s', 'of the pipe', 'CPU µs a chunk', 'CPU of the pipe', 'CPU µs a stream', 'failed', 'harness busy'],
      measured.map((one) => [one.name, whole(one.eventsPerSecond), range(one, 'eventsPerSecond'), fixed(one.cpuPerEvent, 1), range(one, 'cpuPerEvent'), whole(one.cpuPerAnswer), whole(one.failures), harnessShare(one)]))
    const gateway = stage.gateway ? measured[2] : undefined
    return {
      title: `Streams of ${CHUNKS} chunks, each in its own turn of the upstream's loop, 32 at once`,
      report: `${report}\n\n${remarks(measured)}`,
      measured,
      figures: gateway ? { 'relay.throughput': ratio(gateway, base, 'eventsPerSecond').middle, 'relay.cpu': 1 / ratio(gateway, base, 'cpuPerEvent').middle } : {},
    }
  },
}

/** Streams a second at which the system is busy half of its time; without CPU times, the probe's own rate. */
async function halfLoad ({ loader, plan }: Stage, { system, job }: Contestant): Promise<number> {
  const unpaced = chatRequest(system, { stream: true, unique: true, chunks: CHUNKS })
  await loader.run({ ...job, ...unpaced, port: system.port, connections: 32, rampMs: 4_000, rampAnswers: WARM_UP_STREAMS, measureMs: 100, watch: {} })
  const { cpu, answers } = await loader.run({ ...job, port: system.port, rate: PROBE_RATE, rampMs: plan.rampMs, measureMs: PROBE_MS, watch: { system: system.pid } })
  const seconds = cpu['system']! / answers
  return seconds > 0 ? Math.max(1, Math.round(HALF / seconds)) : PROBE_RATE
}

/** Open loop: streams begin at a steady rate, whatever the system does. */
export const firstChunk: Bench = {
  name: 'first-chunk',
  about: 'added time to the first chunk at half load',
  async run (stage): Promise<Outcome> {
    const asked = { stream: true, unique: true, chunks: CHUNKS, pauseMs: PAUSE_MS }
    // a stream lasts a second: the load is not what it will be before the first of them ended
    const rampMs = CHUNKS * PAUSE_MS + 300
    const plan = { ...stage.plan, rounds: Math.ceil(stage.plan.rounds * 0.6), warmUpMs: rampMs, rampMs }
    const all = await systems(stage)
    const slowest = stage.gateway ?? all[1]!
    const rate = await halfLoad({ ...stage, plan }, { system: slowest, job: { ...chatRequest(slowest, asked), connections: 0, rate: null } })
    const contestants = all.map((system): Contestant => ({ system, job: { ...chatRequest(system, asked), connections: 0, rate } }))
    const measured = await compare(stage.loader, stage.placement, stage.mock, contestants, plan)
    const [direct] = measured
    const report = table(
      ['system', 'first chunk p50 ms', 'p99 ms', 'added p50 ms', 'added p99 ms', 'streams/s', 'CPU µs a chunk', 'core busy', 'failed'],
      measured.map((one) => [one.name, fixed(one.first50, 2), fixed(one.first99, 2), one === direct ? '0' : fixed(one.first50 - direct!.first50, 2), one === direct ? '0' : fixed(one.first99 - direct!.first99, 2), fixed(one.answersPerSecond, 1), fixed(one.cpuPerEvent, 1), percent(one.cpuPerAnswer * one.answersPerSecond / 1e6), whole(one.failures)]))
    const gateway = stage.gateway ? measured[2] : undefined
    return {
      title: `Time to the first chunk: ${rate} streams a second of ${CHUNKS} chunks ${PAUSE_MS} ms apart, about half load for ${slowest.name}`,
      report: `${report}\n\n${remarks(measured)}`,
      measured,
      figures: gateway ? { 'firstChunk.addedP50': gateway.first50 - direct!.first50, 'firstChunk.addedP99': gateway.first99 - direct!.first99 } : {},
    }
  },
}
