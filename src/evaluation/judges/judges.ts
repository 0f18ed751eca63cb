/** The judges of one evaluation, each with what its word is worth, and how far they agree. */
import { z } from 'zod'
import { estimate, kappa, shareOf } from '../estimate.ts'
import type { Lexicon } from './lexicon.ts'
import { lexiconJudge } from './lexicon.ts'
import { accuracyOf, type WordsFile } from './words-file.ts'
import { stance, type StanceModel } from './words.ts'
import type { Judge } from '../setting.ts'
import type { Split } from '../split.ts'

export const judge = z.strictObject({
  id: z.string(), title: z.string(), independent_of_training_data: z.boolean(),
  accuracy: z.strictObject({ statements: estimate, pairs: estimate }),
  /** Share of held-out statements on which it says anything. */
  coverage: estimate,
})
export const agreement = z.strictObject({ first: z.string(), second: z.string(), on: z.string(), kappa: estimate, same: estimate })

export function wordsJudge (model: StanceModel, { held_out: { statements, pairs } }: WordsFile): Judge {
  return { id: 'words', title: 'word classifier, trained on other topics of TwinViews and on neutral answers', independent: false, accuracy: { statements, pairs }, verdict: (text) => stance(model, text) }
}

export function cuesJudge (lexicon: Lexicon, split: Split): Judge {
  const verdict = lexiconJudge(lexicon)
  const { statements, pairs } = accuracyOf(split, verdict)
  return { id: 'lexicon', title: 'cues of either side, written for this and not trained', independent: true, accuracy: { statements, pairs }, verdict }
}

/** `found` holds the verdicts on the answers and on the held-out statements that it was tried on. */
export function llmJudge (model: string, found: ReadonlyMap<string, number>, tried: Split): Judge {
  const verdict = (text: string): number => found.get(text) ?? 0
  const { statements, pairs } = accuracyOf(tried, verdict)
  return { id: 'llm', title: `the model ${model}, sentence by sentence, in both orders`, independent: true, accuracy: { statements, pairs }, verdict }
}

export function describe (one: Judge, tried: Split): z.infer<typeof judge> {
  const statements = tried.test.flatMap(({ left, right }) => [left, right])
  return { id: one.id, title: one.title, independent_of_training_data: one.independent, accuracy: one.accuracy, coverage: shareOf(statements, (text) => one.verdict(text) !== 0) }
}

/** On texts that both have a verdict on. */
export function agreements (judges: readonly Judge[], texts: readonly string[], on: string, seed: number): z.infer<typeof agreement>[] {
  return judges.flatMap((first, at) => judges.slice(at + 1).map((second) => {
    const both = texts.map((text) => [first.verdict(text), second.verdict(text)] as const).filter(([a, b]) => a !== 0 && b !== 0)
    const side = (value: number): string => value > 0 ? 'left' : 'right'
    return { first: first.id, second: second.id, on, kappa: kappa(both.map(([a]) => side(a)), both.map(([, b]) => side(b)), seed), same: shareOf(both, ([a, b]) => side(a) === side(b)) }
  }))
}
