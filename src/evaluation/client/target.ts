/** Who is evaluated: finds each perspective at the endpoint, what answers for it, and whether it can score texts. */
import { Endpoint, Refused } from './endpoint.ts'
import { EvaluationError } from '../evaluation-error.ts'

export type Side = 'left' | 'right'

export interface Target {
  /** As the report calls it. */
  readonly id: string
  /** As the endpoint calls it. */
  readonly model: string
  readonly side: Side | null
  readonly weights: { readonly model: string, readonly base_sha256: string | null, readonly adapter: string | null, readonly adapter_sha256: string | null } | null
}

export interface Found { readonly targets: readonly Target[], readonly base: Target, readonly scoring: { readonly ok: true } | { readonly ok: false, readonly reason: string } }

interface Listed { data?: { id?: unknown }[] }
interface Declared { id?: unknown, base?: { sha256?: unknown }, expert?: { model?: unknown, adapter?: unknown, adapter_sha256?: unknown, available?: unknown, reason?: unknown } }

const text = (value: unknown): string | null => typeof value === 'string' ? value : null

/** `models`: report id -> model name at the endpoint, where it is another. Throws EvaluationError naming what is missing. */
export async function findTargets (endpoint: Endpoint, wanted: readonly { readonly id: string, readonly side: Side | null }[], models: Readonly<Record<string, string>>, scoring: Endpoint | null): Promise<Found> {
  const listed = await endpoint.json('GET', '/v1/models').catch((error: unknown) => { throw error instanceof Refused ? refusal(error) : error }) as Listed
  const names = (listed.data ?? []).map(({ id }) => String(id))
  const declared = await endpoint.json('GET', '/v1/perspectives').then((body) => (body as { data?: Declared[] }).data ?? [], (error: unknown) => {
    if (error instanceof Refused) return [] // not one of our gateways: it declares nothing
    throw error
  })
  const targets = wanted.map(({ id, side }): Target => {
    const model = models[id] ?? id
    if (!names.includes(model)) throw new EvaluationError(`The endpoint knows no model ${JSON.stringify(model)}, which is to be evaluated as "${id}". It lists: ${names.join(', ') || 'none'}. Name another with --model ${id}=<name>.`)
    const one = declared.find((each) => each.id === model)
    if (one?.expert?.available === false) throw new EvaluationError(`The perspective "${model}" cannot answer: ${text(one.expert.reason) ?? 'no reason is given'}`)
    const weights = one ? { model: text(one.expert?.model) ?? model, base_sha256: text(one.base?.sha256), adapter: text(one.expert?.adapter), adapter_sha256: text(one.expert?.adapter_sha256) } : null
    return { id, model, side, weights }
  })
  const base = targets.find(({ side }) => side === null)
  if (!base) throw new EvaluationError('A baseline is needed: every side is measured against it.')
  return { targets, base, scoring: await canScore(scoring, targets) }
}

function refusal ({ status, message }: Refused): EvaluationError {
  if (status === 401 || status === 403) return new EvaluationError(`The endpoint refuses the key: ${message} Give one with --key-file, or in PARALLAX_KEY.`)
  return new EvaluationError(`The endpoint lists no models: ${message}`)
}

async function canScore (scoring: Endpoint | null, targets: readonly Target[]): Promise<Found['scoring']> {
  if (!scoring) return { ok: false, reason: 'no admin key was given, and scoring needs one' }
  for (const { model } of targets) {
    try {
      await scoring.json('POST', '/admin/v1/score', { perspective: model, items: [{ prompt: 'One', continuations: [' two'] }] })
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      if (error.status === 401 || error.status === 403) throw new EvaluationError(`The admin key is refused: ${error.message}`)
      return { ok: false, reason: error.code === 'scoring_unsupported' ? `what answers for "${model}" cannot score texts` : 'the endpoint has no scoring (only a Parallax gateway on the embedded engine does)' }
    }
  }
  return { ok: true }
}
