/** Answers from the cache against a plain Fastify route that returns a constant of the same size. */
import type { Bench, Stage } from './bench.ts'
import { chatBody } from './request.ts'
import { compare, ratio } from './rounds.ts'
import type { System } from './system.ts'
import { comparisonTable, contestant, remarks } from './throughput.ts'

/** Asks once, so that the answer is in the cache, and once more to see that it is, and how long it is. */
async function warm (system: System): Promise<{ size: number, status: string | null }> {
  for (let ask = 0; ; ask++) {
    const response = await fetch(`http://127.0.0.1:${system.port}/v1/chat/completions`, { method: 'POST', headers: { ...system.headers, 'content-type': 'application/json' }, body: chatBody({}) })
    const size = (await response.arrayBuffer()).byteLength
    if (ask === 1) return { size, status: response.headers.get('cache-status') }
  }
}

export const hit: Bench = {
  name: 'hit',
  about: 'answers from the cache against a constant Fastify route',
  async run (stage: Stage) {
    const title = 'Answers from the cache, 32 connections'
    if (!stage.gateway) return { title, report: 'Skipped: there is no gateway to start.' }
    const { size, status } = await warm(stage.gateway)
    if (!/; *hit/.test(status ?? '')) return { title, report: `Skipped: the same request twice was not answered from the cache (Cache-Status: ${status}).` }
    const constant = await stage.start(`Fastify, a constant of ${size} bytes`, './constant-route.ts', String(size))
    // another gateway has no cache here, another checkout of ours has
    const measured = await compare(stage.loader, stage.placement, stage.mock, [constant, stage.gateway, ...stage.rivals.filter(({ headers }) => headers['authorization']?.startsWith('Bearer plx_'))].map((system) => contestant(system, {}, 32)), stage.plan)
    const [base, gateway] = measured
    return {
      title,
      report: `${comparisonTable(measured, base!)}\n\n${remarks(measured)}`,
      measured,
      figures: { 'hit.throughput': ratio(gateway!, base!, 'answersPerSecond').middle, 'hit.cpu': 1 / ratio(gateway!, base!, 'cpuPerAnswer').middle },
    }
  },
}
