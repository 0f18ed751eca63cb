/**
 * Relays an expert's chunks as ours: disclosure on the first, finish held back until the end record is durable, receipt on it.
 * A stream that broke ends with an error chunk and never with `[DONE]`.
 */
import type { Exchange } from '../audit/log.ts'
import { ParallaxError } from '../errors.ts'
import type { Wire } from '../experts/expert.ts'
import { saidTokens } from '../limits/estimate.ts'
import type { Told } from './answer.ts'
import { allTheirs, choicesOf, presentChunk, tokensOf, withMember, type Choice, type Frame } from './completion.ts'
import { endBroken, endFields, receiptMember } from './exchange.ts'
import { ReaderGone, type FrameStream } from './frame-stream.ts'
import type { Streamed } from './speech.ts'

export interface Relay {
  readonly said: Streamed
  readonly out: FrameStream
  readonly exchange: Exchange
  readonly frame: Frame
  /** The log's name, for the receipt. */
  readonly origin: string
  /** The client asked for the usage chunk; the upstream is always asked. */
  readonly usageWanted: boolean
  /** Told for the metrics. */
  readonly told: Pick<Told, 'tokens' | 'guessed' | 'firstChunkMs'>
  /** Given the first choice's text once it is complete and on record. */
  readonly whenSaid: (text: string) => void
  /** Turns whatever was thrown into what the client is told and the log records. */
  readonly explain: (error: unknown) => unknown
}

export const DONE = 'data: [DONE]\n\n'
export const data = (json: string): string => `data: ${json}\n\n`

/** Sent as soon as the begin record is durable and the expert has accepted: the headers leave before the first token. */
export const OPENING_COMMENT = Buffer.from(': parallax\n\n')

/** Runs to the end of the answer, whatever that is; never rejects. */
export async function relay (job: Relay): Promise<void> {
  const { out, exchange, frame } = job
  const { chunks, choices: wanted, source, joined, spent } = job.said
  const held: Wire[] = []
  const finish = new Map<number, string>()
  const otherUsage = job.usageWanted ? null : undefined
  let usage: unknown
  let opening = true
  let said = ''
  let pieces = 0
  const started = performance.now()
  // whoever leaves a replayed answer leaves one that cost nothing
  if (!spent) job.told.tokens = [0, 0]

  const present = (chunk: Wire): string => {
    const text = data(JSON.stringify(presentChunk(chunk, frame, opening, otherUsage)))
    opening = false
    return text
  }

  try {
    await out.write(OPENING_COMMENT)
    for await (const batch of chunks) {
      let text = ''
      for (const sent of batch) {
        const chunk = allTheirs(sent)
        if (chunk['usage']) usage = chunk['usage']
        const choices = choicesOf(chunk)
        const ending = choices.filter((choice) => choice.finish_reason)
        const piece = choices[0]?.delta?.['content']
        if (typeof piece === 'string' && !choices[0]!.index) said += piece
        if (ending.length === 0) {
          if (choices.length > 0) {
            text += present(chunk)
            pieces++
          }
          continue
        }
        for (const choice of ending) finish.set(choice.index ?? 0, String(choice.finish_reason))
        held.push({ ...chunk, choices: ending })
        const open = choices.filter((choice: Choice) => !choice.finish_reason)
        if (open.length > 0) text += present({ ...chunk, choices: open })
      }
      if (text === '') continue
      job.told.firstChunkMs ??= performance.now() - started
      await send(Buffer.from(text))
    }
    if (finish.size < wanted) {
      throw new ParallaxError('expert_failed', 'The expert\'s stream ended before its answer did. What came so far is not a whole answer.')
    }
    const frames = held.map((chunk) => JSON.stringify(presentChunk(chunk, frame, opening && chunk === held[0], otherUsage)))
    const closing = (job.usageWanted && usage ? data(JSON.stringify(presentChunk({ choices: [] }, frame, false, usage))) : '') + DONE
    // the log commits to the frames without the receipt, which cannot be in what it is a receipt for
    exchange.chunk(Buffer.from(frames.map(data).join('') + closing))
    // a replayed answer cost nobody a token
    const tokens: [number, number] | null = job.told.tokens = spent ? tokensOf(usage) : [0, 0]
    if (!tokens) job.told.guessed = { prompts: 1, tokens: saidTokens(said, pieces) }
    const receipt = await exchange.end({ status: 'complete', fields: endFields({ disclosure: frame.disclosure, tokens, finish: [...finish.values()], source, joined }) })
    const last = withMember(frames.pop()!, 'audit', receiptMember(exchange.record, receipt, job.origin))
    await out.write(Buffer.from([...frames, last].map(data).join('') + closing))
    out.end()
    job.whenSaid(said)
    job.said.keep(receipt.record)
  } catch (thrown) {
    await breakOff(job.explain(thrown))
  }

  function send (bytes: Uint8Array): Promise<void> | void {
    exchange.chunk(bytes)
    return out.write(bytes)
  }

  async function breakOff (error: unknown): Promise<void> {
    job.told.guessed = { prompts: 1, tokens: saidTokens(said, pieces) }
    const told = error instanceof ParallaxError ? error : new ParallaxError('internal_error', 'The gateway failed while it relayed the answer.', { cause: error })
    const bytes = Buffer.from(data(JSON.stringify(told.body())))
    const left = out.destroyed || error instanceof ReaderGone
    // each for itself: what the journal does not take must not leave the record open. Where the log refuses too, the client is told that the answer broke off, and recovery closes it
    try { if (!left) exchange.chunk(bytes) } catch { /* told below */ }
    await endBroken(exchange, frame.disclosure, error).catch(() => {})
    // a reader that takes nothing would never take the end either: its connection is cut
    if (left) { out.destroy(); return }
    try { await out.write(bytes) } catch { /* left meanwhile */ }
    out.end()
  }
}
