/**
 * One answer in several voices: a choice each, and an end record each. What fails in one is that choice's alone: it ends with
 * `finish_reason: "error"` and an `error` of its own. Where all fail, the answer fails.
 */
import type { Exchange, Receipt } from '../audit/log.ts'
import { ParallaxError } from '../errors.ts'
import type { Wire } from '../experts/expert.ts'
import { saidTokens } from '../limits/estimate.ts'
import type { Told } from './answer.ts'
import type { CacheStatus } from './cache-status.ts'
import type { Cast, Voice } from './cast.ts'
import { choicesOf, textOf, tokensOf, withMember, type Frame } from './completion.ts'
import { brokenStatus, endFields, receiptMember } from './exchange.ts'
import { ReaderGone } from './frame-stream.ts'
import type { Speech, Whole } from './speech.ts'

export interface SideBySide {
  readonly cast: Cast
  readonly exchange: Exchange
  readonly frame: Frame
  /** The log's name, for the receipts. */
  readonly origin: string
  readonly signal: AbortSignal
  readonly told: Pick<Told, 'tokens' | 'guessed' | 'failed' | 'firstChunkMs'>
  readonly cacheStatus: Pick<CacheStatus, 'stored'>
  readonly explain: (error: unknown) => unknown
  /** Given each voice's text once it is on record. */
  readonly whenSaid: (voice: Voice, text: string) => void
}

export interface Failure { readonly voice: Voice, readonly error: ParallaxError }

/** The one that is told where nobody has anything to say: it is everybody's first. */
export const SUMMARY_NEEDS = 2
export const noSummary = (): ParallaxError => new ParallaxError('expert_failed', `A summary needs at least ${SUMMARY_NEEDS} answers to compare; the others failed.`)

export const asError = (error: unknown): ParallaxError => error instanceof ParallaxError ? error : new ParallaxError('internal_error', 'The gateway failed to answer.', { cause: error })

/** A failed voice's choice as it is told. */
export const failedChoice = ({ voice, error }: Failure, form: 'message' | 'delta'): Wire => ({
  index: voice.choice,
  ...(form === 'message' ? { message: { role: 'assistant', content: null, refusal: null } } : { delta: {} }),
  logprobs: null, finish_reason: 'error', error: error.body().error, perspective: voice.disclosure.member,
})

const sum = (all: readonly (readonly [number, number])[]): [number, number] => all.reduce<[number, number]>(([a, b], [c, d]) => [a + c, b + d], [0, 0])

/** What was spent on all voices together, as each was counted, or with what each of the others said. */
export function tally (counted: readonly (readonly [number, number])[], uncounted: readonly number[]): Pick<Told, 'tokens' | 'guessed'> {
  const [prompt, completion] = sum(counted)
  if (uncounted.length === 0) return { tokens: [prompt, completion] }
  return { tokens: null, guessed: { prompts: uncounted.length, tokens: uncounted.reduce((total, said) => total + said, prompt + completion) } }
}

/** The usage of all voices together, as each was told; nothing where none said. */
export function addUsages (usages: readonly unknown[]): Wire | undefined {
  const said = usages.map(tokensOf).filter((one) => one !== null)
  if (said.length === 0) return undefined
  const [prompt, completion] = sum(said)
  const cached = usages.reduce<number>((total, usage) => total + Number(((usage as Wire | undefined)?.['prompt_tokens_details'] as Wire | undefined)?.['cached_tokens'] ?? 0), 0)
  return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion, ...(cached > 0 && { prompt_tokens_details: { cached_tokens: cached } }) }
}

interface Heard extends Whole { readonly voice: Voice, readonly text: string, readonly receipt: Receipt, readonly tokens: readonly [number, number] | null }

