/**
 * The story of one chat request: read it, find its route, cast who speaks, put it on record, let the voices (or the policy, or the cache) answer,
 * and let nothing leave that the log does not hold. Knows nothing of Fastify.
 */
import type { Readable } from 'node:stream'
import type { AuditLog } from '../audit/log.ts'
import type { Cache, Flights } from '../cache/cache.ts'
import { cacheWish } from '../cache/key.ts'
import type { Config } from '../config.ts'
import { disclosePolicy, type Disclosure } from '../disclosure/disclose.ts'
import type { Draws } from '../draws/draws.ts'
import { ParallaxError } from '../errors.ts'
import type { Expert } from '../experts/expert.ts'
import type { Idempotency } from '../idempotency/idempotency.ts'
import { keeping } from '../idempotency/keeping.ts'
import { checkIdempotencyKey, fingerprintOf } from '../idempotency/key.ts'
import type { Caller } from '../keys/keys.ts'
import { estimateTokens, promptTokens } from '../limits/estimate.ts'
import type { Limits } from '../limits/limits.ts'
import type { Registry } from '../perspectives/registry.ts'
import type { Policy, Ruling } from '../router/policy.ts'
import { route, type Route } from '../router/route.ts'
import { answerAgain, keptDisclosure } from './again.ts'
import { CacheStatus } from './cache-status.ts'
import { makeCaster, type Cast } from './cast.ts'
import { SpokenBefore } from './context.ts'
import { refuseNamedTwice } from './named-twice.ts'
import { perform } from './performance.ts'
import { conversationOf, endUser, parseChatRequest, type ChatRequest } from './request.ts'
import { fixedSpeech } from './speech.ts'

/** What the reply has to say beside its body, filled in as it becomes known: errors carry what applies by then. */
export interface Told {
  disclosure?: Disclosure
  /** Set while the words are a model's (or were a model's when they were cached). */
  byModel?: boolean
  record?: string
  /** Who was asked, as one word. */
  asked?: string
  cacheStatus?: string
  /** What is left of the caller's limits. */
  limitHeaders?: Readonly<Record<string, string>>
  /** The answer is one that was given before, to the same Idempotency-Key. */
  replayed?: boolean
  /** Voices of an answer that failed, where others did not. */
  failed?: number
  /** Prompt and completion tokens; null where not all of them were counted. */
  tokens?: readonly [number, number] | null
  /** Then, or where it was broken off: how often the prompt was read uncounted, and what is known or taken to have been spent besides. */
  guessed?: Guess
  /** For the metrics: milliseconds from the request to the first words. */
  firstChunkMs?: number
}

export interface Guess { readonly prompts: number, readonly tokens: number }

export interface ChatCall {
  readonly body: unknown
  /** The request as received: what the log keeps. */
  readonly raw: Uint8Array
  readonly perspectiveHeader: string | undefined
  readonly cacheControl: string | undefined
  readonly idempotencyKey: string | undefined
  readonly caller: Caller
  readonly requestId: string
  /** Aborted with ReaderGone when the client leaves. */
  readonly work: AbortController
  readonly told: Told
}

export type ChatReply = { readonly kind: 'json', readonly text: string } | { readonly kind: 'stream', readonly stream: Readable }

export interface ChatRooms {
  readonly config: Pick<Config, 'limits' | 'cache' | 'provider'>
  readonly perspectives: Registry
  readonly policy: Policy
  readonly experts: ReadonlyMap<string, Expert>
  readonly audit: AuditLog
  readonly cache: Cache
  readonly flights: Flights
  readonly draws: Draws
  readonly limits: Limits
  readonly idempotency: Idempotency
  /** Told about failures that the client only sees as `internal_error`. Never given prompts. */
  readonly onError: (error: unknown, requestId: string) => void
}

export interface Chat {
  answer (call: ChatCall): Promise<ChatReply>
  /** Ends every answer that still runs with `shutting_down`: clients are told, records are closed. */
  breakOff (): void
  /** Resolves when every answer that has begun by now is over: nobody is left who could have chosen an expert that was exchanged meanwhile. */
  passed (): Promise<void>
  /** Breaks off, and resolves when every answer's record is closed. */
  close (): Promise<void>
}

