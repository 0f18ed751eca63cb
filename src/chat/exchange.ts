/** The leaves of one exchange: what is written at its begin and at its end. Knows the record's words, not how it is kept. */
import { v7 as uuidv7 } from 'uuid'
import type { EndStatus, Exchange, Json, LeafDraft, Receipt } from '../audit/log.ts'
import type { Disclosure } from '../disclosure/disclose.ts'
import { ParallaxError } from '../errors.ts'
import type { Caller } from '../keys/keys.ts'
import type { Ruling } from '../router/policy.ts'
import type { Route } from '../router/route.ts'
import { ReaderGone } from './frame-stream.ts'

export interface BeginFacts {
  readonly caller: Caller
  readonly requestId: string
  readonly asked: string
  readonly stream: boolean
  readonly route: Route
  readonly disclosure: Disclosure
  readonly ruling: Ruling | null
}

const spokenFor = ({ member }: Disclosure): Json => ({ id: member.id, mode: member.mode, weights: member.weights, draw: member.draw })

/** `perspective` is who speaks; `asked` is who was asked, which differs where a policy text stands in. */
export function beginLeaf (facts: BeginFacts, raw: Uint8Array): LeafDraft {
  const { caller, disclosure, ruling } = facts
  return {
    type: 'completion.begin',
    id: uuidv7(),
    key: caller.key,
    fields: {
      tenant: caller.tenant,
      request: facts.requestId,
      model_asked: facts.asked,
      stream: facts.stream,
      choices: 1,
      asked: facts.route.perspective.id,
      perspective: spokenFor(disclosure),
      model: disclosure.model,
      adapter_sha256: disclosure.member.expert.adapter_sha256,
      notice: disclosure.member.notice,
      ...(ruling && { policy: { rule: ruling.rule, version: ruling.version } }),
    },
    payload: raw,
  }
}

export interface EndFacts {
  readonly disclosure: Disclosure
  readonly tokens: readonly [number, number] | null
  readonly finish: readonly string[]
  /** The record that a cached answer came from. */
  readonly source: string | null
  readonly error?: unknown
}

/** `bytes_sent` is the log's to add where it journals; here stands what the answer was. */
export function endFields ({ disclosure, tokens, finish, source, error }: EndFacts): Record<string, Json> {
  return {
    perspective: spokenFor(disclosure),
    model: disclosure.model,
    adapter_sha256: disclosure.member.expert.adapter_sha256,
    tokens,
    finish,
    source,
    ...(error !== undefined && { error: error instanceof ParallaxError ? error.code : error instanceof ReaderGone ? 'client_abort' : 'internal_error' }),
  }
}

/** The caller's end of a broken exchange: gone, or still there to be told. */
export const brokenStatus = (error: unknown): EndStatus => error instanceof ReaderGone ? 'client_abort' : 'upstream_error'

/** Ends an exchange that broke. What broke it is thrown on by the caller, unless the log itself cannot commit: then that is the error. */
export async function endBroken (exchange: Exchange, disclosure: Disclosure, error: unknown): Promise<void> {
  await exchange.end({ status: brokenStatus(error), fields: endFields({ disclosure, tokens: null, finish: [], source: null, error }) })
}

/** The receipt as it travels with an answer. */
export const receiptMember = (record: string, receipt: Receipt): Record<string, unknown> => ({ record, index: receipt.index, leaf_hash: receipt.leaf_hash })
