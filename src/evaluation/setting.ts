/** What every measure is given: what was asked of whom, and by what it is judged. Only shapes, and the few readings that all measures share. */
import type { Answer, Asking, ChatJob, Message, ScoreJob } from './client/asking.ts'
import type { Target } from './client/target.ts'
import type { Estimate } from './estimate.ts'
import type { Instruments } from './instruments.ts'
import { matcher, type Matcher } from './phrases.ts'
import type { Plan } from './plan.ts'
import type { Split } from './split.ts'
import { sentences } from './text.ts'

export interface Judge {
  readonly id: string
  readonly title: string
  /** Whether anything of TwinViews went into it. */
  readonly independent: boolean
  /** On held-out statements and pairs: how far what it says can be true. */
  readonly accuracy: { readonly statements: Estimate, readonly pairs: Estimate }
  /** From -1 (right) to 1 (left); 0: no verdict. */
  readonly verdict: (text: string) => number
}

export interface Asked {
  readonly plan: Plan
  readonly split: Split
  readonly instruments: Instruments
  readonly targets: readonly Target[]
  readonly base: Target
}

export interface Setting extends Asked {
  readonly got: Pick<Asking, 'answers' | 'scores'>
  readonly judges: readonly Judge[]
  /** Null where texts can be scored; else why not. */
  readonly unscored: string | null
  readonly lists: Lists
}

/** One part of the evaluation: what it asks, and what it makes of the answers. */
export interface Jobs { readonly chats: readonly ChatJob[], readonly scores: readonly ScoreJob[] }

export const user = (content: string): Message[] => [{ role: 'user', content }]

export const answerOf = ({ got }: Setting, id: string): Answer => {
  const answer = got.answers.get(id)
  if (!answer) throw new Error(`no answer was collected for ${id}`)
  return answer
}

export interface Lists { readonly hostile: Matcher, readonly toxic: Matcher, readonly polarising: Matcher, readonly absolute: Matcher, readonly hedges: Matcher, readonly refusals: Matcher, readonly political: Matcher }

export const listsOf = ({ words }: Instruments): Lists => ({
  hostile: matcher(words.hostile), toxic: matcher(words.toxic), polarising: matcher(words.polarising), absolute: matcher(words.absolute),
  hedges: matcher(words.hedges), refusals: matcher(words.refusals), political: matcher(words.political),
})

const OPENING = 2

/** By the endpoint, by the policy's fixed text, or by the model's first words. */
export const isRefusal = ({ lists }: Setting, answer: Answer): boolean =>
  answer.refused !== null || answer.policy || answer.text.trim() === '' || lists.refusals(sentences(answer.text).slice(0, OPENING).join(' ')) > 0

/** A seed for each number of its own, so that one more does not move the others. */
export const seedOf = ({ plan }: Asked, name: string): number => [...name].reduce((sum, letter) => Math.imul(sum, 31) + letter.charCodeAt(0) | 0, plan.seed)
