/**
 * Streams several voices at once, their chunks interleaved by index. Opens with a role for every index in order, for clients that build choices
 * by position; each finish waits for its own end record; the summary, where one is wanted, speaks when the others have ended.
 */
import { ParallaxError } from '../errors.ts'
import type { Wire } from '../experts/expert.ts'
import { saidTokens } from '../limits/estimate.ts'
import type { Voice } from './cast.ts'
import { choicesOf, presentChunk, theirs, tokensOf, withMember, type Choice } from './completion.ts'
import { brokenStatus, endFields, receiptMember } from './exchange.ts'
import { ReaderGone, type FrameStream } from './frame-stream.ts'
import { addUsages, asError, failedChoice, noSummary, SUMMARY_NEEDS, tally, type SideBySide } from './side-by-side.ts'
import { DONE, data, OPENING_COMMENT } from './stream.ts'
import type { Streamed } from './speech.ts'

export interface StreamedSideBySide extends SideBySide {
  readonly out: FrameStream
  readonly usageWanted: boolean
  /** The voices' streams, each accepted, refused or still asked. */
  readonly begun: readonly Promise<Streamed>[]
  /** Ends all voices at once. */
  readonly abort: (reason: unknown) => void
}

/** Runs to the end of every voice; never rejects. */
export async function relaySideBySide (job: StreamedSideBySide): Promise<void> {
  const { cast, exchange, frame, out, signal } = job
  const all = [...cast.voices, ...(cast.summary ? [cast.summary.voice] : [])]
  const usages: unknown[] = []
  /** What each voice cost, once it is counted; and of those that are asked, what they said by now. */
  const counted = new Map<Voice, readonly [number, number]>()
  const spoken = new Map<Voice, () => number>()
  const said = new Map<Voice, string>()
  const runs = new Map<Voice, Promise<void>>()
  const open = new Set(all)
  let failed = 0
  let firstError: ParallaxError | undefined
  /** The log refused: the client was told, and nothing that comes now may look like an end. */
  let broken = false
  const otherUsage = job.usageWanted ? null : undefined
  const started = performance.now()
  const present = (chunk: Wire, opening = false): string => JSON.stringify(presentChunk(chunk, frame, opening, otherUsage))

  try {
    await out.write(OPENING_COMMENT)
    for (const [at, voice] of all.entries()) {
      const chunk = { choices: [{ index: voice.choice, delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null, perspective: voice.disclosure.member }] }
      const bytes = Buffer.from(data(present(chunk, at === 0)))
      exchange.chunk(bytes, voice.choice)
      await out.write(bytes)
    }
  } catch (error) { job.abort(error) }
  for (const [at, voice] of cast.voices.entries()) runs.set(voice, run(voice, job.begun[at]!))
  await Promise.all(runs.values())
  if (cast.summary) {
    const { voice } = cast.summary
    // in the order of the choices, not in the one in which they ended: who is quick is not to be quoted first for it
    const speech = cast.summary.about(cast.voices.filter((one) => said.has(one)).map((one) => ({ label: one.disclosure.member.label, text: said.get(one)! })))
    await run(voice, said.size < SUMMARY_NEEDS ? Promise.reject(noSummary()) : speech.stream(signal, exchange.record))
  }
  Object.assign(job.told, tally([...counted.values()], [...spoken].flatMap(([voice, tokens]) => counted.has(voice) ? [] : [tokens()])))
  if (out.destroyed || (signal.aborted && signal.reason instanceof ReaderGone)) out.destroy()
  else out.end()

  /** Never rejects: what happens to one voice is told in its choice. */
  async function run (voice: Voice, begun: Promise<Streamed>): Promise<void> {
    spoken.set(voice, () => 0)
    try {
      const streamed = await begun
      if (!streamed.spent) counted.set(voice, [0, 0])
      const { words, usage, finish } = await speak(voice, streamed)
      const tokens = streamed.spent ? tokensOf(usage) : [0, 0] as [number, number]
      if (tokens) counted.set(voice, tokens)
      usages.push(usage)
      const text = present({ choices: [{ ...finish, index: voice.choice }] })
      await close(voice, text, { status: 'complete', fields: endFields({ disclosure: voice.disclosure, tokens, finish: [String(finish['finish_reason'])], source: streamed.source, joined: streamed.joined }) }, (endRecord) => {
        streamed.keep(endRecord)
        said.set(voice, words)
        job.whenSaid(voice, words)
      })
    } catch (thrown) {
      await fail(voice, job.explain(thrown))
    }
  }

  /** Relays one voice's words but for its finish. */
  async function speak (voice: Voice, { chunks }: Streamed) {
    let words = ''
    let pieces = 0
    spoken.set(voice, () => saidTokens(words, pieces))
    let usage: unknown
    let finish: Wire | undefined
    for await (const batch of chunks) {
      let text = ''
      for (const chunk of batch) {
        if (chunk['usage']) usage = chunk['usage']
        const [first] = choicesOf(chunk)
        if (!first) continue
        const choice = withoutRole(theirs(first))
        const piece = choice.delta?.['content']
        if (typeof piece === 'string') words += piece
        if (choice.finish_reason) finish = choice
        else {
          text += data(present({ choices: [{ ...choice, index: voice.choice }] }))
          pieces++
        }
      }
      if (text === '') continue
      job.told.firstChunkMs ??= performance.now() - started
      const bytes = Buffer.from(text)
      exchange.chunk(bytes, voice.choice)
      await out.write(bytes)
    }
    if (!finish) throw new ParallaxError('expert_failed', 'The expert\'s stream ended before its answer did. What came so far is not a whole answer.')
    return { words, usage, finish }
  }

  /** The last frame of a voice: on record before it is sent, with its receipt. The last of all carries the end of the stream, and leaves last. */
  async function close (voice: Voice, text: string, end: { status: 'complete' | ReturnType<typeof brokenStatus>, fields: ReturnType<typeof endFields> }, then?: (endRecord: string) => void): Promise<void> {
    const last = open.delete(voice) && open.size === 0
    const closing = last ? endOfStream() : ''
    exchange.chunk(Buffer.from(data(text) + closing), voice.choice)
    const receipt = await exchange.end({ choice: voice.choice, ...end })
    // another may be refused by the log yet: then this is no end of the answer
    if (last) await Promise.all([...runs].flatMap(([one, over]) => one === voice ? [] : [over]))
    if (!broken) await out.write(Buffer.from(data(withMember(text, 'audit', receiptMember(exchange.record, receipt, job.origin))) + closing))
    then?.(receipt.record)
  }

  /** Where every voice failed the stream broke, and says so instead of being done. */
  function endOfStream (): string {
    if (broken) return ''
    if (failed === all.length) return data(JSON.stringify(firstError!.body()))
    const usage = addUsages(usages)
    return (job.usageWanted && usage ? data(JSON.stringify(presentChunk({ choices: [] }, frame, false, usage))) : '') + DONE
  }

  async function fail (voice: Voice, thrown: unknown): Promise<void> {
    if (thrown instanceof ReaderGone || out.destroyed) {
      open.delete(voice)
      // who takes nothing from one takes nothing from the others
      job.abort(thrown)
      await exchange.end({ choice: voice.choice, status: brokenStatus(thrown), fields: endFields({ disclosure: voice.disclosure, tokens: null, finish: [], source: null, error: thrown }) }).catch(() => {})
      return
    }
    const error = asError(thrown)
    // what was broken off has cost what it said; what failed, nothing
    if (!signal.aborted) counted.set(voice, [0, 0])
    job.told.failed = ++failed
    firstError ??= error
    const end = { status: brokenStatus(error), fields: endFields({ disclosure: voice.disclosure, tokens: null, finish: ['error'], source: null, error }) }
    try {
      await close(voice, present({ choices: [failedChoice({ voice, error }, 'delta')] }), end)
    } catch (refusal) {
      await breakOff(asError(refusal))
      // also where not even the journal took its last frame; a record that is closed, or that the log refuses, stays as it is
      await exchange.end({ choice: voice.choice, ...end }).catch(() => {})
    }
  }

  /** Nothing more may be shown that the log does not hold: every voice ends, and no one is told that it is done. */
  async function breakOff (error: ParallaxError): Promise<void> {
    if (broken) return
    broken = true
    job.abort(error)
    try { await out.write(Buffer.from(data(JSON.stringify(error.body())))) } catch { /* left meanwhile */ }
  }
}

/** Every choice has its role already, from the frames that the stream opens with; a helper that adds up deltas would say it twice. */
function withoutRole (choice: Choice): Choice {
  if (choice.delta?.['role'] === undefined) return choice
  const { role: _role, ...delta } = choice.delta
  return { ...choice, delta }
}
