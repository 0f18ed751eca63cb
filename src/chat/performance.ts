/**
 * One answer, from its begin record to its end: the voices speak whole or streamed, and nothing leaves that the log does not hold.
 * Knows nothing of how the voices were chosen.
 */
import type { Readable } from 'node:stream'
import type { AuditLog, Exchange } from '../audit/log.ts'
import type { Config } from '../config.ts'
import { ParallaxError } from '../errors.ts'
import { saidTokens } from '../limits/estimate.ts'
import type { Cast, Voice } from './cast.ts'
import type { CacheStatus } from './cache-status.ts'
import type { ChatReply, Told } from './answer.ts'
import { answerId, choicesOf, presentCompletion, textOf, textsOf, tokensOf, withMember, type Frame } from './completion.ts'
import { beginLeaf, endBroken, endFields, receiptMember, type BeginFacts } from './exchange.ts'
import { FrameStream, ReaderGone } from './frame-stream.ts'
import { answerSideBySide, type SideBySide } from './side-by-side.ts'
import { relay } from './stream.ts'
import { relaySideBySide } from './stream-side-by-side.ts'

export interface Performance {
  readonly cast: Cast
  readonly audit: AuditLog
  readonly limits: Config['limits']
  /** What the begin record says beside who speaks. */
  readonly facts: Omit<BeginFacts, 'disclosure' | 'voices'>
  /** The request as received. */
  readonly raw: Uint8Array
  readonly stream: boolean
  readonly usageWanted: boolean
  /** Aborted with ReaderGone when the client leaves. */
  readonly work: AbortController
  readonly told: Told
  readonly cacheStatus: CacheStatus
  /** Given each voice's text once it is on record. */
  readonly whenSaid: (voice: Voice, text: string) => void
  /** Told about a defect of ours, which the client sees as `internal_error` only. */
  readonly onError: (error: unknown) => void
  /** Called once, when the answer is over, whatever became of it. */
  readonly whenOver: () => void
}

/** A JSON answer shows nothing before its end, so one commit may hold both its records; a slow one is on record after this long. */
const BEGIN_DEFER_MS = 250

/** Resolves with what leaves; `over` when its record is closed. Rejects with what the caller is told instead, on record by then. */
export function perform (job: Performance): { readonly reply: Promise<ChatReply>, readonly over: Promise<void> } {
  const { cast: { disclosure, voices, summary }, told, work, limits, audit } = job
  const all = summary ? [...voices, summary.voice] : voices
  const exchange = audit.open(beginLeaf({ ...job.facts, disclosure, voices: all.length }, job.raw), job.stream ? {} : { deferMs: BEGIN_DEFER_MS })
  told.record = exchange.record
  const frame: Frame = { id: answerId(exchange.record), created: Math.floor(Date.now() / 1000), disclosure }
  const { origin } = audit.tree
  const timer = setTimeout(() => work.abort(new ParallaxError('expert_timeout', `The answer took longer than ${limits.totalMs} ms.`)), limits.totalMs)
  timer.unref()
  const sides: SideBySide | null = all.length > 1 ? { cast: job.cast, exchange, frame, origin, signal: work.signal, told, cacheStatus: job.cacheStatus, explain, whenSaid: job.whenSaid } : null
  /** A stream goes on when its reply has left. */
  let relayed: Promise<void> | undefined
  const reply = speak()
  const over = reply.then(() => relayed, () => {}).then(() => {
    clearTimeout(timer)
    job.whenOver()
  })
  return { reply, over }

  async function speak (): Promise<ChatReply> {
    try {
      if (!job.stream) return { kind: 'json', text: await (sides ? answerSideBySide(sides) : whole(voices[0]!)) }
      return { kind: 'stream', stream: await (sides ? streamedSideBySide(sides) : streamed(voices[0]!)) }
    } catch (thrown) {
      const error = explain(thrown)
      // the record says how it ended before the caller is told; a log that refuses is the graver news
      await Promise.all(all.map((voice) => endBroken(exchange, voice.disclosure, error, voice.choice)))
      throw error
    }
  }

  async function whole (voice: Voice): Promise<string> {
    const said = await voice.speech.whole(work.signal, exchange.record)
    const { completion, source, joined } = said
    const tokens = told.tokens = said.spent ? tokensOf(completion['usage']) : [0, 0]
    if (!tokens) told.guessed = { prompts: 1, tokens: saidTokens(textsOf(completion).join('')) }
    const text = JSON.stringify(presentCompletion(completion, frame))
    const receipt = await exchange.end({
      status: 'complete',
      answer: Buffer.from(text),
      fields: endFields({ disclosure, tokens, finish: choicesOf(completion).map((choice) => String(choice.finish_reason)), source, joined }),
    })
    job.whenSaid(voice, textOf(completion))
    if (said.keep(receipt.record)) job.cacheStatus.stored()
    return withMember(text, 'audit', receiptMember(exchange.record, receipt, origin))
  }

  async function streamed (voice: Voice): Promise<Readable> {
    const begun = begin(exchange)
    const said = await voice.speech.stream(work.signal, exchange.record)
    await begun
    const out = reader()
    relayed = relay({
      said, out, exchange, frame, told, explain, origin,
      usageWanted: job.usageWanted,
      whenSaid: (text) => { job.whenSaid(voice, text) },
    })
    return out
  }

  async function streamedSideBySide (together: SideBySide): Promise<Readable> {
    const begun = begin(exchange)
    const streams = voices.map((voice) => voice.speech.stream(work.signal, exchange.record))
    // one that accepts is enough to begin; where none does, the first one's refusal is the answer
    await Promise.any(streams).catch((none: unknown) => { throw (none as AggregateError).errors[0] })
    await begun
    const out = reader()
    relayed = relaySideBySide({ ...together, out, begun: streams, usageWanted: job.usageWanted, abort: (reason) => { work.abort(reason) } })
    return out
  }

  function reader (): FrameStream {
    const out = new FrameStream(limits.readerBufferBytes, limits.readerStallMs)
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
    job.onError(error)
    return new ParallaxError('internal_error', 'The gateway failed to answer. The operator can find the cause in its log.', { cause: error })
  }
}
