/** One answer: evaluates a prompt and yields whole pieces of text until the model, a stop string or a limit ends it. */
import type { LlamaModel, Token } from 'node-llama-cpp'
import { WholeCharacters } from './characters.ts'
import { BATCH_TOKENS, type Lease } from './contexts.ts'
import { sample } from './sampling.ts'
import { StopMatcher } from './stop.ts'
import { Refusal, type Job, type Piece, type TokenLogprob, type Usage } from './wire.ts'

export interface Ending { readonly finish: 'stop' | 'length', readonly usage: Usage }

/** How many tokens the answer may have. Throws Refusal, with the numbers, where the prompt leaves no room for one. */
export function roomFor (promptTokens: number, contextSize: number, atLeast = ''): number {
  if (promptTokens < contextSize) return contextSize - promptTokens
  throw new Refusal(400, 'context_length_exceeded', `The messages take ${atLeast}${promptTokens} tokens; the model's context holds ${contextSize}, the answer included. Send fewer or shorter messages.`, 'messages', { n_prompt_tokens: promptTokens, n_ctx: contextSize })
}

/** Throws Refusal where the prompt does not fit; the signal's reason where it was aborted. */
export async function * generate (model: LlamaModel, { sequence, pause }: Pick<Lease, 'sequence' | 'pause'>, prompt: readonly Token[], contextSize: number, job: Job, signal: AbortSignal): AsyncGenerator<Piece, Ending> {
  const limit = Math.min(job.maxTokens, roomFor(prompt.length, contextSize))
  const generated: Token[] = []
  const characters = new WholeCharacters((tokens, before) => model.detokenize(tokens, false, before))
  const stops = new StopMatcher(job.stop)
  let logprobs: TokenLogprob[] | null = job.topLogprobs === null ? null : []
  let finish: Ending['finish'] = 'length'

  // all but the last tokens step by step: a caller who leaves during a long prompt is noticed
  let at = 0
  for (; at + BATCH_TOKENS < prompt.length; at += BATCH_TOKENS) {
    await pause()
    await sequence.evaluateWithoutGeneratingNewTokens(prompt.slice(at, at + BATCH_TOKENS))
    signal.throwIfAborted()
  }
  await pause()
  for await (const { token, logprob } of sample(model, sequence, prompt.slice(at), job, generated)) {
    signal.throwIfAborted()
    if (model.isEogToken(token)) { finish = 'stop'; break }
    generated.push(token)
    if (logprob) logprobs!.push(logprob)
    const shown = stops.push(characters.push(token))
    if (shown !== '') {
      yield { text: shown, logprobs }
      if (logprobs) logprobs = []
    }
    if (stops.stopped) { finish = 'stop'; break }
    if (generated.length >= limit) break
    const others = pause()
    if (others) await others
  }
  if (!stops.stopped) {
    const rest = stops.push(characters.rest()) + (stops.stopped ? '' : stops.rest())
    if (stops.stopped) finish = 'stop'
    // log-probabilities of tokens that show nothing are told all the same
    if (rest !== '' || (logprobs !== null && logprobs.length > 0)) yield { text: rest, logprobs }
  }
  return { finish, usage: { promptTokens: prompt.length, completionTokens: generated.length } }
}
