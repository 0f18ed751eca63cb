/** Which expert answers for which perspective: remote ones as configured, the embedded engine for the rest. Knows nothing of requests. */
import { join } from 'node:path'
import type { Config } from './config.ts'
import { startEngine, type Engine, type EngineOptions } from './engine/engine.ts'
import type { Availability, Expert } from './experts/expert.ts'
import { LlamaExpert } from './experts/llama.ts'
import { declaredServing } from './perspectives/as-served.ts'
import type { Perspective } from './perspectives/perspective.ts'
import type { Registry } from './perspectives/registry.ts'
import { remoteExperts } from './remote.ts'

export interface Serving { readonly engine: Engine | null, readonly experts: Map<string, Expert>, readonly unserved: Map<string, string> }

export function buildExperts (config: Config, perspectives: Registry, log: NonNullable<EngineOptions['log']>): Serving {
  const { engine, experts, unserved } = embed(config, perspectives.list(), log)
  return { engine, unserved, experts: new Map([...remoteExperts(config, log), ...experts]) }
}

/** An engine process of its own for what no remote expert is configured for. Nobody sees it yet. */
export function embed (config: Pick<Config, 'experts' | 'engine' | 'model' | 'limits'>, perspectives: readonly Perspective[], log: NonNullable<EngineOptions['log']>): Serving {
  const experts = new Map<string, Expert>()
  const unserved = new Map<string, string>()
  const embedded = perspectives.filter(({ id }) => !config.experts[id])
  if (embedded.length === 0) return { engine: null, experts, unserved }
  const why = !config.engine.enabled ? 'The embedded engine is switched off and no expert is configured for it.' : 'missing' in config.model ? config.model.missing : null
  if (why !== null || !('path' in config.model)) {
    for (const perspective of embedded) {
      const reason = why ?? ''
      unserved.set(perspective.id, reason)
      experts.set(perspective.id, absent(perspective, reason))
    }
    return { engine: null, experts, unserved }
  }
  const tuned = embedded.flatMap((perspective) => perspective.adapter ? [{ id: perspective.id, path: join(perspective.folder, perspective.adapter.file), sha256: perspective.adapter.sha256 }] : [])
  const engine = startEngine({
    modelPath: config.model.path,
    modelName: embedded[0]!.base.model,
    adapters: tuned,
    ...(config.engine.threads !== undefined && { threads: config.engine.threads }),
    ...(config.engine.contextThreads !== undefined && { contextThreads: config.engine.contextThreads }),
    contextSize: config.engine.contextSize,
    sequences: config.engine.sequences,
    queueLimit: config.engine.queueLimit,
    log,
  })
  for (const perspective of embedded) {
    experts.set(perspective.id, new LlamaExpert({
      facts: declaredServing(perspective),
      at: { baseUrl: 'http://engine/v1', socketPath: engine.socketPath, limits: config.limits },
      lora: tuned.map((adapter, id) => ({ id, scale: adapter.id === perspective.id ? 1 : 0 })),
      availability: () => engineAvailability(engine, perspective.id),
      scores: true,
    }))
  }
  return { engine, experts, unserved }
}

const ENGINE_RETRY_SECONDS = { starting: 2, restarting: 2, failed: 30, closed: 30 } as const

function engineAvailability (engine: Engine, perspective: string): Availability {
  const { status, reason, unusable } = engine.state()
  const broken = unusable?.[perspective]
  if (broken !== undefined) return { ok: false, reason: broken, retryAfter: ENGINE_RETRY_SECONDS.failed }
  if (status === 'ready') return { ok: true }
  return { ok: false, reason: reason ?? `The embedded engine is ${status}.`, retryAfter: ENGINE_RETRY_SECONDS[status] }
}

/** Stands where no model is to be had: says so, and answers nothing. */
function absent (perspective: Perspective, reason: string): Expert {
  const availability: Availability = { ok: false, reason, retryAfter: 60 }
  const refuse = (): never => { throw new Error(`absent expert of ${perspective.id} was called`) }
  return { facts: declaredServing(perspective), availability: () => availability, complete: refuse, stream: refuse, close: async () => {} }
}
