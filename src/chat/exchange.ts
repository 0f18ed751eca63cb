/** The leaves of one exchange: what is written at its begin and at its end. Knows the record's words, not how it is kept. */
import { newId } from '../ids.ts'
import type { EndStatus, Exchange, Json, LeafDraft, Receipt } from '../audit/log.ts'
import type { Disclosure, DisclosureMember } from '../disclosure/disclose.ts'
import { ParallaxError } from '../errors.ts'
import type { Caller } from '../keys/keys.ts'
import type { Ruling } from '../router/policy.ts'
import { ReaderGone } from './frame-stream.ts'

export interface BeginFacts {
  readonly caller: Caller
  readonly requestId: string
  readonly asked: string
  readonly stream: boolean
  /** Who was asked: a perspective's id, or the name of a mixture. */
  readonly route: string
  readonly disclosure: Disclosure
  /** How many voices answer, each with an end record of its own. */
  readonly voices: number
  readonly ruling: Ruling | null
  /** The tenant's own name for whoever asked. */
  readonly user?: string | undefined
}

/** Frozen, one a disclosure: its canonical text is then made once. */
const spoken = new WeakMap<Disclosure, Json>()

function spokenFor (disclosure: Disclosure): Json {
  let words = spoken.get(disclosure)
  if (words === undefined) {
    spoken.set(disclosure, words = Object.freeze({ ...wordsOf(disclosure.member), ...(disclosure.member.voices && { voices: disclosure.member.voices.map(wordsOf) }) }))
  }
  return words
}

/** What of a disclosure is on record: whose words, how they came to be asked, and by which weights. */
function wordsOf ({ id, mode, mixture, role, weights, draw, context, parts, expert }: DisclosureMember): { [name: string]: Json | undefined } {
  return {
    context, id, mode, mixture, role, weights,
    draw: draw && { ...draw },
    parts: parts?.map((part) => ({ adapter_sha256: part.adapter_sha256, id: part.id, weight: part.weight })),
    // a single voice's digest stands in the leaf itself
    ...(mode === 'overton' && { adapter_sha256: expert.adapter_sha256 }),
  }
}

/** `perspective` is who speaks; `asked` is who was asked, which differs where a policy text stands in. */
export function beginLeaf (facts: BeginFacts, raw: Uint8Array): LeafDraft {
  const { caller, disclosure, ruling } = facts
  return {
    type: 'completion.begin',
    id: newId(),
    key: caller.key,
    fields: {
      adapter_sha256: disclosure.member.expert.adapter_sha256,
      asked: facts.route,
      choices: facts.voices,
      model: disclosure.model,
      model_asked: facts.asked,
      notice: disclosure.member.notice,
      perspective: spokenFor(disclosure),
      policy: ruling ? { rule: ruling.rule, version: ruling.version } : undefined,
      request: facts.requestId,
      stream: facts.stream,
      tenant: caller.tenant,
    },
    payload: raw,
    owner: facts.user === undefined ? { tenant: caller.tenant } : { tenant: caller.tenant, user: facts.user },
  }
}

export interface EndFacts {
  readonly disclosure: Disclosure
  readonly tokens: readonly [number, number] | null
  readonly finish: readonly string[]
  /** The record that a cached answer came from. */
  readonly source: string | null
  /** The record of whoever made the call that this one joined. */
  readonly joined?: string | null
  readonly error?: unknown
}

/** `bytes_sent` is the log's to add where it journals; here stands what the answer was. */
export function endFields ({ disclosure, tokens, finish, source, joined, error }: EndFacts): Record<string, Json | undefined> {
  return {
    adapter_sha256: disclosure.member.expert.adapter_sha256,
    error: error === undefined ? undefined : error instanceof ParallaxError ? error.code : error instanceof ReaderGone ? 'client_abort' : 'internal_error',
    finish,
    joined: joined ?? undefined,
    model: disclosure.model,
    perspective: spokenFor(disclosure),
    source,
    tokens,
  }
}

/** The caller's end of a broken exchange: gone, or still there to be told. */
export const brokenStatus = (error: unknown): EndStatus => error instanceof ReaderGone ? 'client_abort' : 'upstream_error'

/** Ends an exchange that broke. What broke it is thrown on by the caller, unless the log itself cannot commit: then that is the error. */
export async function endBroken (exchange: Exchange, disclosure: Disclosure, error: unknown, choice = 0): Promise<void> {
  await exchange.end({ choice, status: brokenStatus(error), fields: endFields({ disclosure, tokens: null, finish: [], source: null, error }) })
}

/** The receipt as it travels with an answer. */
export const receiptMember = (record: string, receipt: Receipt, origin: string): Record<string, unknown> =>
  ({ record, index: receipt.index, leaf_hash: receipt.leaf_hash, origin, proof: `/audit/v1/log/proof/${receipt.index}` })
