/**
 * The story of one chat request: read it, find its route, put it on record, let the expert (or the policy, or the cache) answer,
 * and let nothing leave that the log does not hold. Knows nothing of Fastify.
 */
import type { Readable } from 'node:stream'
import type { AuditLog } from '../audit/log.ts'
import type { Cache, CachedAnswer } from '../cache/cache.ts'
import { cacheKey, cacheWish } from '../cache/key.ts'
import type { Config } from '../config.ts'
import { disclose, disclosePolicy, type Disclosure } from '../disclosure/disclose.ts'
import { ParallaxError } from '../errors.ts'
import type { Expert, Wire } from '../experts/expert.ts'
import type { Caller } from '../keys/keys.ts'
import type { Registry } from '../perspectives/registry.ts'
import type { Policy } from '../router/policy.ts'
import { route, type Route } from '../router/route.ts'
import { answerId, choicesOf, presentCompletion, textCompletion, toChunks, tokensOf, withMember, type Frame } from './completion.ts'
import { beginLeaf, endBroken, endFields, receiptMember } from './exchange.ts'
import { FrameStream, ReaderGone } from './frame-stream.ts'
import { conversationOf, endUser, expertRequest, parseChatRequest } from './request.ts'
import { relay } from './stream.ts'

/** What the reply has to say beside its body, filled in as it becomes known: errors carry what applies by then. */
export interface Told {
  disclosure?: Disclosure
  /** Set while the words are a model's (or were a model's when they were cached). */
  byModel?: boolean
  record?: string
  cacheStatus?: string
  /** `Admission.headers`: what the key has left. */
  limits?: Readonly<Record<string, string>>
  /** For the metrics: prompt and completion tokens; milliseconds from the request to the first words. */
  tokens?: readonly [number, number] | null
  firstChunkMs?: number
}

export interface ChatCall {
  readonly body: unknown
  /** The request as received: what the log keeps. */
  readonly raw: Uint8Array
  readonly perspectiveHeader: string | undefined
  readonly cacheControl: string | undefined
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
  /** Told about failures that the client only sees as `internal_error`. Never given prompts. */
  readonly onError: (error: unknown, requestId: string) => void
}

/** A JSON answer shows nothing before its end, so one commit may hold both its records; a slow one is on record after this long. */
const BEGIN_DEFER_MS = 250

export interface Chat {
  answer (call: ChatCall): Promise<ChatReply>
  /** Ends every answer that still runs with `shutting_down`: clients are told, records are closed. */
  breakOff (): void
  /** Breaks off, and resolves when every answer's record is closed. */
  close (): Promise<void>
}

