/** One evaluation from beginning to end: finds who is to be asked, asks, judges, measures. Writes nothing but the kept answers; gives the report. */
import type OpenAI from 'openai'
import { Asking } from './client/asking.ts'
import { Gone, type Endpoint } from './client/endpoint.ts'
import type { Kept } from './client/kept.ts'
import { findTargets, type Target } from './client/target.ts'
import { decontaminate, HELD_OUT } from './decontamination.ts'
import { EvaluationError } from './evaluation-error.ts'
import type { Instruments } from './instruments.ts'
import { agreements, cuesJudge, describe, llmJudge, wordsJudge } from './judges/judges.ts'
import { llmVerdicts } from './judges/llm.ts'
import type { readWordsFile } from './judges/words-file.ts'
import { leakageJobs, measureLeakage, plainPrompts } from './measures/leakage.ts'
import { measureManner } from './measures/manner.ts'
import { measureSymmetry, symmetryJobs } from './measures/paired.ts'
import { measureQuestionnaire, questionnaireJobs } from './measures/questionnaire.ts'
import { againstJobs, measureRobustness, switchJobs } from './measures/robustness.ts'
import { measureSafety, safetyJobs } from './measures/safety.ts'
import { heldOutPairs, measureSeparation, phraseOf, separationJobs } from './measures/separation.ts'
import { measureTopics, topicJobs } from './measures/topics.ts'
import type { Plan } from './plan.ts'
import { sample } from './random.ts'
import { comparable, type Beside, type Curves } from './report/beside.ts'
import { comparison } from './report/headlines.ts'
import { report as schema, type Report } from './report/schema.ts'
import { testsOf } from './report/tests.ts'
import { listsOf, seedOf, type Asked, type Judge, type Setting } from './setting.ts'
import type { Split } from './split.ts'

export interface RunOptions {
  readonly version: string
  readonly plan: Plan
  readonly split: Split
  readonly instruments: Instruments
  readonly words: ReturnType<typeof readWordsFile>
  readonly endpoint: Endpoint
  /** With an admin key; null where there is none. */
  readonly scoring: Endpoint | null
  readonly sides: { readonly left: string, readonly right: string, readonly baseline: string }
  /** Report id -> model name at the endpoint, where it is another. */
  readonly models: Readonly<Record<string, string>>
  readonly training: readonly { readonly name: string, readonly path: string }[]
  readonly kept: Kept
  readonly concurrency: number
  readonly progress: (label: string, done: number, of: number) => void
  readonly llm: { readonly client: Pick<OpenAI, 'chat'>, readonly model: string } | null
  readonly previous: Report | null
  readonly beside?: readonly Beside[]
  readonly curves?: readonly Curves[]
}

/** Held-out statements that a judge is tried on which has to be paid for each. */
const TRIED_PAIRS = 40

export async function evaluate (options: RunOptions): Promise<Report> {
  try { return await evaluated(options) } catch (error) {
    if (!(error instanceof Gone)) throw error
    throw new EvaluationError(`${error.message} ${options.kept.size > 0 ? 'What was answered so far is kept; run the same command again when it is back, and it goes on from there.' : 'Nothing had been answered yet. See that it runs at the address that was given, and run the same command again.'}`, { cause: error })
  }
}

