/**
 * Puts a released version in force in the running gateway: a second engine with its adapters, tested while nobody asks it; on record; decided on disk; then
 * seen. What had begun ends on the old one. A failure before the decision leaves the old version serving. What a release needs to pass is src/release's.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { AuditLog, Json, LeafDraft } from './audit/log.ts'
import type { Config } from './config.ts'
import type { Engine } from './engine/engine.ts'
import { ParallaxError } from './errors.ts'
import type { Exchanges } from './exchanges.ts'
import type { Expert } from './experts/expert.ts'
import { LlamaExpert } from './experts/llama.ts'
import { newId } from './ids.ts'
import type { Perspective } from './perspectives/perspective.ts'
import { registry, type Registry } from './perspectives/registry.ts'
import { decide, declaredBy, finishPending, together } from './release/force.ts'
import { refusedBefore, type Refusal } from './release/refused.ts'
import { readVersion, type Version } from './release/version.ts'
import type { ServiceLog } from './services.ts'
import { embed } from './serving.ts'

export interface Put { readonly version: string, readonly perspectives: readonly { readonly perspective: string, readonly adapter: string | null, readonly adapterSha256: string | null }[], readonly switched: boolean }

export interface Releases {
  /** Throws `adapter_conflict`, `adapter_not_switched` or `audit_unavailable`; the version that was serving goes on then. `sha256`: of the release that is meant. */
  put (version: string, sha256: string, by: string): Promise<Put>
  /** Puts refusals on record. */
  refuse (refusals: readonly Refusal[], by: string): Promise<void>
}

export interface ReleaseRooms {
  readonly config: Pick<Config, 'experts' | 'engine' | 'model' | 'limits'>
  readonly perspectives: Registry
  /** Changed in place. */
  readonly experts: Map<string, Expert>
  readonly engine: { current: Engine | null }
  readonly audit: Pick<AuditLog, 'append' | 'stream'>
  readonly exchanges: Exchanges
  /** Puts what will answer on record, and in the same commit the leaves that say why. */
  readonly recordChange: (perspectives: readonly Perspective[], experts: ReadonlyMap<string, Pick<Expert, 'facts'>>, because: readonly LeafDraft[]) => Promise<void>
  /** From here on the engine's restarts are on record. */
  readonly watch: (engine: Engine, perspectives: readonly Perspective[]) => void
  /** Told when an adapter has ceased to serve a perspective. */
  readonly retired: (perspective: string, adapterSha256: string) => void
  /** Resolves when all answers that have begun by now are over. */
  readonly passed: () => Promise<void>
  readonly log: ServiceLog
}

const POLL_MS = 50

