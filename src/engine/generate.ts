/** One answer: evaluates a prompt and yields whole pieces of text until the model, a stop string or a limit ends it. */
import { TokenBias, type LlamaContextSequence, type LlamaModel, type SequenceEvaluateOptions, type Token } from 'node-llama-cpp'
import { StopMatcher } from './stop.ts'
import { Refusal, type Job, type Piece, type TokenLogprob, type Usage } from './wire.ts'

/** Prompt tokens between two looks at whether the caller is still there. */
const PROMPT_STEP = 128
/** How far back repetition is looked for. */
const REPEAT_WINDOW = 64
/** A character of UTF-8 takes at most four tokens. */
const CHARACTER_TOKENS = 4
const UNFINISHED = '\ufffd'

export interface Ending { readonly finish: 'stop' | 'length', readonly usage: Usage }

/** Throws Refusal where the prompt does not fit; the signal's reason where it was aborted. */
export async function * generate (model: LlamaModel, sequence: LlamaContextSequence, prompt: readonly Token[], contextSize: number, job: Job, signal: AbortSignal): AsyncGenerator<Piece, Ending> {
  const room = contextSize - prompt.length
  if (room < 1) {
    throw new Refusal(400, 'context_length_exceeded', `The messages take ${prompt.length} tokens; the model's context holds ${contextSize}, the answer included. Send fewer or shorter messages.`, 'messages', { n_prompt_tokens: prompt.length, n_ctx: contextSize })
  }
  const limit = Math.min(job.maxTokens, room)
  const generated: Token[] = []
  const stops = new StopMatcher(job.stop)
  let pending: Token[] = []
  let before: readonly Token[] = []
  let logprobs: TokenLogprob[] | null = job.topLogprobs === null ? null : []
  let finish: Ending['finish'] = 'length'

  // all but the last token step by step: a caller who leaves during a long prompt is noticed
  let at = 0
  for (; at + PROMPT_STEP < prompt.length; at += PROMPT_STEP) {
    await sequence.evaluateWithoutGeneratingNewTokens(prompt.slice(at, at + PROMPT_STEP))
    signal.throwIfAborted()
  }
  for await (const { token, probabilities } of tokens(sequence, prompt.slice(at), samplingOf(model, job, generated), job.topLogprobs !== null)) {
    signal.throwIfAborted()
    if (model.isEogToken(token)) { finish = 'stop'; break }
    generated.push(token)
    if (probabilities) logprobs!.push(logprobOf(model, token, probabilities, job.topLogprobs!))
    pending.push(token)
    const text = model.detokenize(pending, false, before)
    if (!(text.endsWith(UNFINISHED) && pending.length < CHARACTER_TOKENS)) {
      before = pending
      pending = []
      const shown = stops.push(text)
      if (shown !== '') {
        yield { text: shown, logprobs }
        if (logprobs) logprobs = []
      }
      if (stops.stopped) { finish = 'stop'; break }
    }
    if (generated.length >= limit) break
  }
  const rest = stops.stopped ? '' : stops.push(pending.length > 0 ? model.detokenize(pending, false, before) : '') + stops.rest()
  if (rest !== '') yield { text: rest, logprobs }
  return { finish, usage: { promptTokens: prompt.length, completionTokens: generated.length } }
}

function samplingOf (model: LlamaModel, job: Job, generated: readonly Token[]): SequenceEvaluateOptions {
  const punish = job.repeatPenalty !== 1 || job.frequencyPenalty !== 0 || job.presencePenalty !== 0
  const bias = new TokenBias(model.tokenizer)
  for (const [token, value] of job.logitBias) bias.set(token as Token, { logit: value })
  return {
    temperature: job.temperature,
    topP: job.topP,
    topK: job.topK,
    minP: job.minP,
    ...(job.seed !== undefined && { seed: job.seed }),
    ...(punish && {
      repeatPenalty: {
        punishTokens: () => generated.slice(-REPEAT_WINDOW),
        maxPunishTokens: REPEAT_WINDOW,
        penalty: job.repeatPenalty,
        frequencyPenalty: job.frequencyPenalty,
        presencePenalty: job.presencePenalty,
      },
    }),
    ...(job.logitBias.size > 0 && { tokenBias: bias }),
    yieldEogToken: true,
  }
}

interface Step { readonly token: Token, readonly probabilities: Map<Token, number> | null }

async function * tokens (sequence: LlamaContextSequence, prompt: Token[], options: SequenceEvaluateOptions, withProbabilities: boolean): AsyncGenerator<Step> {
  if (withProbabilities) yield * sequence.evaluateWithMetadata(prompt, { probabilities: true }, options)
  else for await (const token of sequence.evaluate(prompt, options)) yield { token, probabilities: null }
}

function logprobOf (model: LlamaModel, token: Token, probabilities: ReadonlyMap<Token, number>, alternatives: number): TokenLogprob {
  const described = (one: Token) => {
    const text = model.detokenize([one], true)
    // JSON knows no minus infinity; OpenAI writes -9999 for it
    return { token: text, logprob: Math.max(-9999, Math.log(probabilities.get(one) ?? 0)), bytes: [...Buffer.from(text)] }
  }
  const top = alternatives === 0 ? [] : [...probabilities].toSorted(([, a], [, b]) => b - a).slice(0, alternatives).map(([one]) => described(one))
  return { ...described(token), top_logprobs: top }
}
