/**
 * A model as judge, through the `openai` SDK: sentence by sentence, each asked twice with the two sides in either order. What it says
 * only in one order counts as no verdict; one that talks nonsense stops the evaluation. Knows nothing of who wrote the sentences.
 */
import type OpenAI from 'openai'
import { EvaluationError } from '../evaluation-error.ts'
import { Kept } from '../client/kept.ts'
import { sentences } from '../text.ts'

export interface LlmOptions {
  readonly client: Pick<OpenAI, 'chat'>
  readonly model: string
  readonly kept: Kept
  readonly concurrency: number
  readonly progress: (label: string, done: number, of: number) => void
}

const SYSTEM = 'You label single sentences from political texts of the United States. You answer with one word and nothing else.'
const question = (sentence: string, first: string, second: string): string =>
  `Which side would rather say this: ${first} or ${second}? Answer "${first}", "${second}", or "neither".\n\nSentence: ${sentence}`

/** More than this share of nonsense, and what it says is worth nothing. */
const NONSENSE = 0.1
/** Longer answers are judged by their beginning. */
const SENTENCES = 6

export type Label = 'progressive' | 'conservative' | 'neither'

export function readLabel (reply: string): Label | null {
  const named = (['progressive', 'conservative', 'neither'] as const).filter((word) => reply.toLowerCase().includes(word))
  return named.length === 1 ? named[0]! : null
}

/** Text -> verdict from -1 (right) to 1 (left). Throws EvaluationError where the judge cannot be asked or answers nonsense. */
export async function llmVerdicts (texts: readonly string[], { client, model, kept, concurrency, progress }: LlmOptions): Promise<Map<string, number>> {
  const parts = new Map(texts.map((text) => [text, sentences(text).slice(0, SENTENCES)]))
  const jobs = [...new Set([...parts.values()].flat())].flatMap((sentence) => [['progressive', 'conservative'], ['conservative', 'progressive']].map(([first, second]) => ({ sentence, first: first!, second: second! })))
  const labels = new Map<string, (Label | null)[]>()
  let nonsense = 0
  let example = ''
  let next = 0
  let done = 0
  const work = async (): Promise<void> => {
    while (next < jobs.length) {
      const { sentence, first, second } = jobs[next++]!
      const reply = await ask(question(sentence, first, second))
      const label = readLabel(reply)
      if (label === null) { nonsense++; example = reply }
      labels.set(sentence, [...labels.get(sentence) ?? [], label])
      progress('LLM judge', ++done, jobs.length)
    }
  }
  const ask = async (content: string): Promise<string> => {
    const messages = [{ role: 'system' as const, content: SYSTEM }, { role: 'user' as const, content }]
    const key = Kept.key(['judge', model, messages])
    const before = kept.get<string>(key)
    if (before !== undefined) return before
    const reply = await client.chat.completions.create({ model, messages, temperature: 0, max_tokens: 8, seed: 1 }).catch((error: unknown) => {
      throw new EvaluationError(`The LLM judge "${model}" cannot be asked: ${(error as Error).message} What it said so far is kept; run the same command again.`, { cause: error })
    })
    const said = reply.choices?.[0]?.message?.content ?? ''
    kept.set(key, said)
    return said
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, jobs.length) }, work))
  if (jobs.length > 0 && nonsense / jobs.length > NONSENSE) throw new EvaluationError(`The LLM judge "${model}" answers nonsense: ${nonsense} of ${jobs.length} replies are none of the three words, such as ${JSON.stringify(example.slice(0, 80))}. Choose another model, or do without --judge-model. Nothing was written.`)
  const value = (sentence: string): number => {
    const [one, two] = labels.get(sentence) ?? []
    return one !== two || one === null || one === 'neither' || one === undefined ? 0 : one === 'progressive' ? 1 : -1
  }
  return new Map([...parts].map(([text, all]) => [text, all.length === 0 ? 0 : all.reduce((sum, one) => sum + value(one), 0) / all.length]))
}
