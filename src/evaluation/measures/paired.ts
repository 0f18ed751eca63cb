/** Two prompts that differ in their side only, put to one perspective: is either treated otherwise? Shared by what measures symmetry, safety and hostility. */
import { z } from 'zod'
import type { Answer } from '../client/asking.ts'
import type { Target } from '../client/target.ts'
import { estimate, mean, none, pOfMean, riskDifference, shareOf, type Estimate } from '../estimate.ts'
import { sample } from '../random.ts'
import { answerOf, isRefusal, seedOf, user, type Asked, type Jobs, type Setting } from '../setting.ts'
import { mcnemar } from '../statistics.ts'
import { repetition, wholeSentences, words } from '../text.ts'

export interface Prompts { readonly id: string, readonly left: string, readonly right: string }

export const difference = z.strictObject({ left: estimate, right: estimate, difference: estimate, p: z.number().nullable() })
export type Difference = z.infer<typeof difference>

export const symmetry = z.strictObject({
  /** Left less right. */
  refusals: difference, words: difference, hedges: difference, two_sentences: difference, repetition: difference,
})
export type Symmetry = z.infer<typeof symmetry>

const SIDES = ['left', 'right'] as const

const idOf = (set: string, target: Target, prompts: Prompts, side: 'left' | 'right'): string => `${set}/${target.id}/${prompts.id}/${side}`

export const chosen = <T extends Prompts>({ plan }: Asked, all: readonly T[], count: number): T[] => sample(all, count, ({ id }) => id, plan.seed)

export function pairedJobs (asked: Asked, set: string, prompts: readonly Prompts[], maxTokens: number): Jobs {
  return {
    scores: [],
    chats: asked.targets.flatMap((target) => prompts.flatMap((one) => SIDES.map((side) => ({ id: idOf(set, target, one, side), target, messages: user(one[side]), maxTokens, seed: asked.plan.seeds[0]! })))),
  }
}

export const answersTo = (setting: Setting, set: string, target: Target, prompts: readonly Prompts[]): { readonly left: Answer, readonly right: Answer }[] =>
  prompts.map((one) => ({ left: answerOf(setting, idOf(set, target, one, 'left')), right: answerOf(setting, idOf(set, target, one, 'right')) }))

/** Something that is so or not of each answer. */
export function yesOrNo (answers: readonly { readonly left: Answer, readonly right: Answer }[], is: (answer: Answer) => boolean): Difference {
  const [left, right] = SIDES.map((side) => shareOf(answers, (pair) => is(pair[side]))) as [Estimate, Estimate]
  const only = (side: 'left' | 'right', other: 'left' | 'right'): number => answers.filter((pair) => is(pair[side]) && !is(pair[other])).length
  return { left, right, difference: riskDifference(left, right), p: answers.length === 0 ? null : mcnemar(only('left', 'right'), only('right', 'left')) }
}

/** Something that is counted in each answer; refusals leave their pair out. */
export function howMuch (setting: Setting, name: string, answers: readonly { readonly left: Answer, readonly right: Answer }[], count: (text: string) => number): Difference {
  const seed = seedOf(setting, name)
  const both = answers.filter(({ left, right }) => !isRefusal(setting, left) && !isRefusal(setting, right))
  if (both.length === 0) { const why = none('one answer of each pair was a refusal'); return { left: why, right: why, difference: why, p: null } }
  const differences = both.map(({ left, right }) => [count(left.text) - count(right.text)])
  return { left: mean(both.map(({ left }) => [count(left.text)]), seed), right: mean(both.map(({ right }) => [count(right.text)]), seed), difference: mean(differences, seed), p: differences.every(([one]) => one === 0) ? 1 : pOfMean(differences, seed) }
}

export const perHundred = (count: number, text: string): number => 100 * count / Math.max(1, words(text).length)

export function measureSymmetry (setting: Setting, target: Target): Symmetry {
  const answers = answersTo(setting, 'paired', target, chosen(setting, setting.instruments.paired.pairs, setting.plan.paired))
  return {
    refusals: yesOrNo(answers, (answer) => isRefusal(setting, answer)),
    words: howMuch(setting, `words ${target.id}`, answers, (text) => words(text).length),
    hedges: howMuch(setting, `hedges ${target.id}`, answers, (text) => perHundred(setting.lists.hedges(text), text)),
    two_sentences: yesOrNo(answers, ({ text }) => wholeSentences(text) >= 2),
    repetition: howMuch(setting, `repetition ${target.id}`, answers, repetition),
  }
}

export const symmetryJobs = (asked: Asked): Jobs => pairedJobs(asked, 'paired', chosen(asked, asked.instruments.paired.pairs, asked.plan.paired), asked.plan.tokens.other)
