/** The report's schema, version 1: what `reports/<version>/report.json` holds. The gate, the cards and the page read this and nothing else. Holds nothing of when or where it ran: the same answers give the same bytes. */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { decontamination } from '../decontamination.ts'
import { estimate } from '../estimate.ts'
import { EvaluationError } from '../evaluation-error.ts'
import { agreement, judge } from '../judges/judges.ts'
import { leakage } from '../measures/leakage.ts'
import { manner } from '../measures/manner.ts'
import { symmetry } from '../measures/paired.ts'
import { placed } from '../measures/questionnaire.ts'
import { robustness } from '../measures/robustness.ts'
import { safety } from '../measures/safety.ts'
import { separation } from '../measures/separation.ts'
import { topic } from '../measures/topics.ts'

const weights = z.strictObject({ model: z.string(), base_sha256: z.string().nullable(), adapter: z.string().nullable(), adapter_sha256: z.string().nullable() }).nullable()

const perspective = z.strictObject({
  side: z.enum(['left', 'right']).nullable(),
  /** Null where the endpoint declares nothing of what answers. */
  weights,
  separation, questionnaires: z.array(placed), symmetry, leakage, safety, manner, robustness,
})

export const change = z.strictObject({ measure: z.string(), perspective: z.string(), before: estimate, now: estimate, change: z.number().nullable() })

export const report = z.strictObject({
  schema: z.literal(1),
  version: z.string().regex(/^[\w.-]{1,60}$/),
  mode: z.enum(['full', 'quick']),
  seed: z.int(),
  /** Which perspective stands for which end, by id. */
  sides: z.strictObject({ left: z.string(), right: z.string(), baseline: z.string() }),
  split: z.strictObject({ sha256: z.string(), held_out: z.array(z.string()), pairs: z.int() }),
  instruments: z.array(z.strictObject({ file: z.string(), sha256: z.string(), licence: z.string() })),
  /** Null: texts could be scored. */
  unscored: z.string().nullable(),
  decontamination,
  judges: z.array(judge).min(1),
  agreement: z.array(agreement),
  /** By id. */
  perspectives: z.record(z.string(), perspective),
  topics: z.array(topic),
  /** Paired where both answered the same; `p_holm` is corrected over all of them. */
  tests: z.array(z.strictObject({ id: z.string(), says: z.string(), p: z.number(), p_holm: z.number() })),
  previous: z.strictObject({ version: z.string(), mode: z.string(), changes: z.array(change) }).nullable(),
  /** Reports of other adapters to the same questions: what they reached (`before`) and what these do (`now`). `sha256` is that report's. */
  beside: z.array(z.strictObject({ name: z.string(), version: z.string(), sha256: z.string(), weights: z.record(z.string(), weights), changes: z.array(change) })).default([]),
  /** Pictures of the training, next to the report. */
  curves: z.array(z.strictObject({ name: z.string(), file: z.string(), sha256: z.string() })).default([]),
})
export type Report = z.infer<typeof report>
export type Perspective = Report['perspectives'][string]

/** Throws EvaluationError where it is no report. */
export function readReport (path: string): Report {
  let json: unknown
  try { json = JSON.parse(readFileSync(path, 'utf8')) } catch (cause) { throw new EvaluationError(`${path} cannot be read as a report: ${(cause as Error).message}`, { cause }) }
  const parsed = report.safeParse(json)
  if (!parsed.success) throw new EvaluationError(`${path} is no report of schema 1: ${parsed.error.issues.slice(0, 3).map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ')}`)
  return parsed.data
}