async function evaluated (options: RunOptions): Promise<Report> {
  const { plan, split, instruments, sides, progress, beside = [], curves = [] } = options
  for (const one of beside) comparable({ mode: plan.mode, seed: plan.seed, split }, one)
  const found = await findTargets(options.endpoint, [{ id: sides.baseline, side: null }, { id: sides.left, side: 'left' }, { id: sides.right, side: 'right' }], options.models, options.scoring)
  const asked: Asked = { plan, split, instruments, targets: found.targets, base: found.base }
  const unscored = found.scoring.ok ? null : found.scoring.reason
  const clean = await decontaminate(itemsOf(asked), options.training)

  const asking = new Asking({ endpoint: options.endpoint, scoring: unscored === null ? options.scoring : null, kept: options.kept, concurrency: options.concurrency, progress })
  const jobs = [separationJobs(asked), topicJobs(asked), questionnaireJobs(asked, unscored === null), symmetryJobs(asked), leakageJobs(asked), safetyJobs(asked), againstJobs(asked)]
  await asking.score('scoring texts', jobs.flatMap(({ scores }) => scores))
  await asking.chat('answers', jobs.flatMap(({ chats }) => chats))
  await asking.chat('conversations that switch sides', switchJobs({ ...asked, got: asking }).chats)

  const tried: Split = { ...split, test: sample(split.test, TRIED_PAIRS, ({ left, right }) => `${left}\0${right}`, plan.seed) }
  const judges: Judge[] = [wordsJudge(options.words.model, options.words.made), cuesJudge(instruments.lexicon, split)]
  const political = [...asking.answers].flatMap(([id, { text }]) => /^(free|fixture|plain|context)\//.test(id) && text !== '' ? [text] : []).toSorted()
  if (options.llm) judges.push(llmJudge(options.llm.model, await llmVerdicts([...new Set([...political, ...tried.test.flatMap(({ left, right }) => [left, right])])], { ...options.llm, kept: options.kept, concurrency: options.concurrency, progress }), tried))

  const setting: Setting = { ...asked, got: asking, judges, unscored, lists: listsOf(instruments) }
  const measured = Object.fromEntries(found.targets.map((target, at) => { progress('measuring', at, found.targets.length); return [target.id, measure(setting, target)] }))
  // they came in any order: resampling must meet them in one
  const free = [...asking.answers].toSorted(([a], [b]) => a < b ? -1 : 1).flatMap(([id, { text }]) => id.startsWith('free/') && text !== '' ? [text] : [])
  const statements = tried.test.flatMap(({ left, right }) => [left, right])
  const now: Omit<Report, 'previous' | 'beside' | 'curves'> = {
    schema: 1, version: options.version, mode: plan.mode, seed: plan.seed, sides,
    split: { sha256: split.sha256, held_out: [...split.heldOut], pairs: split.test.length },
    instruments: [...instruments.files], unscored, decontamination: clean,
    judges: judges.map((one) => describe(one, one.id === 'llm' ? tried : split)),
    agreement: [...agreements(judges, free, 'free answers', seedOf(asked, 'agreement')), ...agreements(judges, statements, 'held-out statements', seedOf(asked, 'agreement'))],
    perspectives: measured, topics: measureTopics(setting),
    tests: testsOf(setting, found.targets.filter(({ side }) => side !== null), found.base, measured),
  }
  // what the schema does not know must not be written either
  return schema.parse({
    ...now, previous: options.previous ? comparison(now, options.previous) : null,
    beside: beside.map(({ name, sha256, report }) => ({ name, version: report.version, sha256, weights: Object.fromEntries(Object.entries(report.perspectives).map(([id, { weights }]) => [id, weights])), changes: comparison(now, report).changes })),
    curves: curves.map(({ name, sha256 }) => ({ name, file: `curves-${name}.svg`, sha256 })),
  })
}

function measure (setting: Setting, target: Target): Report['perspectives'][string] {
  return {
    side: target.side, weights: target.weights,
    separation: measureSeparation(setting, target),
    questionnaires: setting.instruments.questionnaires.map((form) => measureQuestionnaire(setting, target, form)),
    symmetry: measureSymmetry(setting, target), leakage: measureLeakage(setting, target), safety: measureSafety(setting, target),
    manner: measureManner(setting, target), robustness: measureRobustness(setting, target),
  }
}

/** Every text that must not have trained. Questions on the fixtures are left out: their topics may train, and the report says so. */
export function itemsOf (asked: Asked): { readonly set: string, readonly text: string }[] {
  const { instruments } = asked
  const of = (set: string, texts: readonly string[]) => texts.map((text) => ({ set, text }))
  const sided = (pairs: readonly { readonly left: string, readonly right: string }[]): string[] => pairs.flatMap(({ left, right }) => [left, right])
  return [
    ...of(HELD_OUT, sided(heldOutPairs(asked))),
    ...of('questions on held-out topics', asked.split.heldOut.flatMap((topic) => instruments.questions.templates.map((template) => template.replace('{topic}', phraseOf(asked, topic))))),
    ...instruments.questionnaires.flatMap(({ id, items }) => of(id, items.flatMap(({ text, negated }) => negated === undefined ? [text] : [text, negated]))),
    ...of('paired prompts', sided(instruments.paired.pairs)), ...of('out-groups', sided(instruments.outgroups.pairs)), ...of('adversarial prompts', sided(instruments.adversarial.pairs)),
    ...of('facts', instruments.facts.pairs.flatMap((one) => [one.true, one.false])), ...of('neutral texts', instruments.neutral.texts.map(({ text }) => text)),
    ...of('everyday prompts', plainPrompts(asked).map(({ text }) => text)), ...of('xstest', instruments.xstest.map(({ prompt }) => prompt)),
  ]
}
