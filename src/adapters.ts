/**
 * Which adapter serves for a vLLM perspective, when an administrator exchanges it: on record before it is seen, kept over a restart.
 * The steps at vLLM are experts/vllm.ts's; what it shares with other exchanges is exchanges.ts's.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LeafDraft } from './audit/log.ts'
import type { Config } from './config.ts'
import { ParallaxError } from './errors.ts'
import type { Draining, Exchanges } from './exchanges.ts'
import type { ExpertConfig } from './expert-config.ts'
import type { Expert, ExpertFacts } from './experts/expert.ts'
import { PoolExpert } from './experts/pool.ts'
import { drain, ensureLoaded, switchAdapter, type Adapter } from './experts/vllm.ts'
import { newId } from './ids.ts'
import { writePrivate } from './private-file.ts'

/** What was exchanged, by perspective; `configured` is the adapter that the configuration named then: naming another there wins. */
type Kept = Record<string, Adapter & { readonly configured: string }>

const FILE = 'adapters.json'
/** A request that has chosen its expert has called it by then. */
const GRACE_MS = 1000

function readKept (dataDir: string): Kept {
  const path = join(dataDir, FILE)
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) as Kept : {}
}

/** The experts as configured, with what was exchanged since. */
export function withExchanged ({ experts, dataDir }: Pick<Config, 'experts' | 'dataDir'>): Config['experts'] {
  const kept = readKept(dataDir)
  return Object.fromEntries(Object.entries(experts).map(([id, one]) => {
    const mine = kept[id]
    if (one.wire !== 'vllm' || mine === undefined || mine.configured !== one.adapter) return [id, one]
    return [id, { ...one, adapter: mine.name, adapterSha256: mine.sha256, endpoints: one.endpoints.map((each) => ({ ...each, servedAs: mine.name })) } satisfies ExpertConfig]
  }))
}

export interface Exchange { readonly perspective: string, readonly adapter: string, readonly adapterSha256: string, readonly replaced: string | null, readonly unloading: boolean }

export interface Adapters {
  /** Throws `unknown_perspective`, `invalid_request`, `adapter_conflict`, `adapter_not_switched` or `audit_unavailable`; the adapter that was serving goes on then. */
  exchange (perspective: string, next: Adapter, options: { readonly by: string, readonly unload: boolean }): Promise<Exchange>
}

export interface AdapterRooms {
  /** As the operator wrote it. */
  readonly config: Pick<Config, 'experts' | 'dataDir'>
  /** Changed in place. */
  readonly experts: Map<string, Expert>
  readonly exchanges: Exchanges
  /** Puts what answers now on record, before it does, and in the same commit the leaves that say why. */
  readonly recordChange: (experts: ReadonlyMap<string, Pick<Expert, 'facts'>>, because: readonly LeafDraft[]) => Promise<void>
  readonly log: (level: 'info' | 'warn' | 'error', event: string, fields: Record<string, unknown>) => void
  readonly graceMs?: number
  /** Told when an adapter has ceased to serve a perspective: nothing is answered from copies of it any more. */
  readonly retired?: (perspective: string, adapterSha256: string | null) => void
}

