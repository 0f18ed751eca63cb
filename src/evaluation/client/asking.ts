/** Collects answers and scores for jobs: from disk where they are kept, from the endpoint where not, some at a time. Knows nothing of what they are for. */
import { Endpoint, Refused } from './endpoint.ts'
import { EvaluationError } from '../evaluation-error.ts'
import { Kept } from './kept.ts'
import type { Target } from './target.ts'

export interface Message { readonly role: 'system' | 'user' | 'assistant', readonly content: string }

export interface ChatJob { readonly id: string, readonly target: Target, readonly messages: readonly Message[], readonly maxTokens: number, readonly seed: number }
/** `messages` by the chat template, or `prompt` as it stands. */
export interface ScoreJob { readonly id: string, readonly target: Target, readonly messages?: readonly Message[], readonly prompt?: string, readonly continuations: readonly string[] }

export interface Answer {
  readonly text: string
  readonly finish: string
  /** Answered by the policy's fixed text, and by no model. */
  readonly policy: boolean
  /** The endpoint refused the request itself, and with which code; the text is empty then. */
  readonly refused: string | null
}
export interface Score { readonly tokens: number, readonly sum: number, readonly mean: number }

export interface AskingOptions {
  readonly endpoint: Endpoint
  /** With an admin key; null where nothing can be scored. */
  readonly scoring: Endpoint | null
  readonly kept: Kept
  readonly concurrency: number
  readonly progress: (label: string, done: number, of: number) => void
}

interface Completion { choices?: { message?: { content?: unknown }, finish_reason?: unknown }[], perspective?: { id?: unknown } }

/** Items a scoring request: small, so that little is asked twice after a break. */
const SCORE_BATCH = 4

/** One of each in turn: voices that are asked at the same time are computed on different cores. */
export function inTurns<T> (jobs: readonly T[], of: (job: T) => string): T[] {
  const groups = [...Map.groupBy(jobs, of).values()]
  return Array.from({ length: Math.max(0, ...groups.map(({ length }) => length)) }, (_, at) => groups.flatMap((group) => group.slice(at, at + 1))).flat()
}

/** The endpoint speaks of a header; whoever runs an evaluation gives a file. */
const refusal = (model: string, { status, message }: Refused): EvaluationError =>
  new EvaluationError(`The endpoint refuses "${model}": ${message}${status === 401 || status === 403 ? ' On the command line the key comes from --key-file, or from PARALLAX_KEY.' : ''}`)

export class Asking {
  readonly #options: AskingOptions
  readonly answers = new Map<string, Answer>()
  readonly scores = new Map<string, readonly Score[]>()
  constructor (options: AskingOptions) { this.#options = options }

  async chat (label: string, jobs: readonly ChatJob[]): Promise<void> {
    await this.#each(label, inTurns(jobs, ({ target }) => target.id), async (job) => { this.answers.set(job.id, await this.#answer(job)) })
  }

  /** Does nothing where nothing can be scored: the measures then say so. */
  async score (label: string, jobs: readonly ScoreJob[]): Promise<void> {
    if (!this.#options.scoring) return
    const batches = [...Map.groupBy(jobs, ({ target }) => target.id).values()].flatMap((all) => Array.from({ length: Math.ceil(all.length / SCORE_BATCH) }, (_, at) => all.slice(at * SCORE_BATCH, (at + 1) * SCORE_BATCH)))
    await this.#each(label, inTurns(batches, ([first]) => first!.target.id), (batch) => this.#scored(batch))
  }

  async #answer ({ target, messages, maxTokens, seed }: ChatJob): Promise<Answer> {
    const { endpoint, kept } = this.#options
    const body = { model: target.model, messages, max_tokens: maxTokens, seed }
    const key = Kept.key(['chat', target.weights ?? endpoint.address, body])
    const before = kept.get<Answer>(key)
    if (before) return before
    let answer: Answer
    try {
      const { choices, perspective } = await endpoint.json('POST', '/v1/chat/completions', body) as Completion
      const content = choices?.[0]?.message?.content
      if (typeof content !== 'string') throw new EvaluationError(`The endpoint's answer for "${target.model}" is no chat completion: it has no text.`)
      answer = { text: content, finish: String(choices![0]!.finish_reason), policy: perspective?.id === 'policy', refused: null }
    } catch (error) {
      // refusing to answer is an answer; a request that cannot be made at all is a mistake of ours or of the key's
      if (!(error instanceof Refused) || error.status === 401 || error.status === 403 || error.status === 404) throw error instanceof Refused ? refusal(target.model, error) : error
      answer = { text: '', finish: 'refused', policy: false, refused: error.code || String(error.status) }
    }
    kept.set(key, answer)
    return answer
  }

  async #scored (batch: readonly ScoreJob[]): Promise<void> {
    const { scoring, kept } = this.#options
    const items = batch.map(({ target, messages, prompt, continuations }) => {
      const item = { ...(messages ? { messages } : { prompt: prompt ?? '' }), continuations }
      return { item, key: Kept.key(['score', target.weights ?? scoring!.address, target.model, item]) }
    })
    const missing = items.filter(({ key }) => kept.get(key) === undefined)
    if (missing.length > 0) {
      const model = batch[0]!.target.model
      const reply = await scoring!.json('POST', '/admin/v1/score', { perspective: model, items: missing.map(({ item }) => item) }).catch((error: unknown) => {
        throw error instanceof Refused ? new EvaluationError(`"${model}" refuses to score: ${error.message}`) : error
      }) as { items?: { continuations?: unknown }[] }
      for (const [at, { key, item }] of missing.entries()) {
        const scores = reply.items?.[at]?.continuations
        if (!Array.isArray(scores) || scores.length !== item.continuations.length || !scores.every((one: Partial<Score> | null) => Number.isFinite(one?.sum) && Number.isFinite(one?.mean))) throw new EvaluationError(`The scores for "${model}" are not one number for each text that was sent.`)
        kept.set(key, scores)
      }
    }
    for (const [at, job] of batch.entries()) this.scores.set(job.id, kept.get<Score[]>(items[at]!.key)!)
  }

  async #each<T> (label: string, jobs: readonly T[], work: (job: T) => Promise<void>): Promise<void> {
    const { concurrency, progress } = this.#options
    let next = 0
    let done = 0
    let failed = false
    progress(label, 0, jobs.length)
    await Promise.all(Array.from({ length: Math.min(concurrency, jobs.length) }, async () => {
      while (next < jobs.length && !failed) {
        const job = jobs[next++]!
        try { await work(job) } catch (error) { failed = true; throw error }
        progress(label, ++done, jobs.length)
      }
    }))
  }
}
