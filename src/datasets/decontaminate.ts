/** Decontaminate: rows of train and validation that repeat an item of an evaluation set go, for both sides alike. */
import { evaluationDigests, readContamination, type Contamination, type Hit } from './contamination.ts'
import { digestOf } from './recipe.ts'
import type { Example } from './rows.ts'
import type { Stage } from './stage.ts'

/** The first text of a row that an evaluation set holds. */
export function contaminated (row: Example, sets: Contamination): Hit | undefined {
  for (const { content } of row.prompt) {
    const hit = sets.find(content)
    if (hit !== undefined) return hit
  }
  return sets.findInAnswer(row.left) ?? sets.findInAnswer(row.right)
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
