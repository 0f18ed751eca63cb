/** Remote experts from the configuration: each a pool of one endpoint or several, on the wire that they speak. Knows nothing of perspectives but their ids. */
import { readFileSync } from 'node:fs'
import type { Config } from './config.ts'
import type { EngineOptions } from './engine/engine.ts'
import type { ExpertConfig } from './expert-config.ts'
import { Endpoint } from './experts/endpoint.ts'
import type { Expert, ExpertFacts } from './experts/expert.ts'
import { LlamaExpert } from './experts/llama.ts'
import { checkServer, type ServerCheck } from './experts/llama-check.ts'
import { LoraxExpert } from './experts/lorax.ts'
import { OpenAIExpert } from './experts/openai.ts'
import { PoolExpert, type Member } from './experts/pool.ts'
import { probe } from './experts/probe.ts'
import { Transport } from './experts/transport.ts'

type Log = NonNullable<EngineOptions['log']>

/** Perspective id -> its expert. Checks of llama.cpp servers and health probes begin at once. */
export function remoteExperts (config: Pick<Config, 'experts' | 'limits'>, log: Log): Map<string, PoolExpert> {
  const wired = Object.entries(config.experts).map(([id, one]) => ({ id, one, transports: one.endpoints.map(({ baseUrl, apiKey }) => new Transport({ baseUrl, apiKey, limits: config.limits })) }))
  // one check a server, however many perspectives stand behind it
  const asked = new Map<string, { transport: Transport, settings: { name: string, lora: Extract<ExpertConfig, { wire: 'llama.cpp' }>['lora'] }[] }>()
  for (const { id, one, transports } of wired) {
    if (one.wire !== 'llama.cpp' || !one.check) continue
    for (const transport of transports) {
      const known = asked.get(transport.server)
      if (known) known.settings.push({ name: id, lora: one.lora })
      else asked.set(transport.server, { transport, settings: [{ name: id, lora: one.lora }] })
    }
  }
  const checks = new Map([...asked].map(([server, { transport, settings }]) => [server, checkServer({ transport, settings, log })]))
  return new Map(wired.map(({ id, one, transports }) => [id, poolOf(id, one, transports, checks, log)]))
}

function poolOf (id: string, one: ExpertConfig, transports: readonly Transport[], checks: ReadonlyMap<string, ServerCheck>, log: Log): PoolExpert {
  const { model, adapter, adapterSha256, pool } = one
  const facts: ExpertFacts = { model, adapter, adapterSha256 }
  const members = one.endpoints.map(({ name, weight, servedAs }, at): Member => {
    const transport = transports[at]!
    return { endpoint: new Endpoint({ name, weight, ...pool.breaker }), expert: expertAt(one, facts, transport, servedAs, checks.get(transport.server)) }
  })
  const { health } = pool
  const stops = health ? members.map(({ endpoint }, at) => probe(endpoint, transports[at]!, health, (unhealthy) => {
    log(unhealthy === null ? 'info' : 'warn', 'endpoint.health', { perspective: id, endpoint: endpoint.name, healthy: unhealthy === null })
  })) : []
  return new PoolExpert({
    facts, members, retries: pool.retries, hedgeMs: pool.hedgeMs ?? null,
    close: async () => {
      for (const stop of stops) stop()
      for (const { server } of transports) checks.get(server)?.close()
      await Promise.all(transports.map((transport) => transport.close()))
    },
  })
}

function expertAt (one: ExpertConfig, facts: ExpertFacts, transport: Transport, servedAs: string, check: ServerCheck | undefined): Expert {
  if (one.wire === 'llama.cpp') return new LlamaExpert({ facts, at: transport, servedAs, lora: one.lora, availability: check && (() => check.availability()), lost: check && (() => { check.lost() }) })
  if (one.wire === 'lorax') return new LoraxExpert({ facts, at: transport, servedAs, adapterSource: one.adapterSource, chatTemplate: one.chatTemplate && { source: readFileSync(one.chatTemplate.file, 'utf8'), eosToken: one.chatTemplate.eosToken } })
  return new OpenAIExpert({ facts, at: transport, servedAs })
}
