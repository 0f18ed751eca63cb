/**
 * Annotate: stance and topic of every pair, with a confidence, by models that never saw the pair itself but others on its
 * topic: models that saw none took "abortion should be illegal" for left. A pair whose ends read exchanged is likely a wrong label;
 * it does not train, and people can look at it (tasks). Knows nothing of splits.
 */
import { z } from 'zod'
import { at, DatasetError } from './dataset-error.ts'
import { number32 } from './dice.ts'
import { readRows } from './parts.ts'
import { digestOf, pathIn, type Recipe } from './recipe.ts'
import { confidence, features, StanceModel } from './stance/stance.ts'
import { readFamilies } from './topics/families.ts'
import type { AnnotatedPair, Pair } from './rows.ts'
import type { Stage } from './stage.ts'
import { contentWords } from './text.ts'

/** Pairs that the models learn from, spread over all: more make them no surer. */
const MOST_LEARNED = 60_000

const verdict = z.object({ id: z.string(), verdict: z.enum(['as labelled', 'exchanged', 'neither']) })

function readVerdicts (recipe: Recipe): Map<string, string> {
  if (recipe.annotate.verdicts === null) return new Map()
  const file = pathIn(recipe, recipe.annotate.verdicts)
  return new Map([...readRows<unknown>(file)].map((row, i) => {
    const parsed = verdict.safeParse(row)
    if (!parsed.success) throw new DatasetError(`${at(file, i + 1)}: wanted {"id", "verdict"} as "datasets agreement --write" gives them, came ${JSON.stringify(row).slice(0, 80)}.`)
    return [parsed.data.id, parsed.data.verdict]
  }))
}

export const annotate: Stage = {
  name: 'annotate',
  summary: 'stance and topic of every pair, with a confidence',
  after: ['pair'],
  settings: (recipe) => ({ code: 2, seed: recipe.seed, ...recipe.annotate, said: recipe.annotate.verdicts && digestOf(recipe, recipe.annotate.verdicts) }),
  async run (job) {
    const { folds, epochs } = job.recipe.annotate
    const families = readFamilies(job.recipe)
    const foldOf = (row: Pair): number => number32(job.recipe.seed, 'fold', row.id) % folds
    const every = Math.max(1, Math.ceil(job.rowsOf('pair') / MOST_LEARNED))
    const kept = await job.once('models', () => {
      const models = Array.from({ length: folds }, () => new StanceModel())
      for (let epoch = 1; epoch <= epochs; epoch++) {
        let number = -1
        for (const row of job.read<Pair>('pair', `learning stance, ${epoch} of ${epochs}`)) {
          if (++number % every !== 0) continue
          const [left, right] = [features(row.left), features(row.right)]
          for (const [fold, model] of models.entries()) if (fold !== foldOf(row)) model.learn(left, right)
        }
      }
      return models.map((model) => model.keep())
    })
    const verdicts = readVerdicts(job.recipe)
    const models = kept.map((text) => StanceModel.from(text))
    job.mapParts<Pair>('pair', (rows, out, count) => {
      for (const row of rows) {
        const sure = confidence(models[foldOf(row)]!, features(row.left), features(row.right))
        const text = `${row.left}\n${row.right}`
        const about = contentWords(row.topic)
        const said = contentWords(text)
        const onTopic = [...about].some((word) => said.has(word)) || (families.named(row.cluster)?.pattern.test(text.toLowerCase()) ?? false)
        const verdict = verdicts.get(row.id)
        if (verdict !== undefined) count(`people: ${verdict}`)
        // people outvote the model, which reads words
        const trusted = verdict === undefined ? sure : verdict === 'as labelled' ? Math.max(sure, 0.501) : 0
        out.row({ ...row, confidence: trusted, on_topic: onTopic } satisfies AnnotatedPair)
        count('pairs')
        count(sure > 0.5 ? 'read as labelled' : 'read as exchanged')
        if (!onTopic) count('do not name their topic')
      }
    })
  },
}
