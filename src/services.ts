/** Builds the rooms from the configuration, and takes them down again: the one place where an implementation is chosen. Knows nothing of HTTP. */
import { mkdirSync } from 'node:fs'
import { makeAdapters, withExchanged, type Adapters } from './adapters.ts'
import { Anchors } from './audit/anchor.ts'
import { fileTarget } from './audit/anchor/file.ts'
import type { Target } from './audit/anchor/target.ts'
import { urlTarget } from './audit/anchor/url.ts'
import { witnessTarget } from './audit/anchor/witness.ts'
import type { AuditLog, StoredRecord } from './audit/log.ts'
import { openAuditLog, openSharedDatabase } from './audit/open.ts'
import { adapterTag, perspectiveTag } from './cache/key.ts'
import { memoryCache } from './cache/memory.ts'
import { redisCache } from './cache/redis.ts'
import { makeFlights } from './cache/single-flight.ts'
import type { Cache, Flights } from './cache/cache.ts'
import { makeChat, type Chat } from './chat/answer.ts'
import { ConfigError, type AnchorConfig, type Config } from './config.ts'
import { recordConfiguration, recordModels } from './configured.ts'
import { epochDraws } from './draws/epochs.ts'
import { sqliteEpochs } from './draws/sqlite.ts'
import type { Engine } from './engine/engine.ts'
import { makeExchanges, type Exchanges } from './exchanges.ts'
import type { Expert } from './experts/expert.ts'
import type { Idempotency } from './idempotency/idempotency.ts'
import { memoryIdempotency } from './idempotency/memory.ts'
import { redisIdempotency } from './idempotency/redis.ts'
import { makeFeedback } from './feedback/collect.ts'
import type { Feedback } from './feedback/feedback.ts'
import { sqliteFeedback } from './feedback/sqlite.ts'
import type { KeyStore } from './keys/keys.ts'
import { openKeys } from './keys/open.ts'
import type { Limits } from './limits/limits.ts'
import { memoryLimits } from './limits/memory.ts'
import { redisLimits } from './limits/redis.ts'
import type { Perspective } from './perspectives/perspective.ts'
import { loadPerspectives, type Registry } from './perspectives/registry.ts'
import { loadPolicy, type Policy } from './router/policy.ts'
import { openRedis, type Redis } from './redis.ts'
import { makeRetention, type Retention } from './retention/retention.ts'
import { finishPending } from './release/force.ts'
import { makeReleases, type Releases } from './releases.ts'
import { buildExperts } from './serving.ts'

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
  /** The one that new answers come from. */
  readonly engine: Engine | null
  readonly adapters: Adapters
  readonly releases: Releases
  /** What is being exchanged, and what still answers what had begun. */
  readonly exchanges: Exchanges
  readonly audit: AuditLog
  readonly anchors: Anchors
  readonly keys: KeyStore
  readonly cache: Cache
  readonly flights: Flights
  readonly limits: Limits
  readonly idempotency: Idempotency
  readonly policy: Policy
  readonly retention: Retention
  readonly feedback: Feedback
  readonly chat: Chat
  close (): Promise<void>
}

/** How the stores are opened; a test hands in one that can be made to fail. */
export interface Openers { readonly audit?: (directory: string) => Promise<AuditLog> }