export function makeAdapters ({ config, experts, exchanges, recordChange, log, graceMs = GRACE_MS, retired = () => {} }: AdapterRooms): Adapters {
  /** Name -> digest: a name that has meant other weights would make old records lie. */
  const meant = new Map<string, string>()
  for (const one of [...Object.values(config.experts), ...Object.values(readKept(config.dataDir)).map(({ name, sha256 }) => ({ adapter: name, adapterSha256: sha256 }))]) {
    if (one.adapter !== null && one.adapterSha256 !== null) meant.set(one.adapter, one.adapterSha256)
  }

  function find (id: string): { pool: PoolExpert, one: Extract<ExpertConfig, { wire: 'vllm' }> } {
    const [pool, one] = [experts.get(id), config.experts[id]]
    if (!pool) throw new ParallaxError('unknown_perspective', `The perspective ${JSON.stringify(id)} does not exist.`, { param: 'perspective' })
    if (!(pool instanceof PoolExpert) || one?.wire !== 'vllm' || pool.facts.adapter === null) throw new ParallaxError('invalid_request', `Only a perspective whose expert has "wire": "vllm" and an "adapter" can exchange it while it runs. Others change by configuration and a restart.`, { param: 'perspective' })
    return { pool, one }
  }

  async function exchange (id: string, next: Adapter, { by, unload }: { readonly by: string, readonly unload: boolean }): Promise<Exchange> {
    const { pool, one } = find(id)
    const { adapter: old, adapterSha256: oldDigest } = pool.facts
    const known = meant.get(next.name)
    if (known !== undefined && known !== next.sha256) throw new ParallaxError('adapter_conflict', `The name "${next.name}" has meant other weights (${known.slice(0, 12)}…). Names are immutable: choose a new one.`)
    if (next.name === pool.facts.model) throw new ParallaxError('adapter_conflict', `"${next.name}" is the name of the base model. Choose another.`)
    if (exchanges.draining().some(({ perspective, adapter }) => perspective === id && adapter === next.name)) throw new ParallaxError('adapter_conflict', `"${next.name}" is being unloaded. Wait until that is done.`)
    const other = [...experts].find(([each, { facts }]) => each !== id && facts.adapter === next.name)
    if (other) throw new ParallaxError('adapter_conflict', `"${next.name}" serves "${other[0]}". No adapter speaks for two perspectives.`)
    const unchanged = await exchanges.alone(async () => {
      if (next.name === old) {
        if (next.sha256 !== oldDigest) throw new ParallaxError('adapter_conflict', `"${next.name}" serves now, and its digest is ${oldDigest ?? 'not declared'}. Names are immutable: choose a new one.`)
        await ensureLoaded(pool, next)
        return { perspective: id, adapter: next.name, adapterSha256: next.sha256, replaced: null, unloading: false } as const
      }
      await switchAdapter(pool, next, {
        async record (facts: ExpertFacts) {
          const before = readKept(config.dataDir)
          const keep = (kept: Kept): void => { writePrivate(join(config.dataDir, FILE), `${JSON.stringify(kept, null, 2)}\n`) }
          // before the leaves: after a crash in between the next start serves the new one, and says so first
          keep({ ...before, [id]: { ...next, configured: one.adapter! } })
          try {
            await recordChange(new Map<string, Pick<Expert, 'facts'>>([...experts, [id, { facts }]]), [{
              type: 'model.loaded', id: newId(), key: by,
              fields: { model: facts.model, base_sha256: null, adapters: [{ perspective: id, adapter: next.name, adapter_sha256: next.sha256 }], replaces: { adapter: old, adapter_sha256: oldDigest }, unusable: [] },
            }])
          } catch (error) {
            keep(before)
            throw error
          }
        },
        place (made) { experts.set(id, made) },
      })
      return null
    })
    if (unchanged) return unchanged
    meant.set(next.name, next.sha256)
    log('info', 'adapter.switched', { perspective: id, adapter: next.name, replaced: old })
    retired(id, oldDigest)
    if (unload) letGo(id, pool, one.drainMs)
    return { perspective: id, adapter: next.name, adapterSha256: next.sha256, replaced: old, unloading: unload }
  }

  function letGo (perspective: string, old: PoolExpert, drainMs: number): void {
    exchanges.letGo({
      state: (): Draining[] => [{ perspective, adapter: old.facts.adapter!, running: old.running }],
      async end (signal) {
        const { drained, left } = await drain(old, { drainMs, graceMs, signal })
        log(left.length > 0 || !drained ? 'warn' : 'info', 'adapter.unloaded', { perspective, adapter: old.facts.adapter, drained, left })
      },
    })
  }

  return { exchange }
}