export function makeChat (rooms: ChatRooms): Chat {
  const { config, audit, cache } = rooms
  const disclosures = new Map<string, Disclosure>()
  const running = new Map<AbortController, Promise<unknown>>()

  /** Remembers an answer until its record is closed, so that a shutdown can break it off and wait for it. */
  function track<T> (work: AbortController, part: Promise<T>): Promise<T> {
    const settled = part.then(() => {}, () => {}).then(() => { if (running.get(work) === settled) running.delete(work) })
    running.set(work, settled)
    return part
  }

  /** The same words for every answer of a perspective as long as its expert is the same. */
  function disclosureOf (chosen: Route, expert: Expert): Disclosure {
    let known = disclosures.get(chosen.perspective.id)
    if (!known) disclosures.set(chosen.perspective.id, known = disclose(chosen.perspective, chosen.mode, chosen.weights, expert.facts, config.provider))
    return known
  }

  async function answer (call: ChatCall): Promise<ChatReply> {
    const { told, caller } = call
    const request = parseChatRequest(call.body, config.limits)
    const chosen = route({ body: request.perspective, header: call.perspectiveHeader, model: request.model, keyDefault: caller.defaultPerspective }, rooms.perspectives)
    const ruling = rooms.policy.rule(conversationOf(request), new Date())
    const expert = rooms.experts.get(chosen.perspective.id)
    const disclosure = told.disclosure = ruling ? disclosePolicy(chosen.perspective, ruling) : expert ? disclosureOf(chosen, expert) : unserved(chosen)
    const forExpert = expertRequest(request)
    const wish = cacheWish(request, call.cacheControl)
    const key = !ruling && expert && (wish.read || wish.store) && config.cache.enabled
      ? cacheKey(forExpert, { tenant: caller.tenant, perspectives: [chosen.perspective.id], mode: chosen.mode, weights: chosen.weights, experts: [expert.facts] })
      : null
    const hit = key && wish.read ? fresh(await cache.get(key), wish.maxAge) : undefined
    if (key) told.cacheStatus = hit ? `parallax; hit; ttl=${config.cache.ttlSeconds - Math.floor((Date.now() - hit.stored) / 1000)}` : 'parallax; fwd=miss'
    else if (!ruling) told.cacheStatus = 'parallax; fwd=bypass'
    if (!ruling && !hit) {
      if (wish.onlyIfCached) throw new ParallaxError('only_if_cached', 'The request allows only a cached answer and there is none.')
      const availability = expert!.availability()
      if (!availability.ok) {
        throw new ParallaxError('expert_unavailable', `The perspective "${chosen.perspective.id}" cannot answer: ${availability.reason} No other perspective is used instead.`, { param: 'perspective', retryAfter: availability.retryAfter })
      }
    }

    const exchange = audit.open(
      beginLeaf({ caller, requestId: call.requestId, asked: request.model, stream: request.stream === true, route: chosen, disclosure, ruling, user: endUser(request) }, call.raw),
      request.stream ? {} : { deferMs: BEGIN_DEFER_MS })
    told.record = exchange.record
    told.byModel = !ruling
    const frame: Frame = { id: answerId(exchange.record), created: Math.floor(Date.now() / 1000), disclosure }
    const ready = ruling ? textCompletion(ruling.text, ruling.kind === 'refuse' ? 'content_filter' : 'stop') : hit?.completion
    const source = hit?.source ?? null
    const keep = key && wish.store && !hit ? (completion: Wire, end: string) => remember(key, completion, end, wish.maxAge) : undefined
    const timer = setTimeout(() => call.work.abort(new ParallaxError('expert_timeout', `The answer took longer than ${config.limits.totalMs} ms.`)), config.limits.totalMs)
    timer.unref()
    try {
      return await (request.stream ? streamed() : track(call.work, whole()))
    } catch (thrown) {
      clearTimeout(timer)
      const error = explain(thrown)
      // the record says how it ended before the caller is told; a log that refuses is the graver news
      await endBroken(exchange, disclosure, error)
      throw error
    }

    async function whole (): Promise<ChatReply> {
      const completion = ready ?? await expert!.complete(forExpert, call.work.signal)
      clearTimeout(timer)
      const tokens = told.tokens = source ? [0, 0] : tokensOf(completion['usage'])
      const text = JSON.stringify(presentCompletion(source ? unspent(completion) : completion, frame))
      const receipt = await exchange.end({
        status: 'complete',
        answer: Buffer.from(text),
        fields: endFields({ disclosure, tokens, finish: choicesOf(completion).map((choice) => String(choice.finish_reason)), source }),
      })
      if (keep?.(completion, receipt.record)) told.cacheStatus += '; stored'
      return { kind: 'json', text: withMember(text, 'audit', receiptMember(exchange.record, receipt, audit.tree.origin)) }
    }

    async function streamed (): Promise<ChatReply> {
      const begun = exchange.begun()
      begun.catch((error: unknown) => call.work.abort(error))
      const chunks = ready ? replay(source ? unspent(ready) : ready) : await expert!.stream(forExpert, call.work.signal)
      await begun
      const out = new FrameStream(config.limits.readerBufferBytes, config.limits.readerStallMs)
      out.once('close', () => { if (!out.readableEnded) call.work.abort(new ReaderGone('The client has left.')) })
      void track(call.work, relay({
        chunks, out, exchange, frame, source, told, explain, origin: audit.tree.origin,
        choices: ready ? choicesOf(ready).length : request.n ?? 1,
        usageWanted: request.stream_options?.include_usage === true,
        ...(keep && { whenWhole: keep }),
      })).finally(() => clearTimeout(timer))
      return { kind: 'stream', stream: out }
    }

    /** The reason behind an abort counts, not the abort; a defect of ours is logged here and told as such. */
    function explain (thrown: unknown): unknown {
      const error: unknown = call.work.signal.aborted ? call.work.signal.reason : thrown
      if (error instanceof ParallaxError || error instanceof ReaderGone) return error
      rooms.onError(error, call.requestId)
      return new ParallaxError('internal_error', 'The gateway failed to answer. The operator can find the cause in its log.', { cause: error })
    }
  }

  /** Keeps a whole answer; false where it is not one. */
  function remember (key: string, completion: Wire, source: string, maxAge: number | null): boolean {
    if (!choicesOf(completion).every((choice) => choice.finish_reason)) return false
    void cache.set(key, { completion, source, stored: Date.now(), tags: [] }, Math.min(maxAge ?? Infinity, config.cache.ttlSeconds))
    return true
  }

  function breakOff (): void {
    for (const work of running.keys()) work.abort(new ParallaxError('shutting_down', 'The gateway is shutting down; this answer was broken off. Ask again in a moment.', { retryAfter: 5 }))
  }

  async function close (): Promise<void> {
    breakOff()
    await Promise.all(running.values())
  }

  return { answer, breakOff, close }
}

const fresh = (entry: CachedAnswer | undefined, maxAge: number | null): CachedAnswer | undefined =>
  entry && (maxAge === null || Date.now() - entry.stored <= maxAge * 1000) ? entry : undefined

/** A cached answer reports the tokens of its source as cached, for none were spent on it. */
function unspent (completion: Wire): Wire {
  const usage = completion['usage'] as Record<string, unknown> | undefined
  return usage ? { ...completion, usage: { ...usage, prompt_tokens_details: { ...(usage['prompt_tokens_details'] as object | undefined), cached_tokens: usage['prompt_tokens'] } } } : completion
}

async function * replay (completion: Wire): AsyncGenerator<Wire[]> { yield toChunks(completion) }

function unserved (chosen: Route): never {
  throw new ParallaxError('expert_unavailable', `Nothing serves the perspective "${chosen.perspective.id}" at present. No other perspective is used instead.`, { param: 'perspective', retryAfter: 30 })
}

