/** How likely the model finds given texts: evaluates a prompt once, each continuation after it, and reads their log-probabilities. Generates nothing. */
import type { LlamaModel, Token } from 'node-llama-cpp'
import { z } from 'zod'
import { BATCH_TOKENS, type Lease } from './contexts.ts'
import type { Prompt } from './prompt.ts'
import { lora, message, readMessages, Refusal, type Message } from './wire.ts'

const item = z.strictObject({
  messages: z.array(message).min(1).optional(),
  prompt: z.string().optional(),
  continuations: z.array(z.string().min(1)).min(1).max(64),
}).refine((one) => (one.messages === undefined) !== (one.prompt === undefined), { error: 'wanted either "messages", written by the chat template, or "prompt", taken as it is' })

const request = z.looseObject({ lora: lora.nullish(), items: z.array(item).min(1).max(64) })

/** Tokens that one request may have evaluated: a minute or two of the engine's time, and no more. */
export const SCORE_TOKENS = 16_384

export interface ScoreItem { readonly messages: readonly Message[] | null, readonly prompt: string, readonly continuations: readonly string[] }
export interface ScoreJob { readonly lora: readonly { readonly id: number, readonly scale: number }[], readonly items: readonly ScoreItem[] }

/** `tokens` are those that were scored. */
export interface Score { readonly tokens: number, readonly sum: number, readonly mean: number }
export interface ScoredItem { readonly prompt_tokens: number, readonly continuations: readonly Score[] }

/** Throws Refusal naming the member. */
export function readScoreJob (body: unknown): ScoreJob {
  const parsed = request.safeParse(body)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!
    throw new Refusal(400, 'invalid_request', `"${issue.path.join('.') || 'body'}": ${issue.message}`, issue.path[0] === undefined ? null : String(issue.path[0]))
  }
  return {
    lora: parsed.data.lora ?? [],
    items: parsed.data.items.map((one) => ({ messages: one.messages ? readMessages(one.messages) : null, prompt: one.prompt ?? '', continuations: one.continuations })),
  }
}

export interface TokenItem { readonly prompt: readonly Token[], readonly continuations: readonly (readonly Token[])[] }

/** A continuation is tokenized apart from the prompt, as one that the model wrote would be. Throws Refusal where one does not fit, or all of them are too many. */
export function tokenItems (model: LlamaModel, toPrompt: Prompt, contextSize: number, { items }: ScoreJob): TokenItem[] {
  let all = 0
  return items.map(({ messages, prompt, continuations }, place) => {
    const refuse = (why: string): Refusal => new Refusal(400, 'invalid_request', `"items.${place}": ${why}`, 'items')
    const letters = prompt.length + continuations.reduce((sum, text) => sum + text.length, 0)
    // tokenizing blocks everybody's answers: what cannot be short enough is not tokenized
    if (letters > SCORE_TOKENS * 16) throw refuse(`its texts have ${letters} characters; ${SCORE_TOKENS * 16} are the most.`)
    const before = messages ? toPrompt(messages) : model.tokenize(prompt, false)
    const after = continuations.map((text) => model.tokenize(text, false))
    for (const tokens of after) {
      // without a prompt the first token has nothing before it
      if (before.length === 0 && tokens.length < 2) throw refuse('a continuation of one token needs a prompt before it.')
      if (before.length + tokens.length > contextSize) throw new Refusal(400, 'context_length_exceeded', `"items.${place}": prompt and continuation have ${before.length + tokens.length} tokens; the context holds ${contextSize}.`, 'items', { n_prompt_tokens: before.length + tokens.length, n_ctx: contextSize })
    }
    all += before.length + after.reduce((sum, tokens) => sum + tokens.length, 0)
    if (all > SCORE_TOKENS) throw refuse(`up to here the request has ${all} tokens; ${SCORE_TOKENS} are the most. Send fewer items a request.`)
    return { prompt: before, continuations: after }
  })
}

/** On a fresh sequence. The prompt's state serves every continuation; each is taken off again before the next. */
export async function scoreItem ({ sequence, pause }: Pick<Lease, 'sequence' | 'pause'>, { prompt, continuations }: TokenItem, signal: AbortSignal): Promise<ScoredItem> {
  const shared = prompt.slice(0, -1)
  for (let at = 0; at < shared.length; at += BATCH_TOKENS) {
    signal.throwIfAborted()
    await pause()
    await sequence.evaluateWithoutGeneratingNewTokens(shared.slice(at, at + BATCH_TOKENS))
  }
  const scores: Score[] = []
  for (const continuation of continuations) {
    const tokens = prompt.length > 0 ? [prompt.at(-1)!, ...continuation] : continuation
    let sum = 0
    for (let at = 0; at + 1 < tokens.length; at += BATCH_TOKENS) {
      signal.throwIfAborted()
      await pause()
      const targets = tokens.slice(at + 1, at + 1 + BATCH_TOKENS)
      const results = await sequence.controlledEvaluate(targets.map((target, place) => [tokens[at + place]!, { generateNext: asked(target) }]))
      for (const [place, target] of targets.entries()) sum += logprobOf(results[place]!.next, target)
    }
    scores.push({ tokens: tokens.length - 1, sum, mean: sum / (tokens.length - 1) })
    if (continuations.length > 1) await sequence.eraseContextTokenRanges([{ start: shared.length, end: sequence.nextTokenIndex }])
  }
  return { prompt_tokens: prompt.length, continuations: scores }
}

/** Temperature 0 selects the likeliest, which the total is relative to: so no sorting of the whole vocabulary. */
const asked = (target: Token) => ({ totalLogitWeight: true, logits: { filter: { tokens: [target], includeSelected: true } }, options: { temperature: 0 } })

function logprobOf (next: { readonly logits?: ReadonlyMap<Token, number> | undefined, readonly totalLogitWeight?: number | undefined }, target: Token): number {
  const logits = next.logits!
  return Math.min(0, logits.get(target)! - Math.max(...logits.values()) - Math.log(next.totalLogitWeight!))
}
