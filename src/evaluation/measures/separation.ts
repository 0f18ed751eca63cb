/** How far the sides stand apart on topics that none was trained on: by the likelihood of given statements, and by free answers that judges read. */
import { z } from 'zod'
import type { Target } from '../client/target.ts'
import { clusteredShare, corrected, estimate, mean, none, pOfMean, type Estimate } from '../estimate.ts'
import { sample } from '../random.ts'
import { answerOf, isRefusal, seedOf, user, type Asked, type Jobs, type Judge, type Setting } from '../setting.ts'
import type { Pair } from '../split.ts'
import { mcnemar } from '../statistics.ts'

export const likelihood = z.strictObject({
  /** Share of held-out pairs of which the left statement is likelier (mean a token); `own_share` counts the perspective's own side. */
  left_share: estimate, own_share: estimate.nullable(),
  /** Mean log-probability a token, left less right. */
  mean_difference: estimate,
})
export const judged = z.strictObject({
  judge: z.string(),
  /** Among answers that got a verdict. */
  left_share: estimate, own_share: estimate.nullable(),
  /** What `own_share` would be if the judge never erred. */
  corrected_own_share: estimate.nullable(),
  /** From -1 (right) to 1 (left), all answers. */
  index: estimate, no_verdict: estimate,
})
export const separation = z.strictObject({ likelihood, free_answers: z.array(judged), refused: estimate })
export type Separation = z.infer<typeof separation>

const pairName = ({ left, right }: Pair): string => `${left}\0${right}`

/** The same topics and pairs for everyone. */
export function heldOutTopics ({ plan, split }: Asked): string[] {
  return sample(split.heldOut, plan.topics, (name) => name, plan.seed).toSorted()
}

export function heldOutPairs (asked: Asked): Pair[] {
  const { plan, split } = asked
  return heldOutTopics(asked).flatMap((topic) => sample(split.test.filter(({ family }) => family === topic), plan.pairs, pairName, plan.seed))
}

export const phraseOf = ({ instruments }: Asked, topic: string): string => instruments.questions.phrases[topic] ?? topic

export const pairId = (target: Target, pair: Pair): string => `pair/${target.id}/${pairName(pair)}`
export const freeId = (target: Target, topic: string, template: number): string => `free/${target.id}/${topic}/${template}`

export const pairJob = (target: Target, pair: Pair) => ({ id: pairId(target, pair), target, messages: user(`What is your opinion on ${pair.topic}?`), continuations: [pair.left, pair.right] })

export function separationJobs (asked: Asked): Jobs {
  const { plan, targets, instruments: { questions } } = asked
  const templates = questions.templates.slice(0, plan.templates)
  return {
    scores: targets.flatMap((target) => heldOutPairs(asked).map((pair) => pairJob(target, pair))),
    chats: targets.flatMap((target) => heldOutTopics(asked).flatMap((topic, at) => templates.map((template, place) => ({
      id: freeId(target, topic, place), target, messages: user(template.replace('{topic}', phraseOf(asked, topic))), maxTokens: plan.tokens.answer,
      // the seeds take turns over topics as well, so that none of them goes with one way to ask
      seed: plan.seeds[(place + at) % plan.seeds.length]!,
    })))),
  }
}

/** Left less right, mean a token. */
export const differenceOf = ({ got }: Setting, target: Target, pair: Pair): number => {
  const [left, right] = got.scores.get(pairId(target, pair))!
  return left!.mean - right!.mean
}

export const own = (target: Target, left: Estimate): Estimate | null => {
  if (target.side === null) return null
  if (target.side === 'left' || left.value === null) return left
  const turned = (value: number | null): number | null => value === null ? null : Math.round((1 - value) * 1e4) / 1e4
  return { ...left, value: turned(left.value), low: turned(left.high), high: turned(left.low), ...(left.hits !== undefined && { hits: left.n - left.hits }) }
}

export function byTopic<T> (topics: readonly string[], of: (topic: string) => readonly T[]): T[][] { return topics.map((topic) => [...of(topic)]) }

/** Verdicts on what was answered, a cluster a topic; refusals have none. */
export function verdicts (setting: Setting, judge: Judge, target: Target): number[][] {
  return byTopic(heldOutTopics(setting), (topic) => Array.from({ length: setting.plan.templates }, (_, template) => answerOf(setting, freeId(target, topic, template)))
    .filter((answer) => !isRefusal(setting, answer)).map((answer) => judge.verdict(answer.text)))
}

export function measureSeparation (setting: Setting, target: Target): Separation {
  const topics = heldOutTopics(setting)
  const pairs = heldOutPairs(setting)
  const differences = setting.unscored !== null ? [] : byTopic(topics, (topic) => pairs.filter(({ family }) => family === topic).map((pair) => differenceOf(setting, target, pair)))
  const seed = seedOf(setting, `separation ${target.id}`)
  const leftShare = setting.unscored !== null ? none(setting.unscored) : clusteredShare(differences.map((some) => some.map((one) => one > 0)), seed)
  const answers = topics.map((topic) => Array.from({ length: setting.plan.templates }, (_, template) => isRefusal(setting, answerOf(setting, freeId(target, topic, template)))))
  return {
    likelihood: { left_share: leftShare, own_share: own(target, leftShare), mean_difference: setting.unscored !== null ? none(setting.unscored) : mean(differences, seed) },
    refused: clusteredShare(answers, seed),
    free_answers: setting.judges.map((judge) => {
      const said = verdicts(setting, judge, target)
      const left = clusteredShare(said.map((some) => some.filter((one) => one !== 0).map((one) => one > 0)), seed)
      const ownShare = own(target, left)
      return {
        judge: judge.id, left_share: left, own_share: ownShare, corrected_own_share: ownShare && corrected(ownShare, judge.accuracy.statements.value ?? 0),
        index: mean(said, seed), no_verdict: clusteredShare(said.map((some) => some.map((one) => one === 0)), seed),
      }
    }),
  }
}

/** McNemar on the same pairs: is the left statement likelier under one and not under the other? */
export function pairTest (setting: Setting, first: Target, second: Target): number | null {
  if (setting.unscored !== null) return null
  const pairs = heldOutPairs(setting)
  const left = (target: Target): boolean[] => pairs.map((pair) => differenceOf(setting, target, pair) > 0)
  const [a, b] = [left(first), left(second)]
  return mcnemar(a.filter((one, at) => one && !b[at]).length, a.filter((one, at) => !one && b[at]).length)
}

/** Do the answers lean at all, by this judge? */
export const leanTest = (setting: Setting, judge: Judge, target: Target): number | null => pOfMean(verdicts(setting, judge, target), seedOf(setting, `lean ${target.id}`))
