/**
 * What "progressive" and "conservative" meant on any day: the digests of perspectives, adapters and policy as leaves of the log, when they
 * have changed and when a model was loaded with them. Knows nothing of HTTP.
 */
import { hash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { AuditLog, Json, LeafDraft } from './audit/log.ts'
import { canonical } from './canonical.ts'
import type { Config } from './config.ts'
import type { Engine } from './engine/engine.ts'
import type { Expert } from './experts/expert.ts'
import { newId } from './ids.ts'
import type { Perspective } from './perspectives/perspective.ts'
import { writePrivate } from './private-file.ts'
import type { Policy } from './router/policy.ts'

const FILE = 'configuration.sha256'

interface Rooms {
  readonly config: Pick<Config, 'dataDir' | 'experts' | 'audit' | 'provider'>
  readonly perspectives: readonly Perspective[]
  readonly experts: ReadonlyMap<string, Pick<Expert, 'facts'>>
  readonly audit: Pick<AuditLog, 'append'>
}

const spokenBy = ({ config, experts }: Rooms, { id, alias, label, lean, version, sha256, base, adapter }: Perspective): Json => {
  const facts = experts.get(id)?.facts
  return {
    id, alias, label, lean, version,
    declaration_sha256: sha256,
    served_by: facts ? config.experts[id]?.wire ?? 'engine' : null,
    model: facts?.model ?? null,
    // a remote expert's base is what its operator says it is, and no business of the declaration's
    base_sha256: config.experts[id] ? null : base.sha256,
    adapter: facts ? facts.adapter : adapter?.name ?? null,
    adapter_sha256: facts?.adapterSha256 ?? null,
  }
}

/**
 * Appends `config.changed` where anything that an answer depends on is another than at the last start on this data directory, or where the
 * log has lost the leaf that said so. Throws `audit_unavailable`. `because`: leaves that say why, on record with it or not at all.
 */
export async function recordConfiguration (rooms: Rooms & { readonly audit: Pick<AuditLog, 'append' | 'record'>, readonly policy: Pick<Policy, 'version' | 'sha256' | 'electionWindows'> }, because: readonly LeafDraft[] = []): Promise<void> {
  const { config, perspectives, policy, audit } = rooms
  const now = {
    perspectives: perspectives.map((one) => spokenBy(rooms, one)),
    policy: { version: policy.version, sha256: policy.sha256, election_windows: policy.electionWindows.map((one) => ({ ...one, candidates: [...one.candidates] })) },
    provider: config.provider,
    retention_days: config.audit.retentionDays,
  }
  const digest = hash('sha256', canonical(now))
  const path = join(config.dataDir, FILE)
  const [before = null, told] = existsSync(path) ? readFileSync(path, 'utf8').trim().split(' ') : []
  // an older backup of the log may have been brought back since
  if (before === digest && told !== undefined && await audit.record(told) !== null) {
    if (because.length > 0) await audit.append(because)
    return
  }
  const id = newId()
  await audit.append([...because, { type: 'config.changed', id, key: null, fields: { ...now, digest, before } }])
  // after the leaf: a crash in between says it twice rather than never
  writePrivate(path, `${digest} ${id}\n`)
}

/** Appends `model.loaded` whenever the embedded engine begins to answer. A log that refuses is told to `onError`; it shows itself at readiness. */
export function recordModels (engine: Engine, rooms: Rooms, onError: (error: unknown) => void): void {
  let ready = false
  engine.onState(({ status, unusable = {} }) => {
    const was = ready
    ready = status === 'ready'
    if (!ready || was) return
    const served = rooms.perspectives.filter(({ id }) => !rooms.config.experts[id])
    const [first] = served
    if (!first) return
    rooms.audit.append([{
      type: 'model.loaded', id: newId(), key: null,
      fields: {
        model: first.base.model,
        base_sha256: first.base.sha256,
        adapters: served.flatMap(({ id, adapter }) => adapter && unusable[id] === undefined ? [{ perspective: id, adapter: adapter.name, adapter_sha256: adapter.sha256 }] : []),
        unusable: Object.keys(unusable),
      },
    }]).catch(onError)
  })
}
