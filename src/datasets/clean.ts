/**
 * Clean: one spelling, and out with what must not train – other languages, lengths out of range, personal data, toxic, extreme and
 * false texts, repetitions. The same thresholds for both ends; a pair goes as a whole, and what was found is counted by end.
 */
import { readLists, type Lists } from './clean/lists.ts'
import { nearDuplicates } from './clean/near-duplicates.ts'
import { personalData } from './clean/personal.ts'
import { lines, writeWhole } from './parts.ts'
import { digestOf, type Recipe } from './recipe.ts'
import { ENDS, type Collected, type End } from './rows.ts'
import type { Job, Stage } from './stage.ts'
import { tidy, wordCount } from './text.ts'

interface Verdict { readonly row: Collected, readonly found: readonly { readonly end: End, readonly why: string }[] }

function judge (row: Collected, lists: Lists, recipe: Recipe): Verdict {
  const pair = row.left !== undefined && row.right !== undefined
  const [least, most] = pair ? recipe.clean.pair_words : recipe.clean.document_words
  const texts: { left?: string, right?: string } = {}
  const found: { end: End, why: string }[] = []
  for (const end of ENDS) {
    const raw = row[end]
    if (raw === undefined) continue
    const text = tidy(raw)
    texts[end] = text
    const why = text === '' ? 'empty' : text.includes('\ufffd') ? 'broken characters' : wordCount(text) < least ? 'too short' : wordCount(text) > most ? 'too long' : undefined
    const all = why !== undefined ? [why] : lists.findings(text)
    if (why === undefined) {
      if (lists.language(text) !== recipe.clean.language) all.push('another language')
      const personal = personalData(text)
      if (personal !== undefined) all.push(`personal data: ${personal}`)
    }
    for (const one of all) found.push({ end, why: one })
  }
  if (pair && texts.left!.toLowerCase() === texts.right!.toLowerCase()) for (const end of ENDS) found.push({ end, why: 'both sides the same' })
  return { row: { id: row.id, source: row.source, topic: tidy(row.topic), ...texts }, found }
}

/** Numbers, among the rows that nothing else is wrong with, of those that repeat an earlier one. */
async function repeated (job: Job, lists: Lists): Promise<string> {
  const file = job.scratch('repeated')
  await job.once('repeated-found', () => writeWhole(file, (out) => {
    const texts = function * (): Generator<readonly string[]> {
      for (const row of job.read<Collected>('collect', 'near-duplicates')) {
        const { row: { left = '', right = '' }, found } = judge(row, lists, job.recipe)
        if (found.length === 0) yield [left, right]
      }
    }
    for (const { row, exact } of nearDuplicates(texts(), job.recipe.clean.near_duplicate, job.scratch('near'))) out.line(`${row} ${exact ? 'exact' : 'near'}`)
  }))
  return file
}

export const clean: Stage = {
  name: 'clean',
  summary: 'one spelling; out with what must not train, and with repetitions',
  after: ['collect'],
  settings: (recipe) => {
    const { toxic_words: toxic, extreme_phrases: extreme, false_claims: claims, function_words: words } = recipe.clean
    return { code: 1, ...recipe.clean, digests: [toxic, extreme, claims, words].map((file) => digestOf(recipe, file)) }
  },
  async run (job) {
    const lists = readLists(job.recipe)
    const repeats = lines(await repeated(job, lists))
    let next = repeats.next().value?.split(' ')
    let number = 0
    // parts that are there already still have to be counted through
    const skip = (rows: Iterable<Collected>): void => { for (const row of rows) if (judge(row, lists, job.recipe).found.length === 0) take() }
    const take = (): string | undefined => {
      const hit = next !== undefined && Number(next[0]) === number ? next[1] : undefined
      if (hit !== undefined) next = repeats.next().value?.split(' ')
      number++
      return hit
    }
    job.mapParts<Collected>('collect', (rows, out, count) => {
      for (const raw of rows) {
        const { row, found } = judge(raw, lists, job.recipe)
        for (const end of ENDS) if (row[end] !== undefined) count(`${end}: texts`)
        for (const { end, why } of found) count(`${end}: ${why}`)
        for (const end of ENDS) if (found.some((one) => one.end === end)) count(`${end}: flagged`)
        const reasons = new Set(found.map(({ why }) => why.split(':')[0]!))
        for (const why of reasons) count(`dropped rows: ${why}`)
        if (found.length > 0) continue
        const repeat = take()
        if (repeat !== undefined) count(`dropped rows: ${repeat} repetition`)
        else { out.row(row); count('kept') }
      }
    }, skip)
    job.mustHave('kept')
  },
}
