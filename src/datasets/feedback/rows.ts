/**
 * What people said of answers as rows that train: a choice between two answers of one side to one question becomes a preference row,
 * a rating a KTO row, each for the perspective that answered. A choice between sides says what somebody thinks, not which answer is the
 * better one of its side: it trains neither.
 */
import { hash } from 'node:crypto'
import { mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { readLists } from '../clean/lists.ts'
import { personalData } from '../clean/personal.ts'
import { readContamination } from '../contamination.ts'
import { DatasetError } from '../dataset-error.ts'
import type { Gateway } from '../gateway.ts'
import { FileInTheMaking, writeJson } from '../parts.ts'
import type { Recipe } from '../recipe.ts'
import type { Report } from '../stage.ts'
import { tidy } from '../text.ts'
import { answersOf, readGiven, type Given } from './given.ts'
import { KeyGuard, PromptGuard, type KeyShare, type Limits } from './guard.ts'
import { readTranscript, type Transcript } from './transcripts.ts'

export interface FeedbackRooms { readonly admin: Gateway, readonly auditor: Gateway, readonly recipe: Recipe, readonly limits: Limits, readonly report: Report }

export interface FeedbackReport {
  readonly given: number
  readonly limits: Limits
  /** By perspective and kind. */
  readonly rows: Readonly<Record<string, number>>
  readonly dropped: Readonly<Record<string, number>>
  /** Pseudonyms, as the log shows them; the largest first. */
  readonly keys: readonly KeyShare[]
  readonly largest_share: number
}

interface Ready { readonly perspective: string, readonly kind: 'dpo' | 'kto', readonly row: Readonly<Record<string, unknown>>, readonly prompt: string }

const MOST_KEYS_TOLD = 100

export async function feedbackRows ({ admin, auditor, recipe, limits, report }: FeedbackRooms, folder: string): Promise<FeedbackReport> {
  const sides = new Set(Object.values(recipe.sides))
  const dropped: Record<string, number> = {}
  const drop = (why: string, by = 1): void => { dropped[why] = (dropped[why] ?? 0) + by }
  const keys = new KeyGuard<Given>(limits.perKey, recipe.seed)
  let given = 0
  for await (const one of readGiven(admin)) {
    given++
    const answers = answersOf(one)
    // asked for already, and asked again: nothing trains without it
    if (!one.consent || one.consent_version === null) drop('without consent')
    else if (answers.some(({ perspective }) => !sides.has(perspective))) drop('about an answer of no side of the recipe')
    else if (one.kind === 'choice' && one.preferred.perspective !== one.over.perspective) drop('a choice between sides')
    else keys.add(one)
  }
  const chosen = keys.kept()
  const shares = keys.shares()
  const flooded = shares.reduce((sum, key) => sum + key.given - key.kept, 0)
  if (flooded > 0) drop('more than one key may say', flooded)

  const lists = readLists(recipe)
  const sets = await readContamination(recipe)
  const prompts = new PromptGuard(limits)
  // what is unlearned stands in the file as well: only the lists are for what is learned alone
  const unfit = (transcript: Transcript, learned: readonly string[], unlearned: readonly string[]): string | undefined => {
    const asked = transcript.messages.map(({ content }) => content)
    const answers = [...learned, ...unlearned]
    if ([...asked, ...answers].some((text) => personalData(text) !== undefined)) return 'personal data'
    if (learned.some((text) => lists.findings(tidy(text)).length > 0)) return 'toxic, extreme or false by the lists'
    if (asked.some((text) => sets.find(text) !== undefined) || answers.some((text) => sets.findInAnswer(text) !== undefined)) return 'an evaluation item'
    return undefined
  }

  async function ready (one: Given): Promise<Ready | string> {
    const first = one.kind === 'rating' ? one.about : one.preferred
    const transcript = await readTranscript(auditor, first.record)
    if (typeof transcript === 'string') return transcript
    const answer = transcript.answer(first.choice)?.trim()
    if (!answer) return 'the answer is empty'
    const prompt = JSON.stringify(transcript.messages)
    const row = { id: one.id, prompt: transcript.messages }
    const said = (content: string): object[] => [{ role: 'assistant', content }]
    if (one.kind === 'rating') {
      const wrong = one.rating === 'good' ? unfit(transcript, [answer], []) : unfit(transcript, [], [answer])
      return wrong ?? { perspective: first.perspective, kind: 'kto', prompt, row: { ...row, completion: said(answer), label: one.rating === 'good' } }
    }
    const second = one.over.record === first.record ? transcript : await readTranscript(auditor, one.over.record)
    if (typeof second === 'string') return second
    if (JSON.stringify(second.messages) !== prompt) return 'a choice between answers to different questions'
    const rejected = second.answer(one.over.choice)?.trim()
    if (!rejected) return 'the answer is empty'
    if (rejected === answer) return 'both answers are the same'
    return unfit(transcript, [answer], [rejected]) ?? { perspective: first.perspective, kind: 'dpo', prompt, row: { ...row, chosen: said(answer), rejected: said(rejected) } }
  }

  const making = `${folder}.tmp`
  rmSync(making, { recursive: true, force: true })
  mkdirSync(making, { recursive: true })
  const files = new Map<string, FileInTheMaking>()
  const provenance = new FileInTheMaking(join(making, 'provenance.jsonl'))
  const rows: Record<string, number> = {}
  const used = new Map<string, number>()
  try {
    for (const [number, one] of chosen.entries()) {
      report('rows', number, chosen.length)
      const made = await ready(one)
      const why = typeof made === 'string' ? made : prompts.refuses(`${made.perspective}.${made.kind} ${hash('sha256', made.prompt)}`, one.key)
      if (typeof made === 'string' || why !== undefined) { drop(why!); continue }
      const name = `${made.perspective}.${made.kind}`
      if (!files.has(name)) files.set(name, new FileInTheMaking(join(making, `${name}.jsonl`)))
      files.get(name)!.row(made.row)
      rows[name] = (rows[name] ?? 0) + 1
      used.set(one.key, (used.get(one.key) ?? 0) + 1)
      provenance.row({ id: one.id, file: `${name}.jsonl`, created: one.created, key: one.key, consent_version: one.consent_version, answers: answersOf(one) })
    }
  } catch (error) {
    for (const file of [provenance, ...files.values()]) file.abandon()
    rmSync(making, { recursive: true, force: true })
    throw error
  }
  for (const file of [provenance, ...files.values()]) file.close()
  const all = Object.values(rows).reduce((sum, count) => sum + count, 0)
  if (all === 0) {
    rmSync(making, { recursive: true, force: true })
    throw new DatasetError(`No row is left of ${given} with consent: ${JSON.stringify(dropped)}. Nothing was written.`)
  }
  const found: FeedbackReport = {
    given, limits, rows, dropped, largest_share: Math.round(1e4 * Math.max(...used.values()) / all) / 1e4,
    keys: shares.slice(0, MOST_KEYS_TOLD).map((share) => ({ ...share, kept: used.get(share.key) ?? 0 })),
  }
  writeJson(join(making, 'report.json'), found)
  rmSync(folder, { recursive: true, force: true })
  renameSync(making, folder)
  return found
}