export function makeReleases (rooms: ReleaseRooms): Releases {
  const { config, perspectives, experts, audit, exchanges, log } = rooms

  async function put (name: string, sha256: string, by: string): Promise<Put> {
    const { root } = understood(() => together(perspectives.list()))
    const version = understood(() => readVersion(root, name, { weights: false }))
    if (version.sha256 !== sha256) throw new ParallaxError('adapter_conflict', `The version ${name} in the gateway's folder of perspectives is another release than the one that is meant. Does the command work on the same folder (PARALLAX_PERSPECTIVES)?`)
    await isNotRefused(version)
    const declared = declaredBy(root, version)
    const before = perspectives.list()
    const strays = declared.filter(({ id }) => !before.some((one) => one.id === id))
    if (strays.length > 0) throw new ParallaxError('adapter_conflict', `The version ${name} declares ${strays.map(({ id }) => `"${id}"`).join(', ')}, which this gateway does not serve: a new perspective comes with a restart.`)
    const next = before.map((one) => declared.find(({ id }) => id === one.id) ?? one)
    const told = { version: name, perspectives: declared.map(({ id, adapter }) => ({ perspective: id, adapter: adapter?.name ?? null, adapterSha256: adapter?.sha256 ?? null })) }
    if (next.every((one, at) => one.sha256 === before[at]!.sha256)) return { ...told, switched: false }
    // names and aliases that clash: told before anything is begun
    understood(() => registry(next))
    remoteSidesServe(declared)
    await exchange(root, version, before, next, by)
    return { ...told, switched: true }
  }

  async function isNotRefused ({ manifest }: Version): Promise<void> {
    const refused: { adapters: Record<string, string>, at: string }[] = []
    // the log forgets nothing, whatever became of the file
    for await (const one of audit.stream({ type: 'release.refused' })) {
      const leaf = JSON.parse(one.leaf) as { t: number, adapters: { perspective: string, adapter_sha256: string }[] }
      refused.push({ adapters: Object.fromEntries(leaf.adapters.map((each) => [each.perspective, each.adapter_sha256])), at: new Date(leaf.t).toISOString() })
    }
    const found = refusedBefore(refused, Object.values(manifest.adapters).map(({ sha256 }) => sha256))
    if (found) throw new ParallaxError('adapter_conflict', `The gate refused this version's ${Object.keys(found.adapters).join(' and ')} on ${found.at.slice(0, 10)}, by its digest, and a refused release stays refused.`)
  }

  /** What others serve the gateway cannot load: it has to be there already, or the declaration would be false. */
  function remoteSidesServe (declared: readonly Perspective[]): void {
    for (const { id, adapter } of declared) {
      if (!config.experts[id] || adapter === null) continue
      const served = experts.get(id)?.facts.adapterSha256 ?? null
      if (served !== adapter.sha256) throw new ParallaxError('adapter_conflict', `"${id}" is served by a remote expert, with ${served === null ? 'weights whose digest is not declared' : `the adapter ${served.slice(0, 12)}…`}, not ${adapter.sha256.slice(0, 12)}…. Bring it there first (POST /admin/v1/experts/${id}/switch where it is vLLM, else its "adapterSha256" and a restart), then release again.`)
    }
  }

  async function exchange (root: string, { manifest, sha256 }: Version, before: readonly Perspective[], next: readonly Perspective[], by: string): Promise<void> {
    await exchanges.alone(async () => {
      const made = await startTested(config, next, log)
      const after = new Map([...experts, ...made.experts])
      try {
        await rooms.recordChange(next, after, [
          { type: 'release.accepted', id: newId(), key: by, fields: accepted(sha256, manifest, before) },
          ...(made.engine ? [{ type: 'model.loaded', id: newId(), key: by, fields: loaded(config, next) } as const] : []),
        ])
        // the last step that may fail: what is not copied now is copied before the next start reads
        try { decide(root, manifest.version) } catch (error) {
          await rooms.recordChange(before, experts, []).catch((cause: unknown) => { log('error', 'release.unrecorded', { error: cause }) })
          throw error
        }
      } catch (error) {
        await made.close()
        throw error instanceof ParallaxError ? error : new ParallaxError('adapter_not_switched', `The version ${manifest.version} cannot be put in force: ${(error as Error).message} The one that was serving goes on.`, { cause: error })
      }
      const old = [...made.experts.keys()].flatMap((id) => { const one = experts.get(id); return one ? [[id, one] as const] : [] })
      const oldEngine = rooms.engine.current
      // without a wait between: a request meets the old pair of declaration and expert, or the new one
      perspectives.replace(next)
      for (const [id, one] of made.experts) experts.set(id, one)
      if (made.engine) rooms.engine.current = made.engine
      try { finishPending(root) } catch (error) { log('error', 'release.unfinished', { version: manifest.version, error }) }
      if (made.engine) rooms.watch(made.engine, next)
      log('info', 'release.switched', { version: manifest.version, engine: made.engine?.state().pid })
      const served = new Set([...experts.values()].map(({ facts }) => facts.adapterSha256))
      for (const [id, { facts }] of old) if (facts.adapterSha256 !== null && !served.has(facts.adapterSha256)) rooms.retired(id, facts.adapterSha256)
      if (made.engine) letGo(old, oldEngine)
    })
  }

  function letGo (old: readonly (readonly [string, Expert])[], engine: Engine | null): void {
    const running = (one: Expert): number => one instanceof LlamaExpert ? one.transport.running : 0
    exchanges.letGo({
      state: () => old.map(([perspective, one]) => ({ perspective, adapter: one.facts.adapter ?? one.facts.model, running: running(one) })),
      async end (signal) {
        const quiet = async (): Promise<boolean> => {
          await rooms.passed()
          // who joined a call of the old one's is answered by it, too
          while (!signal.aborted && old.some(([, one]) => running(one) > 0)) await sleep(POLL_MS, undefined, { signal })
          return true
        }
        try {
          // no answer takes longer
          const drained = await Promise.race([quiet(), sleep(config.limits.totalMs, false, { signal })])
          log(drained ? 'info' : 'warn', 'release.drained', { drained })
        } finally {
          await Promise.all(old.map(([, one]) => one.close()))
          await engine?.close()
        }
      },
    })
  }

  return {
    put,
    async refuse (refusals, by) {
      await audit.append(refusals.map(({ adapters, at: _at, failed, ...about }) => ({
        type: 'release.refused', id: newId(), key: by,
        fields: { ...about, adapters: Object.entries(adapters).map(([perspective, adapter_sha256]) => ({ perspective, adapter_sha256 })), failed: failed.map((one) => ({ ...one })) },
      })))
    },
  }
}

