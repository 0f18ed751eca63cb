/** The next token: by llama.cpp's own samplers, or here where log-probabilities are asked for, which those give only after they have cut. */
import { TokenBias, type LlamaContextSequence, type LlamaModel, type SequenceEvaluateOptions, type Token } from 'node-llama-cpp'
import { Refusal, type Job, type TokenLogprob } from './wire.ts'

/** How far back repetition is looked for. */
const REPEAT_WINDOW = 64
/** JSON knows no minus infinity; OpenAI writes this for it. */
const LEAST_LOGPROB = -9999

export interface Step { readonly token: Token, readonly logprob: TokenLogprob | null }

type Options = Pick<SequenceEvaluateOptions, 'repeatPenalty' | 'tokenBias'>

/** Tokens after `prompt`, the one that ends the answer included. `generated` is the caller's own list, read at each step. Throws Refusal for a bias that cannot be set. */
export async function * sample (model: LlamaModel, sequence: LlamaContextSequence, prompt: Token[], job: Job, generated: readonly Token[]): AsyncGenerator<Step, void> {
  const options: Options = { ...penaltiesOf(job, generated), ...biasOf(model, job) }
  if (job.topLogprobs !== null) yield * sampleHere(model, sequence, prompt, job, options)
  else for await (const token of sequence.evaluate(prompt, { ...options, temperature: job.temperature, topP: job.topP, topK: job.topK, minP: job.minP, seed: job.seed, yieldEogToken: true })) yield { token, logprob: null }
}

function penaltiesOf ({ repeatPenalty, frequencyPenalty, presencePenalty }: Job, generated: readonly Token[]): Options {
  if (repeatPenalty === 1 && frequencyPenalty === 0 && presencePenalty === 0) return {}
  return { repeatPenalty: { punishTokens: () => generated.slice(-REPEAT_WINDOW), maxPunishTokens: REPEAT_WINDOW, penalty: repeatPenalty, frequencyPenalty, presencePenalty } }
}

function biasOf (model: LlamaModel, { logitBias }: Job): Options {
  if (logitBias.size === 0) return {}
  const tokens = model.fileInfo.metadata.tokenizer.ggml.tokens.length
  const bias = new TokenBias(model.tokenizer)
  for (const [token, value] of logitBias) {
    if (token >= tokens) throw new Refusal(400, 'invalid_request', `"logit_bias": there is no token ${token}; this model has ${tokens}.`, 'logit_bias')
    // the library passes over it in silence
    if (model.isEogToken(token as Token)) throw new Refusal(400, 'unsupported_parameter', `"logit_bias": token ${token} ends the answer; the embedded engine cannot bias it. Use max_tokens or stop.`, 'logit_bias')
    bias.set(token as Token, { logit: value })
  }
  return { tokenBias: bias }
}

/** A token and its logit, the likeliest first. */
type Candidate = readonly [Token, number]

/** The probabilities told are the model's own, before temperature, top_k, top_p and min_p; those choose among them as llama.cpp's samplers do, in their order. */
async function * sampleHere (model: LlamaModel, sequence: LlamaContextSequence, prompt: Token[], job: Job, options: Options): AsyncGenerator<Step, void> {
  const alternatives = job.topLogprobs!
  const vocabulary = model.fileInfo.metadata.tokenizer.ggml.tokens.length
  const reach = job.temperature <= 0 ? 1 : job.topK > 0 ? job.topK : vocabulary
  const generateNext = { token: true, totalLogitWeight: true, logits: { filter: { tokens: [], includeTop: Math.max(1, alternatives, reach) } }, options: { ...options, temperature: 0 } }
  const next = random(job.seed)
  let input = prompt
  for (;;) {
    const last = input.at(-1)!
    const result = (await sequence.controlledEvaluate([...input.slice(0, -1), [last, { generateNext }]])).at(-1)!.next
    const candidates: readonly Candidate[] = [...result.logits!]
    // the total is relative to the greatest, as a softmax is taken
    const base = candidates[0]![1] + Math.log(result.totalLogitWeight!)
    const [token, logit] = choose(candidates, job, next)
    const described = ([one, value]: Candidate) => ({ ...spelt(model, one), logprob: Math.min(0, Math.max(LEAST_LOGPROB, value - base)) })
    yield { token, logprob: { ...described([token, logit]), top_logprobs: candidates.slice(0, alternatives).map(described) } }
    input = [token]
  }
}

/** llama.cpp's chain: top_k, top_p, min_p, temperature, draw. */
export function choose (sorted: readonly Candidate[], { temperature, topK, topP, minP }: Pick<Job, 'temperature' | 'topK' | 'topP' | 'minP'>, next: () => number): Candidate {
  const best = sorted[0]!
  if (temperature <= 0) return best
  let left = topK > 0 ? sorted.slice(0, topK) : sorted
  if (topP < 1) {
    const weights = left.map(([, logit]) => Math.exp(logit - best[1]))
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    let sum = 0
    const cut = weights.findIndex((weight) => (sum += weight / total) >= topP)
    if (cut >= 0) left = left.slice(0, cut + 1)
  }
  if (minP > 0) left = left.filter(([, logit]) => logit - best[1] >= Math.log(minP))
  const weights = left.map(([, logit]) => Math.exp((logit - best[1]) / temperature))
  let drawn = next() * weights.reduce((sum, weight) => sum + weight, 0)
  return left[Math.max(0, weights.findIndex((weight) => (drawn -= weight) < 0))]!
}

/** Mulberry32: numbers in [0, 1), the same for the same seed. Chooses words, guards nothing. */
function random (seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Byte-level vocabularies write each byte as a printable character (GPT-2's table): the true bytes, also of half a character. */
const BYTES = new Map<string, number>()
for (let byte = 0, next = 256; byte < 256; byte++) {
  const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174
  BYTES.set(String.fromCodePoint(printable ? byte : next++), byte)
}

function spelt (model: LlamaModel, token: Token): { token: string, bytes: number[] } {
  const text = model.detokenize([token], true)
  const { model: kind, tokens } = model.fileInfo.metadata.tokenizer.ggml
  const written = kind === 'gpt2' && !model.isSpecialToken(token) ? [...tokens[token] ?? ''].map((character) => BYTES.get(character)) : []
  const bytes = written.length > 0 && written.every((byte) => byte !== undefined) ? written : [...Buffer.from(text)]
  return { token: text, bytes }
}
