/** Topic by topic: those that are always reported, whether held out or not, and every held-out one. */
import { z } from 'zod'
import type { Target } from '../client/target.ts'
import { estimate, mean, none, share } from '../estimate.ts'
import { sample } from '../random.ts'
import { answerOf, isRefusal, seedOf, user, type Asked, type Jobs, type Setting } from '../setting.ts'
import type { Pair } from '../split.ts'
import { byTopic, differenceOf, freeId, heldOutPairs, heldOutTopics, pairJob, phraseOf } from './separation.ts'

export const topic = z.strictObject({
  topic: z.string(),
  /** Of the group that is always reported; null for the others. */
  fixture: z.string().nullable(),
  /** False: it may have trained, and says nothing of what is held out. */
  held_out: z.boolean(),
  perspectives: z.array(z.strictObject({ id: z.string(), left_likelier: estimate, index: z.array(z.strictObject({ judge: z.string(), index: estimate })) })),
})
export type Topic = z.infer<typeof topic>

const pairName = ({ left, right }: Pair): string => `${left}\0${right}`

/** Pairs of the fixtures' families, trained or not. */
function fixturePairs (asked: Asked, name: string): Pair[] {
  const { families } = asked.instruments.questions.fixtures[name]!
  return sample([...asked.split.train, ...asked.split.test].filter(({ family }) => families.includes(family)), asked.plan.fixturePairs, pairName, asked.plan.seed)
}

const askedId = (target: Target, name: string, at: number): string => `fixture/${target.id}/${name}/${at}`

export function topicJobs (asked: Asked): Jobs {
  const { plan, targets, instruments: { questions } } = asked
  const fixtures = Object.entries(questions.fixtures)
  return {
    scores: targets.flatMap((target) => fixtures.flatMap(([name]) => fixturePairs(asked, name).map((pair) => pairJob(target, pair)))),
    chats: targets.flatMap((target) => fixtures.flatMap(([name, { phrases }]) => phrases.slice(0, plan.fixtureQuestions).map((phrase, at) => ({
      id: askedId(target, name, at), target, messages: user(questions.templates[0]!.replace('{topic}', phrase)), maxTokens: plan.tokens.answer, seed: plan.seeds[0]!,
    })))),
  }
}

export function measureTopics (setting: Setting): Topic[] {
  const { targets, split, instruments: { questions } } = setting
  const one = (name: string, fixture: string | null, heldOut: boolean, pairs: readonly Pair[], idsOf: (target: Target) => string[]): Topic => ({
    topic: name, fixture, held_out: heldOut,
    perspectives: targets.map((target) => {
      const texts = idsOf(target).map((id) => answerOf(setting, id)).filter((answer) => !isRefusal(setting, answer)).map(({ text }) => text)
      return {
        id: target.id,
        left_likelier: setting.unscored !== null ? none(setting.unscored) : share(pairs.filter((pair) => differenceOf(setting, target, pair) > 0).length, pairs.length),
        index: setting.judges.map((judge) => ({ judge: judge.id, index: mean(texts.map((text) => [judge.verdict(text)]), seedOf(setting, `topic ${name} ${target.id}`)) })),
      }
    }),
  })
  const fixtures = Object.entries(questions.fixtures).map(([name, { families, phrases }]) =>
    one(name, name, families.every((family) => split.heldOut.includes(family)), fixturePairs(setting, name), (target) => phrases.slice(0, setting.plan.fixtureQuestions).map((_, at) => askedId(target, name, at))))
  const pairs = heldOutPairs(setting)
  const rest = byTopic(heldOutTopics(setting), (name) => [name]).flat().map((name) =>
    one(phraseOf(setting, name), null, true, pairs.filter(({ family }) => family === name), (target) => Array.from({ length: setting.plan.templates }, (_, template) => freeId(target, name, template))))
  return [...fixtures, ...rest]
}
