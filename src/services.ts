/** Builds the rooms from the configuration, and takes them down again: the one place where an implementation is chosen. Knows nothing of HTTP. */
import { join } from 'node:path'
import { mkdirSync } from 'node:fs'
import { Anchors } from './audit/anchor.ts'
import { fileTarget } from './audit/anchor/file.ts'
import type { Target } from './audit/anchor/target.ts'
import { urlTarget } from './audit/anchor/url.ts'
import { witnessTarget } from './audit/anchor/witness.ts'
import type { AuditLog } from './audit/log.ts'
import { openAuditLog } from './audit/open.ts'
import { memoryCache } from './cache/memory.ts'
import type { Cache } from './cache/cache.ts'
import { makeChat, type Chat } from './chat/answer.ts'
import { ConfigError, type AnchorConfig, type Config } from './config.ts'
import { recordConfiguration, recordModels } from './configured.ts'
import { startEngine, type Engine } from './engine/engine.ts'
import type { Availability, Expert } from './experts/expert.ts'
import { LlamaExpert } from './experts/llama.ts'
import { OpenAIExpert } from './experts/openai.ts'
import type { KeyStore } from './keys/keys.ts'
import { openKeyStore } from './keys/sqlite.ts'
import type { Limits } from './limits/limits.ts'
import { memoryLimits } from './limits/memory.ts'
import type { Perspective } from './perspectives/perspective.ts'
import { loadPerspectives, type Registry } from './perspectives/registry.ts'
import { makeRetention, type Retention } from './retention/retention.ts'

export interface ServiceLog {
  (level: 'info' | 'warn' | 'error', event: string, fields: Record<string, unknown>): void
}

export interface Services {
  readonly config: Config
  readonly perspectives: Registry
  /** Perspective id -> its expert. A perspective without one is known and cannot answer. */
  readonly experts: ReadonlyMap<string, Expert>
  /** Why a perspective has no expert, by id. */
  readonly unserved: ReadonlyMap<string, string>
  readonly engine: Engine | null
  readonly audit: AuditLog
  readonly anchors: Anchors
  readonly keys: KeyStore
  readonly cache: Cache
  readonly limits: Limits
  readonly retention: Retention
  readonly chat: Chat
  close (): Promise<void>
}

/** How the stores are opened; a test hands in one that can be made to fail. */
export interface Openers { readonly audit?: (directory: string) => Promise<AuditLog> }

/** Throws ConfigError, PerspectiveError or the stores' own errors; what was opened by then is closed again. */
export async function buildServices (config: Config, log: ServiceLog, openers: Openers = {}): Promise<Services> {
  const perspectives = loadPerspectives(config.perspectives)
  const strays = Object.keys(config.experts).filter((id) => !perspectives.list().some((one) => one.id === id))
  if (strays.length > 0) {
    throw new ConfigError(strays.map((id) => `experts.${id}: no perspective of this id is declared in ${config.perspectives.join(', ')}; known are ${perspectives.list().map((one) => one.id).join(', ') || 'none'}`))
  }
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 })
  const closers: (() => Promise<void> | void)[] = []
  try {
    const audit = await (openers.audit?.(config.dataDir) ?? openAuditLog(config))
    closers.push(() => audit.close())
    const anchors = new Anchors({ tree: audit.tree, schedules: config.audit.anchors.map((one) => ({ target: targetOf(one), everySeconds: one.everySeconds })), log })
    closers.push(() => anchors.close())
    const keys = await openKeyStore({ directory: config.dataDir, audit })
    closers.push(() => keys.close())
    const { engine, experts, unserved } = buildExperts(config, perspectives, log)
    if (engine) closers.push(() => engine.close())
    closers.push(...[...experts.values()].map((expert) => () => expert.close()))
    const configured = { config, perspectives: perspectives.list(), experts, audit }
    await recordConfiguration(configured)
    if (engine) recordModels(engine, configured, (error) => log('error', 'model.unrecorded', { error }))
    const cache = memoryCache(config.cache.enabled ? config.cache.bytes : 0)
    closers.push(() => cache.close())
    const limits = memoryLimits()
    closers.push(() => limits.close())
    const retention = makeRetention({ audit, cache, days: config.audit.retentionDays || null, onError: (error) => log('error', 'retention.failed', { error }) })
    closers.push(() => retention.close())
    const chat = makeChat({
      config, perspectives, experts, audit, cache,
      onError: (error, requestId) => log('error', 'chat.failed', { requestId, error }),
    })
    closers.push(() => chat.close())
    anchors.start()
    return { config, perspectives, experts, unserved, engine, audit, anchors, keys, cache, limits, retention, chat, close: () => closeAll(closers) }
  } catch (error) {
    await closeAll(closers)
    throw error
  }
}

/** In reverse of their opening, each even if another fails; the log is the last to go. */
async function closeAll (closers: (() => Promise<void> | void)[]): Promise<void> {
  const failures: unknown[] = []
  for (const close of closers.splice(0).reverse()) {
    try { await close() } catch (error) { failures.push(error) }
  }
  if (failures.length > 0) throw new AggregateError(failures, 'Not everything closed cleanly.')
}

function targetOf (anchor: AnchorConfig): Target {
  if (anchor.to === 'file') return fileTarget(anchor.path)
  return anchor.to === 'url' ? urlTarget(anchor.url, anchor.method) : witnessTarget(anchor.url, anchor.vkey)
}

interface ExpertRooms { readonly engine: Engine | null, readonly experts: Map<string, Expert>, readonly unserved: Map<string, string> }

function buildExperts (config: Config, perspectives: Registry, log: ServiceLog): ExpertRooms {
  const experts = new Map<string, Expert>()
  const unserved = new Map<string, string>()
  const embedded: Perspective[] = []
  for (const perspective of perspectives.list()) {
    const remote = config.experts[perspective.id]
    if (remote) {
      const facts = { model: remote.model, adapter: null, adapterSha256: remote.adapterSha256 ?? null }
      const options = { facts, baseUrl: remote.baseUrl, apiKey: remote.apiKey, limits: config.limits }
      experts.set(perspective.id, remote.wire === 'openai' ? new OpenAIExpert(options) : new LlamaExpert({ ...options, lora: remote.lora }))
    } else embedded.push(perspective)
  }
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
    contextSize: config.engine.contextSize,
    sequences: config.engine.sequences,
    queueLimit: config.engine.queueLimit,
    log,
  })
  for (const perspective of embedded) {
    experts.set(perspective.id, new LlamaExpert({
      facts: factsOf(perspective),
      baseUrl: 'http://engine/v1',
      socketPath: engine.socketPath,
      limits: config.limits,
      lora: tuned.map((adapter, id) => ({ id, scale: adapter.id === perspective.id ? 1 : 0 })),
      availability: () => engineAvailability(engine, perspective.id),
    }))
  }
  return { engine, experts, unserved }
}

const factsOf = (perspective: Perspective) => ({ model: perspective.base.model, adapter: perspective.adapter?.name ?? null, adapterSha256: perspective.adapter?.sha256 ?? null })

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
  return { facts: factsOf(perspective), availability: () => availability, complete: refuse, stream: refuse, close: async () => {} }
}
