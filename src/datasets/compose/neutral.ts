/** Neutral instructions with the base model's own answers: the same on both sides, so that what the base could do is kept. */
import { z } from 'zod'
import { DatasetError, at } from '../dataset-error.ts'
import { lines } from '../parts.ts'
import { pathIn } from '../recipe.ts'
import type { Example } from '../rows.ts'
import type { Job } from '../stage.ts'

const answer = z.looseObject({ prompt: z.string().min(1), answer: z.string().min(1) })

/** The last part: as many rows as their share of the training rows asks for, none oftener than allowed. */
export function neutralRows (job: Job, part: number): void {
  const rule = job.recipe.compose.neutral
  if (rule === null) return
  const file = pathIn(job.recipe, rule.answers)
  const known: { prompt: string, answer: string }[] = []
  let row = 0
  for (const line of lines(file)) {
    row++
    const parsed = answer.safeParse(((): unknown => { try { return JSON.parse(line) } catch { return undefined } })())
    if (!parsed.success) throw new DatasetError(`${at(file, row)}: wanted {"prompt", "answer"}, came ${JSON.stringify(line.slice(0, 80))}. Make the file again with "parallax datasets neutral".`)
    known.push(parsed.data)
  }
  if (known.length === 0) throw new DatasetError(`${file} holds no answers; make some with "parallax datasets neutral", or set "neutral" to null in the recipe.`)
  const composed = job.counts()['train: rows'] ?? 0
  const wanted = Math.min(Math.round(composed * rule.share / (1 - rule.share)), known.length * rule.most_repeats)
  job.part(part, (out, count) => {
    for (let i = 0; i < wanted; i++) {
      const { prompt, answer: text } = known[i % known.length]!
      const id = `neutral.${i % known.length}.${Math.floor(i / known.length)}`
      out.row({ id, kind: 'neutral', split: 'train', cluster: 'neutral', topic: 'neutral', parent: null, from: [], prompt: [{ role: 'user', content: prompt }], left: text, right: text } satisfies Example)
      count('train: neutral')
    }
    count('neutral instructions', known.length)
  })
}
