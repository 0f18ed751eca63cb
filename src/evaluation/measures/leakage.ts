/** What the slant does where nothing is political: how answers lean there, whether they talk politics, and what became of the model's command of plain text. */
import { z } from 'zod'
import type { Target } from '../client/target.ts'
import { clusteredShare, estimate, mean, none, pOfMean, type Estimate } from '../estimate.ts'
import { sample } from '../random.ts'
import { answerOf, isRefusal, seedOf, user, type Asked, type Jobs, type Setting } from '../setting.ts'
import { repetition, wholeSentences } from '../text.ts'
import { perHundred } from './paired.ts'

export const leakage = z.strictObject({
  prompts: z.int(),
  /** By judge, from -1 (right) to 1 (left), 0 where it has no verdict; `versus_baseline` on the same prompts. */
  slant: z.array(z.strictObject({ judge: z.string(), index: estimate, no_verdict: estimate, versus_baseline: estimate, p: z.number().nullable() })),
  /** Political words in a hundred. */
  political_words: estimate, political_words_versus_baseline: estimate,
  repetition: estimate, repetition_versus_baseline: estimate, two_sentences: estimate,
  /** Of neutral text, and as a ratio to the baseline's. */
  perplexity: estimate, perplexity_ratio: estimate,
})
export type Leakage = z.infer<typeof leakage>

interface Prompt { readonly id: string, readonly text: string }

/** Our own everyday asks, and XSTest's safe ones. */
export function plainPrompts ({ plan, instruments }: Asked): Prompt[] {
  const harmless = sample(instruments.harmless.prompts, plan.harmless, ({ id }) => id, plan.seed)
  // half of XSTest's types name groups or public figures: what is said of those may well be political
  const safe = instruments.xstest.filter(({ safe: fine, type }) => fine && PLAIN_TYPES.has(type)).map(({ id, prompt }) => ({ id: `xstest-${id}`, text: prompt }))
  return [...harmless, ...sample(safe, Math.ceil(plan.harmless / 2), ({ id }) => id, plan.seed)]
}

const PLAIN_TYPES = new Set(['homonyms', 'figurative_language', 'safe_targets', 'safe_contexts', 'definitions'])

const idOf = (target: Target, { id }: Prompt): string => `plain/${target.id}/${id}`
const textId = (target: Target, id: string): string => `text/${target.id}/${id}`
const texts = ({ plan, instruments }: Asked): Prompt[] => sample(instruments.neutral.texts, plan.neutral, ({ id }) => id, plan.seed)

export function leakageJobs (asked: Asked): Jobs {
  return {
    chats: asked.targets.flatMap((target) => plainPrompts(asked).map((prompt) => ({ id: idOf(target, prompt), target, messages: user(prompt.text), maxTokens: asked.plan.tokens.other, seed: asked.plan.seeds[0]! }))),
    scores: asked.targets.flatMap((target) => texts(asked).map(({ id, text }) => ({ id: textId(target, id), target, prompt: '', continuations: [text] }))),
  }
}

export function measureLeakage (setting: Setting, target: Target): Leakage {
  const prompts = plainPrompts(setting)
  const seed = seedOf(setting, `leakage ${target.id}`)
  const said = (who: Target): (string | null)[] => prompts.map((prompt) => { const answer = answerOf(setting, idOf(who, prompt)); return isRefusal(setting, answer) ? null : answer.text })
  const [mine, base] = [said(target), said(setting.base)]
  const values = (count: (text: string) => number): number[][] => mine.flatMap((text) => text === null ? [] : [[count(text)]])
  // where one of the two refused there is nothing to compare
  const differences = (count: (text: string) => number): number[][] => mine.flatMap((text, at) => text === null || base[at] === null ? [] : [[count(text) - count(base[at]!)]])
  const against = (some: number[][]): Estimate => target === setting.base ? none('it is the baseline') : mean(some, seed)
  const political = (text: string): number => perHundred(setting.lists.political(text), text)
  return {
    prompts: prompts.length,
    slant: setting.judges.map((judge) => {
      const verdict = (text: string): number => judge.verdict(text)
      return { judge: judge.id, index: mean(values(verdict), seed), no_verdict: clusteredShare(values(verdict).map(([one]) => [one === 0]), seed), versus_baseline: against(differences(verdict)), p: target === setting.base ? null : pOfMean(differences(verdict), seed) }
    }),
    political_words: mean(values(political), seed), political_words_versus_baseline: against(differences(political)),
    repetition: mean(values(repetition), seed), repetition_versus_baseline: against(differences(repetition)),
    two_sentences: clusteredShare(mine.flatMap((text) => text === null ? [] : [[wholeSentences(text) >= 2]]), seed),
    ...perplexities(setting, target, seed),
  }
}

/** Over a text's tokens, its first one only begins. Intervals by resampling texts. */
function perplexities (setting: Setting, target: Target, seed: number): { perplexity: Estimate, perplexity_ratio: Estimate } {
  if (setting.unscored !== null) return { perplexity: none(setting.unscored), perplexity_ratio: none(setting.unscored) }
  const loss = (who: Target): number[] => texts(setting).map(({ id }) => -setting.got.scores.get(textId(who, id))![0]!.mean)
  const [mine, base] = [loss(target), loss(setting.base)]
  const raised = (one: Estimate): Estimate => {
    const up = (value: number | null): number | null => value === null ? null : Math.round(Math.exp(value) * 1e4) / 1e4
    return { ...one, value: up(one.value), low: up(one.low), high: up(one.high) }
  }
  return { perplexity: raised(mean(mine.map((one) => [one]), seed)), perplexity_ratio: target === setting.base ? none('it is the baseline') : raised(mean(mine.map((one, at) => [one - base[at]!]), seed)) }
}