export interface Tested { readonly engine: Engine | null, readonly experts: ReadonlyMap<string, Expert>, readonly close: () => Promise<void> }

/** An engine of its own for these declarations. It opens only when each adapter is the declared one, in effect, and kept apart from the others (A-B-A). Throws `adapter_not_switched`. */
export async function startTested (config: ReleaseRooms['config'], next: readonly Perspective[], log: ServiceLog): Promise<Tested> {
  const made = embed(config, next, log)
  const close = async (): Promise<void> => {
    await Promise.all([...made.experts.values()].map((one) => one.close()))
    await made.engine?.close()
  }
  const failed = async (reason: string): Promise<never> => {
    await close()
    throw new ParallaxError('adapter_not_switched', `The new version cannot answer: ${reason} The version before it stays in force.`)
  }
  const [absent] = made.unserved.values()
  if (absent !== undefined) return failed(`it cannot be tested. ${absent}`)
  if (!made.engine) return { ...made, close }
  try { await made.engine.ready() } catch (error) { return failed((error as Error).message) }
  const [broken] = Object.values(made.engine.state().unusable ?? {})
  return broken === undefined ? { ...made, close } : failed(broken)
}

/** What is wrong with files is told to the administrator who named them. */
function understood<T> (work: () => T): T {
  try { return work() } catch (error) {
    throw error instanceof Error ? new ParallaxError('adapter_conflict', error.message, { cause: error }) : error
  }
}

const named = (list: readonly Perspective[]): Json => list.flatMap(({ id, adapter }) => adapter ? [{ perspective: id, adapter: adapter.name, adapter_sha256: adapter.sha256 }] : [])

function accepted (sha256: string, { version, gate, report, adapters }: Version['manifest'], before: readonly Perspective[]): LeafDraft['fields'] {
  return {
    version,
    release_sha256: sha256,
    adapters: Object.entries(adapters).map(([perspective, one]) => ({ perspective, adapter: one.name, adapter_sha256: one.sha256 })),
    replaces: { versions: [...new Set(before.map((one) => one.version))], adapters: named(before) },
    report_sha256: report?.sha256 ?? null,
    // null: it was in force before there was a gate
    gate_sha256: gate?.sha256 ?? null,
    waived: (gate?.waived ?? []).map((one) => ({ ...one })),
  }
}

function loaded (config: ReleaseRooms['config'], next: readonly Perspective[]): LeafDraft['fields'] {
  const served = next.filter(({ id }) => !config.experts[id])
  return { model: served[0]!.base.model, base_sha256: served[0]!.base.sha256, adapters: named(served), unusable: [] }
}
