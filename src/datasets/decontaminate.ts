/** Decontaminate: rows of train and validation that repeat an item of an evaluation set go, for both sides alike. */
import { evaluationDigests, readContamination, type Contamination, type Hit } from './contamination.ts'
import { digestOf } from './recipe.ts'
import { ENDS, type Example } from './rows.ts'
import type { Stage } from './stage.ts'
import { sentences } from './text.ts'

/** The first text of a row that an evaluation set holds. Answers count whole too: an item may run over the end of a sentence. */
export function contaminated (row: Example, sets: Contamination): Hit | undefined {
  const texts = [...row.prompt.map((turn) => turn.content), ...ENDS.flatMap((end) => [row[end], ...sentences(row[end])])]
  for (const text of texts) {
    const hit = sets.find(text)
    if (hit !== undefined) return hit
  }
  return undefined
}

export const decontaminate: Stage = {
  name: 'decontaminate',
  summary: 'out with what repeats an item of an evaluation set',
  after: ['augment'],
  settings: (recipe) => ({ code: 2, ...recipe.decontaminate, list: digestOf(recipe, recipe.decontaminate.sets), sets: evaluationDigests(recipe) }),
  async run (job) {
    const sets = await readContamination(job.recipe)
    job.mapParts<Example>('augment', (rows, out, count) => {
      // a derived row stands in the part of its parent, behind it
      const dropped = new Set<string>()
      for (const row of rows) {
        const hit = row.split === 'test' ? undefined : contaminated(row, sets)
        if (hit !== undefined) {
          dropped.add(row.id)
          count(`dropped: ${hit.set}, ${hit.by}`)
        } else if (row.parent !== null && dropped.has(row.parent)) count('dropped: with its parent')
        else { out.row(row); count(`${row.split}: rows`) }
      }
    })
    job.mustHave('train: rows')
  },
}
