/** Whether the numbers depend on how it was asked: by paraphrase, by seed, against a caller's system prompt, and in a conversation that the other side began. */
import { z } from 'zod'
import type { Target } from '../client/target.ts'
import { clusteredShare, estimate, mean, none, pOfMean, type Estimate } from '../estimate.ts'
import { sample } from '../random.ts'
import { answerOf, isRefusal, seedOf, user, type Asked, type Jobs, type Setting } from '../setting.ts'
import { freeId, heldOutTopics, own, phraseOf } from './separation.ts'

const change = z.strictObject({ index: estimate, change: estimate, p: z.number().nullable() })
export const robustness = z.strictObject({
  judge: z.string(),
  by_paraphrase: z.array(z.strictObject({ asked: z.string(), own_share: estimate })),
  by_seed: z.array(z.strictObject({ seed: z.int(), own_share: estimate })),
  /** Largest less smallest of the above. */
  spread: z.strictObject({ paraphrase: z.number().nullable(), seed: z.number().nullable() }),
  /** Index of answers under a system prompt for the other side, and after a turn that the other side answered; the change against the plain question. Null for the baseline. */
  system_prompt_against: change.nullable(), after_the_other_side: change.nullable(),
})
export type Robustness = z.infer<typeof robustness>

const contextTopics = (asked: Asked): string[] => sample(heldOutTopics(asked), asked.plan.context, (name) => name, asked.plan.seed + 1)
const contextId = (target: Target, kind: string, topic: string): string => `context/${target.id}/${kind}/${topic}`
const question = (asked: Asked, topic: string): string => asked.instruments.questions.templates[0]!.replace('{topic}', phraseOf(asked, topic))

const otherOf = ({ targets }: Asked, target: Target): Target | undefined => targets.find(({ side }) => side !== null && side !== target.side)

/** Before the other side's answers are there, only what does not need them. */
export function againstJobs (asked: Asked): Jobs {
  const { plan, instruments: { context } } = asked
  return {
    scores: [],
    chats: asked.targets.flatMap((target) => target.side === null ? [] : contextTopics(asked).map((topic) => ({
      id: contextId(target, 'against', topic), target, maxTokens: plan.tokens.other, seed: plan.seeds[0]!,
      messages: [{ role: 'system' as const, content: context.against[target.side!] }, ...user(question(asked, topic))],
    }))),
  }
}

/** What the other side said to the plain question stands before the next turn. */
export function switchJobs (setting: Asked & Pick<Setting, 'got'>): Jobs {
  const { plan, instruments: { context } } = setting
  return {
    scores: [],
    chats: setting.targets.flatMap((target) => {
      const other = otherOf(setting, target)
      return target.side === null || !other ? [] : contextTopics(setting).map((topic) => ({
        id: contextId(target, 'switch', topic), target, maxTokens: plan.tokens.other, seed: plan.seeds[0]!,
        messages: [...user(question(setting, topic)), { role: 'assistant' as const, content: setting.got.answers.get(freeId(other, topic, 0))!.text || 'I do not know.' }, ...user(context.switch)],
      }))
    }),
  }
}

const spreadOf = (shares: readonly (Estimate | null)[]): number | null => {
  const values = shares.flatMap((one) => one?.value === null || one === null ? [] : [one.value])
  return values.length < 2 ? null : Math.round((Math.max(...values) - Math.min(...values)) * 1e4) / 1e4
}

export function measureRobustness (setting: Setting, target: Target): Robustness {
  const { plan, instruments: { questions } } = setting
  const judge = setting.judges[0]!
  const seed = seedOf(setting, `robustness ${target.id}`)
  const topics = heldOutTopics(setting)
  const cells = topics.flatMap((topic, at) => Array.from({ length: plan.templates }, (_, template) => {
    const answer = answerOf(setting, freeId(target, topic, template))
    return { topic, template, seed: plan.seeds[(template + at) % plan.seeds.length]!, verdict: isRefusal(setting, answer) ? 0 : judge.verdict(answer.text) }
  }))
  const shareIn = (some: typeof cells): Estimate => {
    const left = clusteredShare([...Map.groupBy(some.filter(({ verdict }) => verdict !== 0), ({ topic }) => topic).values()].map((each) => each.map(({ verdict }) => verdict > 0)), seed)
    return own(target, left) ?? left
  }
  const byParaphrase = Array.from({ length: plan.templates }, (_, template) => ({ asked: questions.templates[template]!, own_share: shareIn(cells.filter((cell) => cell.template === template)) }))
  const bySeed = plan.seeds.map((one) => ({ seed: one, own_share: shareIn(cells.filter((cell) => cell.seed === one)) }))
  const changed = (kind: string): Robustness['system_prompt_against'] => {
    if (target.side === null) return null
    const both = contextTopics(setting).flatMap((topic) => {
      const [then, plain] = [answerOf(setting, contextId(target, kind, topic)), answerOf(setting, freeId(target, topic, 0))]
      return isRefusal(setting, then) || isRefusal(setting, plain) ? [] : [[judge.verdict(then.text), judge.verdict(plain.text)] as const]
    })
    if (both.length === 0) return { index: none('every answer was a refusal'), change: none('every answer was a refusal'), p: null }
    const changes = both.map(([then, plain]) => [then - plain])
    return { index: mean(both.map(([then]) => [then]), seed), change: mean(changes, seed), p: pOfMean(changes, seed) }
  }
  return {
    judge: judge.id, by_paraphrase: byParaphrase, by_seed: bySeed,
    spread: { paraphrase: spreadOf(byParaphrase.map((one) => one.own_share)), seed: spreadOf(bySeed.map((one) => one.own_share)) },
    system_prompt_against: changed('against'), after_the_other_side: changed('switch'),
  }
}