export function makeChat (rooms: ChatRooms): Chat {
  const { config, audit } = rooms
  const spoken = new SpokenBefore()
  const cast = makeCaster({ ...rooms, spoken })
  /** Answers whose records are not closed yet. */
  const running = new Map<AbortController, Promise<void>>()
  /** Those and the ones that are still choosing who answers. */
  const begun = new Set<Promise<void>>()
  let brokenOff = false

  function read ({ body, raw }: ChatCall): ChatRequest {
    refuseNamedTwice(raw)
    return parseChatRequest(body, config.limits)
  }

  const answer = (call: ChatCall): Promise<ChatReply> => call.idempotencyKey === undefined ? answerNew(call) : answerOnce(call, call.idempotencyKey)

  async function answerOnce (call: ChatCall, key: string): Promise<ChatReply> {
    const request = read(call)
    const { told, caller } = call
    const claim = await rooms.idempotency.claim(caller.tenant, checkIdempotencyKey(key), fingerprintOf(call.body, call.perspectiveHeader)).catch(async (refusal: unknown) => {
      // a refusal is a record: a flood of them has to meet the limits too
      await counted(call, request)
      throw refusal
    })
    if (claim.kind === 'new') {
      return keeping(claim, () => answerNew(call, request), () => told.record && told.disclosure && !told.failed ? { record: told.record, about: keptDisclosure(told.disclosure, told.asked!, told.byModel === true) } : null)
    }
    await counted(call, request)
    return answerAgain({ reply: claim.reply, audit, facts: { caller, requestId: call.requestId, asked: request.model, stream: request.stream === true, user: endUser(request) }, raw: call.raw, told })
  }

  /** A request that costs no token. */
  async function counted ({ caller, told }: ChatCall, request: ChatRequest): Promise<void> {
    const admission = await rooms.limits.admit({ key: caller.key, quota: caller.quota, stream: request.stream === true, tokens: 0 })
    told.limitHeaders = admission.headers
    await admission.settle(0)
  }

  async function answerNew (call: ChatCall, request = read(call)): Promise<ChatReply> {
    const { told, caller, work } = call
    const chosen = route({ body: request.perspective, header: call.perspectiveHeader, model: request.model, keyDefault: caller.defaultPerspective }, rooms.perspectives)
    const ruling = rooms.policy.rule(conversationOf(request), new Date())
    told.asked = askedName(chosen)
    const stream = request.stream === true
    const admission = await rooms.limits.admit({ key: caller.key, quota: caller.quota, stream, tokens: ruling ? 0 : estimateTokens(request, { completionTokens: config.limits.completionTokens, experts: expertsOf(chosen) }) })
    told.limitHeaders = admission.headers
    const leave = enter()
    try {
      const cacheStatus = new CacheStatus(told)
      const wish = cacheWish(request, call.cacheControl)
      const players = ruling
        ? fixed(ruling, disclosePolicy(told.asked, ruling))
        : await cast(chosen, { caller, requestId: call.requestId, request, wish, cacheStatus: (fate, choice) => { cacheStatus.add(fate, choice) } })
      told.disclosure = players.disclosure
      if (!ruling && wish.onlyIfCached && (players.summary || !players.voices.every(({ speech }) => speech.ready))) throw new ParallaxError('only_if_cached', 'The request allows only a cached answer ("Cache-Control: only-if-cached") and there is none. Ask without "only-if-cached" for a new one.')
      // nobody can speak: told as the refusal that it is
      const [first] = players.voices
      if (first?.speech.silent && players.voices.every(({ speech }) => speech.silent)) throw first.speech.silent
      // it was cast meanwhile, and nobody would wait for it
      if (brokenOff) throw shuttingDown()
      told.byModel = !ruling
      const { reply, over } = perform({
        cast: players, audit, limits: config.limits, raw: call.raw, stream, work, told, cacheStatus,
        facts: { caller, requestId: call.requestId, asked: request.model, stream, route: told.asked, ruling, user: endUser(request) },
        usageWanted: request.stream_options?.include_usage === true,
        whenSaid: (voice, text) => { if (!ruling) spoken.remember(caller.tenant, voice.id, text) },
        onError: (error) => { rooms.onError(error, call.requestId) },
        whenOver: () => {
          running.delete(work)
          leave()
          void admission.settle(spentTokens(told, work.signal, expertsOf(chosen), () => promptTokens(request)))
        },
      })
      running.set(work, over)
      return await reply
    } catch (error) {
      if (!running.has(work)) leave()
      // nothing was begun: what was reserved goes back
      if (!told.record) void admission.settle(0)
      throw error
    }
  }

  function enter (): () => void {
    const { promise, resolve } = Promise.withResolvers<void>()
    begun.add(promise)
    return () => { begun.delete(promise); resolve() }
  }

  const passed = async (): Promise<void> => { await Promise.all(begun) }

  function breakOff (): void {
    brokenOff = true
    for (const work of running.keys()) work.abort(shuttingDown())
  }

  async function close (): Promise<void> {
    breakOff()
    await Promise.all(running.values())
  }

  return { answer, breakOff, passed, close }
}

const shuttingDown = (): ParallaxError => new ParallaxError('shutting_down', 'The gateway is shutting down; this answer was broken off. Ask again in a moment.', { retryAfter: 5 })

/** A policy's text in the place of whoever was asked. */
function fixed ({ kind, text }: Ruling, disclosure: Disclosure): Cast {
  return { disclosure, voices: [{ choice: 0, id: 'policy', disclosure, facts: { model: 'none', adapter: null, adapterSha256: null }, speech: fixedSpeech(text, kind === 'refuse' ? 'content_filter' : 'stop') }], summary: null }
}

/** How many read the prompt: each side does, and a summary. */
const expertsOf = (chosen: Route): number => chosen.mode === 'overton' ? chosen.perspectives.length + (chosen.summary ? 1 : 0) : 1

/** What an answer cost: what the experts counted; of one that was left, or that nobody counted, the prompt and what had been said; nothing of one that failed. */
function spentTokens ({ tokens, guessed }: Told, { aborted }: AbortSignal, experts: number, prompt: () => number): number {
  if (tokens) return tokens[0] + tokens[1]
  if (tokens === undefined && !aborted) return 0
  const { prompts, tokens: besides } = guessed ?? { prompts: experts, tokens: 0 }
  return prompts * prompt() + besides
}

/** Who was asked, as one word. */
const askedName = (chosen: Route): string => chosen.mode === 'steerable' ? chosen.perspective.id : chosen.mode === 'overton' ? 'both' : chosen.mixture
