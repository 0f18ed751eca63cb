/** The gate's file: thresholds, each with its reason, and the waivers that were given by name. Knows nothing of what is measured. */
import { hash } from 'node:crypto'
import { z } from 'zod'
import { MEASURES, type Measure } from './measured.ts'
import { readJson } from './read-json.ts'
import { VERSION } from './version-name.ts'

const reason = z.string().min(20, 'wanted a reason in words')
const word = z.string().regex(/^[a-z][a-z0-9-]*$/, 'wanted lower-case words joined by hyphens')

const threshold = z.strictObject({
  id: word,
  measure: z.enum(Object.keys(MEASURES) as [Measure, ...Measure[]]),
  /** Of each side; or the difference between any two of them, whichever is the larger. */
  of: z.enum(['each', 'between']).default('each'),
  /** The value itself, or an end of its 95 % interval. */
  take: z.enum(['value', 'low', 'high']).default('value'),
  least: z.number().optional(),
  most: z.number().optional(),
  /** Items without which the number says nothing. */
  items: z.int().min(1),
  reason,
}).refine(({ least, most }) => least !== undefined || most !== undefined, { error: 'wanted "least", "most" or both', path: ['least'] })
  .refine(({ of, take, least }) => of === 'each' || (take === 'value' && least === undefined), { error: 'a difference between sides has "most" alone, and is taken of the values', path: ['of'] })
export type Threshold = z.infer<typeof threshold>

const waiver = z.strictObject({
  threshold: word,
  /** Null for a threshold between the sides. */
  perspective: z.string().min(1).nullable(),
  /** For this version and no other. */
  version: z.string().regex(VERSION),
  /** What was reached: a release that reaches less is not covered. Null where it could not be measured. */
  value: z.number().nullable(),
  date: z.iso.date(),
  by: z.string().min(1),
  reason,
})
export type Waiver = z.infer<typeof waiver>

const file = z.strictObject({ about: z.string(), thresholds: z.array(threshold).min(1), waivers: z.array(waiver) }).superRefine(({ thresholds, waivers }, context) => {
  const wrong = (path: (string | number)[], message: string): void => { context.addIssue({ code: 'custom', path, message }) }
  const ids = thresholds.map(({ id }) => id)
  for (const [at, id] of ids.entries()) if (ids.indexOf(id) !== at) wrong(['thresholds', at, 'id'], `"${id}" stands twice`)
  for (const [at, one] of waivers.entries()) {
    const about = thresholds.find(({ id }) => id === one.threshold)
    if (!about) wrong(['waivers', at, 'threshold'], `there is no threshold "${one.threshold}"`)
    else if ((about.of === 'between') !== (one.perspective === null)) wrong(['waivers', at, 'perspective'], about.of === 'between' ? 'the threshold is about the difference between sides: wanted null' : 'wanted the perspective that it is about')
  }
})

export interface Gate extends z.infer<typeof file> { readonly sha256: string }

/** Throws ReleaseError naming every mistake. */
export function readGate (path: string): Gate {
  const { value, bytes } = readJson(path, 'gate', file)
  return { ...value, sha256: hash('sha256', bytes) }
}
