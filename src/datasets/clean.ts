/**
 * Clean: one spelling, and out with what must not train – other languages, lengths out of range, personal data, toxic, extreme and
 * false texts, repetitions. The same thresholds for both ends; a pair goes as a whole, and what was found is counted by end.
 */
import { readLists, type Lists } from './clean/lists.ts'
import { nearDuplicates } from './clean/near-duplicates.ts'
import { personalData } from './clean/personal.ts'
import { lines, readRows, writeWhole } from './parts.ts'
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

/** Every row judged, and the numbers, among those that nothing is wrong with, of rows that repeat an earlier one. Both into files. */
async function judged (job: Job): Promise<{ readonly rows: string, readonly repeats: string }> {
  const [rows, repeats] = [job.scratch('judged'), job.scratch('repeats')]
  await job.once('found', () => {
    const lists = readLists(job.recipe)
    return writeWhole(repeats, (found) => {
      writeWhole(rows, (all) => {
        const texts = function * (): Generator<readonly string[]> {
          for (const row of job.read<Collected>('collect', 'near-duplicates')) {
            const verdict = judge(row, lists, job.recipe)
            all.row(verdict)
            if (verdict.found.length === 0) yield [verdict.row.left ?? '', verdict.row.right ?? '']
          }
        }
        for (const { row, exact } of nearDuplicates(texts(), job.recipe.clean.near_duplicate, job.scratch('near'))) found.line(`${row} ${exact ? 'exact' : 'near'}`)
      })
    })
  })
  return { rows, repeats }
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
    const files = await judged(job)
    const repeats = lines(files.repeats)
    let next = repeats.next().value?.split(' ')
    let number = 0
    const repeat = (): string | undefined => {
      const hit = next !== undefined && Number(next[0]) === number ? next[1] : undefined
      if (hit !== undefined) next = repeats.next().value?.split(' ')
      number++
      return hit
    }
    const all = readRows<Verdict>(files.rows)
    const take = function * (count: number): Generator<Verdict & { readonly repeats?: string | undefined }> {
      for (let i = 0; i < count; i++) {
        const verdict = all.next().value as Verdict
        yield verdict.found.length > 0 ? verdict : { ...verdict, repeats: repeat() }
      }
    }
    const parts = job.partsOf('collect')
    for (const [part, { rows }] of parts.entries()) {
      job.report('parts', part, parts.length)
      const verdicts = take(rows)
      job.part(part, (out, count) => {
        for (const { row, found, repeats: how } of verdicts) {
          for (const end of ENDS) if (row[end] !== undefined) count(`${end}: texts`)
          for (const { end, why } of found) count(`${end}: ${why}`)
          for (const end of ENDS) if (found.some((one) => one.end === end)) count(`${end}: flagged`)
          for (const why of new Set(found.map((one) => one.why.split(':')[0]!))) count(`dropped rows: ${why}`)
          if (found.length > 0) continue
          if (how !== undefined) count(`dropped rows: ${how} repetition`)
          else { out.row(row); count('kept') }
        }
      })
      // of a part that was there already, the rest still has to be passed over
      for (const _ of verdicts) void _
    }
    job.mustHave('kept')
  },
}