/** The answer's JSON text, with every receipt in its choice. Throws the first failure where all failed, and `audit_unavailable` where one is not on record. */
export async function answerSideBySide (job: SideBySide): Promise<string> {
  const { cast, exchange, frame, origin, signal } = job
  const sides = await Promise.allSettled(cast.voices.map((voice) => hear(voice, voice.speech)))
  refusedByLog(sides)
  const heard = sides.flatMap((one) => one.status === 'fulfilled' ? [one.value] : [])
  const failed: Failure[] = sides.flatMap((one, at) => one.status === 'rejected' ? [{ voice: cast.voices[at]!, error: asError(job.explain(one.reason)) }] : [])
  stillRead()
  if (heard.length === 0) throw failed[0]!.error
  if (cast.summary) {
    const { voice } = cast.summary
    const [summed] = await Promise.allSettled([heard.length < SUMMARY_NEEDS ? Promise.reject(noSummary()) : hear(voice, cast.summary.about(heard.map((one) => ({ label: one.voice.disclosure.member.label, text: textOf(one.completion) }))))])
    refusedByLog([summed])
    stillRead()
    if (summed.status === 'fulfilled') heard.push(summed.value)
    else failed.push({ voice, error: asError(job.explain(summed.reason)) })
  }
  const texts = new Map<number, string>(heard.map((one) => [one.voice.choice, withMember(one.text, 'audit', receiptMember(exchange.record, one.receipt, origin))]))
  await Promise.all(failed.map(async ({ voice, error }) => {
    const text = JSON.stringify(failedChoice({ voice, error }, 'message'))
    const receipt = await exchange.end({ choice: voice.choice, status: brokenStatus(error), answer: Buffer.from(text), fields: endFields({ disclosure: voice.disclosure, tokens: null, finish: ['error'], source: null, error }) })
    texts.set(voice.choice, withMember(text, 'audit', receiptMember(exchange.record, receipt, origin)))
  }))
  job.told.failed = failed.length
  const cut = signal.aborted ? failed.map(() => 0) : []
  Object.assign(job.told, tally(heard.flatMap((one) => one.tokens ? [one.tokens] : []), [...heard.flatMap((one) => one.tokens ? [] : [saidTokens(textOf(one.completion))]), ...cut]))
  const head = JSON.stringify({ id: frame.id, object: 'chat.completion', created: frame.created, model: frame.disclosure.model, usage: addUsages(heard.map((one) => one.completion['usage'])), perspective: frame.disclosure.member, audit: { record: exchange.record, origin } })
  return `${head.slice(0, -1)},"choices":[${[...texts].sort(([a], [b]) => a - b).map(([, text]) => text).join(',')}]}`

  /** For nobody nothing more is made, and no voice has failed. */
  function stillRead (): void { if (signal.reason instanceof ReaderGone) throw signal.reason }

  /** One voice's answer, on record by the time that it is returned. */
  async function hear (voice: Voice, speech: Speech): Promise<Heard> {
    const whole = await speech.whole(signal, exchange.record)
    const [first] = choicesOf(whole.completion)
    const text = JSON.stringify({ ...first, index: voice.choice, perspective: voice.disclosure.member, audit: undefined, error: undefined })
    const tokens = whole.spent ? tokensOf(whole.completion['usage']) : [0, 0] as const
    const receipt = await exchange.end({ choice: voice.choice, status: 'complete', answer: Buffer.from(text), fields: endFields({ disclosure: voice.disclosure, tokens, finish: [String(first?.finish_reason)], source: whole.source, joined: whole.joined }) })
    if (whole.keep(receipt.record)) job.cacheStatus.stored(voice.choice)
    job.whenSaid(voice, textOf(whole.completion))
    return { ...whole, voice, text, receipt, tokens }
  }
}

/** A log that refuses is graver than a voice that fails: nothing may be shown that it does not hold. */
function refusedByLog (settled: readonly PromiseSettledResult<unknown>[]): void {
  const refused = settled.find((one) => one.status === 'rejected' && one.reason instanceof ParallaxError && one.reason.code === 'audit_unavailable')
  if (refused) throw (refused as PromiseRejectedResult).reason
}
