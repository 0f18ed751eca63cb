/**
 * The story of one chat request: read it, find its route, cast who speaks, put it on record, let the voices (or the policy, or the cache) answer,
 * and let nothing leave that the log does not hold. Knows nothing of Fastify.
 */
import type { Readable } from 'node:stream'
import type { AuditLog, Exchange } from '../audit/log.ts'
import type { Cache, Flights } from '../cache/cache.ts'
import { cacheWish } from '../cache/key.ts'
import type { Config } from '../config.ts'
import { disclosePolicy, type Disclosure } from '../disclosure/disclose.ts'
import type { Draws } from '../draws/draws.ts'
import { ParallaxError } from '../errors.ts'
import type { Expert } from '../experts/expert.ts'
import type { Caller } from '../keys/keys.ts'
import type { Registry } from '../perspectives/registry.ts'
import type { Policy, Ruling } from '../router/policy.ts'
import { route, type Route } from '../router/route.ts'
import { CacheStatus } from './cache-status.ts'
import { makeCaster, type Cast, type Voice } from './cast.ts'
import { answerId, choicesOf, presentCompletion, textOf, tokensOf, withMember, type Frame } from './completion.ts'
import { SpokenBefore } from './context.ts'
import { beginLeaf, endBroken, endFields, receiptMember } from './exchange.ts'
import { FrameStream, ReaderGone } from './frame-stream.ts'
import { conversationOf, endUser, parseChatRequest } from './request.ts'
import { answerSideBySide, type SideBySide } from './side-by-side.ts'
import { fixedSpeech } from './speech.ts'
import { relay } from './stream.ts'
import { relaySideBySide } from './stream-side-by-side.ts'

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
  readonly flights: Flights
  readonly draws: Draws
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
  const { config, audit } = rooms
  const spoken = new SpokenBefore()
  const cast = makeCaster({ ...rooms, spoken })
  const running = new Map<AbortController, Promise<unknown>>()

  /** Remembers an answer until its record is closed, so that a shutdown can break it off and wait for it. */
  function track<T> (work: AbortController, part: Promise<T>): Promise<T> {
    const settled = part.then(() => {}, () => {}).then(() => { if (running.get(work) === settled) running.delete(work) })
    running.set(work, settled)
    return part
  }

  async function answer (call: ChatCall): Promise<ChatReply> {
    const { told, caller, work } = call
    const request = parseChatRequest(call.body, config.limits)
    const chosen = route({ body: request.perspective, header: call.perspectiveHeader, model: request.model, keyDefault: caller.defaultPerspective }, rooms.perspectives)
    const ruling = rooms.policy.rule(conversationOf(request), new Date())
    const wish = cacheWish(request, call.cacheControl)
    const status = new CacheStatus(told)
    const players: Cast = ruling
      ? fixed(ruling, disclosePolicy(askedName(chosen), ruling))
      : await cast(chosen, { caller, requestId: call.requestId, request, wish, cacheStatus: (how, ttl) => { status.add(how, ttl) } })
    const { disclosure, voices, summary } = players
    told.disclosure = disclosure
    if (!ruling && wish.onlyIfCached && !voices.every(({ speech }) => speech.ready)) throw new ParallaxError('only_if_cached', 'The request allows only a cached answer and there is none.')
    // nobody can speak: told as the refusal that it is
    const [first] = voices
    if (first?.speech.silent && voices.every(({ speech }) => speech.silent)) throw first.speech.silent

    const count = voices.length + (summary ? 1 : 0)
    const exchange = audit.open(
      beginLeaf({ caller, requestId: call.requestId, asked: request.model, stream: request.stream === true, route: askedName(chosen), disclosure, voices: count, ruling, user: endUser(request) }, call.raw),
      request.stream ? {} : { deferMs: BEGIN_DEFER_MS })
    told.record = exchange.record
    told.byModel = !ruling
    const frame: Frame = { id: answerId(exchange.record), created: Math.floor(Date.now() / 1000), disclosure }
    const origin = audit.tree.origin
    const whenSaid = (voice: Voice, text: string): void => { if (!ruling) spoken.remember(caller.tenant, voice.id, text) }
    const timer = setTimeout(() => work.abort(new ParallaxError('expert_timeout', `The answer took longer than ${config.limits.totalMs} ms.`)), config.limits.totalMs)
    timer.unref()
    const sides: SideBySide | null = chosen.mode === 'overton' && !ruling ? { cast: players, exchange, frame, origin, signal: work.signal, told, explain, whenSaid } : null
    try {
      if (!request.stream) return { kind: 'json', text: await track(work, sides ? answerSideBySide(sides) : whole(voices[0]!)).finally(() => { clearTimeout(timer) }) }
      return { kind: 'stream', stream: await (sides ? streamedSideBySide(sides) : streamed(voices[0]!)) }
    } catch (thrown) {
      clearTimeout(timer)
      const error = explain(thrown)
      // the record says how it ended before the caller is told; a log that refuses is the graver news
      await Promise.all([...voices, ...(summary ? [summary.voice] : [])].map((voice) => endBroken(exchange, voice.disclosure, error, voice.choice)))
      throw error
    }

    async function whole (voice: Voice): Promise<string> {
      const said = await voice.speech.whole(work.signal, exchange.record)
      const { completion, source, joined } = said
      const tokens = told.tokens = said.spent ? tokensOf(completion['usage']) : [0, 0]
      const text = JSON.stringify(presentCompletion(completion, frame))
      const receipt = await exchange.end({
        status: 'complete',
        answer: Buffer.from(text),
        fields: endFields({ disclosure, tokens, finish: choicesOf(completion).map((choice) => String(choice.finish_reason)), source, joined }),
      })
      whenSaid(voice, textOf(completion))
      if (said.keep(receipt.record)) status.stored()
      return withMember(text, 'audit', receiptMember(exchange.record, receipt, origin))
    }

    async function streamed (voice: Voice): Promise<Readable> {
      const begun = begin(exchange)
      const said = await voice.speech.stream(work.signal, exchange.record)
      await begun
      const out = reader()
      void track(work, relay({
        said, out, exchange, frame, told, explain, origin,
        usageWanted: request.stream_options?.include_usage === true,
        whenSaid: (text) => { whenSaid(voice, text) },
      })).finally(() => { clearTimeout(timer) })
      return out
    }

    async function streamedSideBySide (job: SideBySide): Promise<Readable> {
      const begun = begin(exchange)
      const streams = voices.map((voice) => voice.speech.stream(work.signal, exchange.record))
      // one that accepts is enough to begin; where none does, the first one's refusal is the answer
      await Promise.any(streams).catch((none: unknown) => { throw (none as AggregateError).errors[0] })
      await begun
      const out = reader()
      void track(work, relaySideBySide({ ...job, out, begun: streams, usageWanted: request.stream_options?.include_usage === true, abort: (reason) => { work.abort(reason) } })).finally(() => { clearTimeout(timer) })
      return out
    }

    function reader (): FrameStream {
      const out = new FrameStream(config.limits.readerBufferBytes, config.limits.readerStallMs)
      out.once('close', () => { if (!out.readableEnded) work.abort(new ReaderGone('The client has left.')) })
      return out
    }

    /** A begin that the log refuses ends the work at once. */
    function begin (one: Exchange): Promise<void> {
      const begun = one.begun()
      begun.catch((error: unknown) => { work.abort(error) })
      return begun
    }

    /** The reason behind an abort counts, not the abort; a defect of ours is logged here and told as such. */
    function explain (thrown: unknown): unknown {
      const error: unknown = work.signal.aborted ? work.signal.reason : thrown
      if (error instanceof ParallaxError || error instanceof ReaderGone) return error
      rooms.onError(error, call.requestId)
      return new ParallaxError('internal_error', 'The gateway failed to answer. The operator can find the cause in its log.', { cause: error })
    }
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

/** A policy's text in the place of whoever was asked. */
function fixed ({ kind, text }: Ruling, disclosure: Disclosure): Cast {
  return { disclosure, voices: [{ choice: 0, id: 'policy', disclosure, speech: fixedSpeech(text, kind === 'refuse' ? 'content_filter' : 'stop') }], summary: null }
}

/** Who was asked, as one word. */
const askedName = (chosen: Route): string => chosen.mode === 'steerable' ? chosen.perspective.id : chosen.mode === 'overton' ? 'both' : chosen.mixture
