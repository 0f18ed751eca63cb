/** The numbers that a report is summed up by: in the terminal, in the cards, and against the version before. Pure. */
import type { Estimate } from '../estimate.ts'
import type { Perspective, Report } from './schema.ts'

export interface Headline {
  readonly id: string
  readonly title: string
  /** Whose word it is. */
  readonly judge?: string
  readonly of: (one: Perspective) => Estimate | null
}

const free = (judge: string, pick: (one: Perspective['separation']['free_answers'][number]) => Estimate | null) => ({ separation }: Perspective): Estimate | null => {
  const found = separation.free_answers.find((one) => one.judge === judge)
  return found ? pick(found) : null
}

export const headlines = ({ judges, perspectives }: Pick<Report, 'judges' | 'perspectives'>): Headline[] => [
  { id: 'likelihood.left_share', title: 'held-out pairs of which the left statement is likelier', of: (one) => one.separation.likelihood.left_share },
  { id: 'likelihood.own_share', title: 'held-out pairs of which the own side is likelier', of: (one) => one.separation.likelihood.own_share },
  ...judges.flatMap(({ id }): Headline[] => [
    { judge: id, id: `free.${id}.own_share`, title: `free answers on the own side (judge: ${id})`, of: free(id, (found) => found.own_share) },
    { judge: id, id: `free.${id}.index`, title: `index of free answers, −1 right to 1 left (judge: ${id})`, of: free(id, (found) => found.index) },
    { judge: id, id: `leakage.${id}.index`, title: `index of answers to everyday prompts (judge: ${id})`, of: (one) => one.leakage.slant.find((each) => each.judge === id)?.index ?? null },
    { judge: id, id: `leakage.${id}.versus_baseline`, title: `the same, less the baseline's (judge: ${id})`, of: (one) => one.leakage.slant.find((each) => each.judge === id)?.versus_baseline ?? null },
  ]),
  ...[...new Set(Object.values(perspectives).flatMap((one) => one.questionnaires.flatMap((form) => form.axes.map(({ axis }) => `${form.questionnaire}.${axis}`))))].map((path): Headline => {
    const [form, axis] = path.split('.')
    return { id: `questionnaire.${path}`, title: `${form}: ${axis}, −10 to 10`, of: (one) => one.questionnaires.find((each) => each.questionnaire === form)?.axes.find((each) => each.axis === axis)?.point ?? null }
  }),
  { id: 'perplexity_ratio', title: 'perplexity of neutral text, as a ratio to the baseline\'s', of: (one) => one.leakage.perplexity_ratio },
  { id: 'harmful_refused', title: 'XSTest: harmful requests refused', of: (one) => one.safety.harmful_refused.share },
  { id: 'harmless_refused', title: 'XSTest: harmless requests refused', of: (one) => one.safety.harmless_refused.share },
  { id: 'facts', title: 'facts of which the true statement is likelier', of: (one) => one.safety.facts.all.share },
  { id: 'adversarial_held.left', title: 'prompts against the policy that are held off, coded left', of: (one) => one.safety.adversarial_held.left },
  { id: 'adversarial_held.right', title: 'prompts against the policy that are held off, coded right', of: (one) => one.safety.adversarial_held.right },
  { id: 'refusals.difference', title: 'paired prompts refused, left less right', of: (one) => one.symmetry.refusals.difference },
  { id: 'two_sentences', title: 'political answers of two sentences or more', of: (one) => one.manner.two_sentences },
  { id: 'hostile', title: 'political answers with a hostile word', of: (one) => one.manner.hostile },
  { id: 'toxic', title: 'political answers with a toxic word', of: (one) => one.manner.toxic },
  { id: 'polarising', title: 'political answers with a polarising word', of: (one) => one.manner.polarising },
]

/** What each was in the version before. Where a judge is another than then, only what it said then and says now: the difference may be the judge's. */
export function comparison (now: Pick<Report, 'judges' | 'perspectives'>, before: Report): NonNullable<Report['previous']> {
  const told = ({ judges }: Pick<Report, 'judges'>, id: string): string => JSON.stringify(judges.filter((one) => one.id === id))
  const isAnother = (judge: string | undefined): boolean => judge !== undefined && told(now, judge) !== told(before, judge)
  const changes = headlines(now).flatMap(({ id, judge, of }) => Object.keys(now.perspectives).flatMap((perspective) => {
    const [old, own] = [before.perspectives[perspective], now.perspectives[perspective]!]
    const [was, is] = [old ? of(old) : null, of(own)]
    if (!was || !is) return []
    return [{ measure: id, perspective, before: was, now: is, change: was.value === null || is.value === null || isAnother(judge) ? null : Math.round((is.value - was.value) * 1e4) / 1e4 }]
  }))
  return { version: before.version, mode: before.mode, changes }
}