/** Throws ConfigError, PerspectiveError, PolicyError or the stores' own errors; what was opened by then is closed again. */
export async function buildServices (config: Config, log: ServiceLog, openers: Openers = {}): Promise<Services> {
  for (const root of config.perspectives) finishPending(root)
  const perspectives = loadPerspectives(config.perspectives)
  const strays = Object.keys(config.experts).filter((id) => !perspectives.list().some((one) => one.id === id))
  if (strays.length > 0) {
    throw new ConfigError(strays.map((id) => `experts.${id}: no perspective of this id is declared in ${config.perspectives.join(', ')}; known are ${perspectives.list().map((one) => one.id).join(', ') || 'none'}`))
  }
  const policy = loadPolicy({ electionWindows: config.policy.electionWindows })
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 })
  const closers: (() => Promise<void> | void)[] = []
  const url = config.redisUrl
  const redis = url === undefined ? null : async (name: string): Promise<Redis> => {
    const opened = await openRedis({ url, name, onState: (_, reason) => reason === null ? log('info', 'redis.up', { for: name }) : log('error', 'redis.down', { for: name, reason }) })
    closers.push(() => { opened.disconnect() })
    return opened
  }
  try {
    const audit = await (openers.audit?.(config.dataDir) ?? openAuditLog(config))
    closers.push(() => audit.close())
    const postgres = await openSharedDatabase(config)
    if (postgres) closers.push(() => postgres.close())
    const anchors = new Anchors({ tree: audit.tree, schedules: config.audit.anchors.map((one) => ({ target: targetOf(one), everySeconds: one.everySeconds })), log })
    closers.push(() => anchors.close())
    const keys = await openKeys(postgres, config.dataDir, { audit, quota: config.quota })
    closers.push(() => keys.close())
    const serving = { ...config, experts: withExchanged(config) }
    const { engine: first, experts, unserved } = buildExperts(serving, perspectives, log)
    const engine = { current: first }
    closers.push(() => engine.current?.close())
    // those of this moment, and those that were exchanged for others since
    closers.push(...[...experts.values()].map((expert) => () => expert.close()), async () => { await Promise.all([...experts.values()].map((expert) => expert.close())) })
    const configured = { config: serving, perspectives: perspectives.list(), policy, experts, audit }
    await recordConfiguration(configured)
    const watch = (one: Engine, list: readonly Perspective[]): void => recordModels(one, { ...configured, perspectives: list }, (error) => log('error', 'model.unrecorded', { error }))
    if (first) watch(first, perspectives.list())
    const shared = redis && config.cache.enabled && config.cache.bytes > 0 ? redisCache({ redis: await redis('cache'), namespace: audit.tree.origin }) : null
    const cache = shared ?? memoryCache(config.cache.enabled ? config.cache.bytes : 0)
    const flights = makeFlights(cache, shared?.claims)
    closers.push(() => cache.close())
    const exchanges = makeExchanges((error) => log('error', 'exchange.unfinished', { error }))
    closers.push(() => exchanges.close())
    const retired = (id: string, sha256: string | null): void => { Promise.resolve(cache.evict(sha256 === null ? perspectiveTag(id) : adapterTag(sha256))).catch((error: unknown) => log('error', 'cache.unevicted', { perspective: id, error })) }
    const adapters = makeAdapters({
      config, experts, exchanges, log, retired,
      recordChange: (now, because) => recordConfiguration({ ...configured, perspectives: perspectives.list(), experts: now }, because),
    })
    const releases = makeReleases({
      config: serving, perspectives, experts, engine, audit, exchanges, log, retired, watch,
      recordChange: (list, now, because) => recordConfiguration({ ...configured, perspectives: list, experts: now }, because),
      passed: () => chat.passed(),
    })
    const limits = redis ? redisLimits({ redis: await redis('limits'), namespace: audit.tree.origin }) : memoryLimits()
    closers.push(() => limits.close())
    if (config.databaseUrl !== undefined && !redis) log('warn', 'limits.local', { reason: 'DATABASE_URL is set and REDIS_URL is not: where several gateways share the log, each counts its limits and Idempotency-Keys for itself.' })
    const { ttlSeconds, bytes } = config.idempotency
    const idempotency = redis
      ? redisIdempotency({ redis: await redis('idempotency'), namespace: audit.tree.origin, ttlMs: ttlSeconds * 1000, erased: async (record) => isErased(await audit.record(record)) })
      : memoryIdempotency({ ttlMs: ttlSeconds * 1000, bytes })
    closers.push(() => idempotency.close())
    // loaded when they are chosen, like the log on PostgreSQL: without them the driver is not needed
    const said = postgres ? (await import('./feedback/postgres.ts')).postgresFeedback(postgres.database, postgres.key('feedback')) : sqliteFeedback(config.dataDir)
    const feedback = makeFeedback({ store: said, audit, onError: (error) => log('error', 'feedback.failed', { error }) })
    closers.push(() => feedback.close())
    const retention = makeRetention({ audit, cache, idempotency, feedback, days: config.audit.retentionDays || null, onError: (error) => log('error', 'retention.failed', { error }) })
    closers.push(() => retention.close())
    const epochs = postgres ? (await import('./draws/postgres.ts')).postgresEpochs(postgres.database, postgres.key('draws')) : sqliteEpochs(config.dataDir)
    const draws = epochDraws({ store: epochs, audit, epochMs: config.draws.epochHours * 3_600_000, onError: (error) => log('error', 'draws.failed', { error }) })
    closers.push(() => draws.close())
    const chat = makeChat({
      config, perspectives, policy, experts, audit, cache, flights, draws, limits, idempotency,
      onError: (error, requestId) => log('error', 'chat.failed', { requestId, error }),
    })
    closers.push(() => chat.close())
    anchors.start()
    return { config, perspectives, experts, unserved, get engine () { return engine.current }, adapters, releases, exchanges, audit, anchors, keys, cache, flights, limits, idempotency, policy, retention, feedback, chat, close: () => closeAll(closers) }
  } catch (error) {
    await closeAll(closers)
    throw error
  }
}

/** A record that is not there is one whose transcript nobody can have erased. */
const isErased = (found: StoredRecord | null): boolean => found?.payload.state === 'erased' || found?.payload.state === 'expired'

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
