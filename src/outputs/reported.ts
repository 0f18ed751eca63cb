/** What a report says that served answers can be held against, by perspective. Knows where it stands in a report, and nothing of what was served. */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { estimate } from '../evaluation/estimate.ts'
import type { Reported } from './findings.ts'

const slant = z.array(z.looseObject({ judge: z.string(), index: estimate }))
/** Of schema 1 of src/evaluation, what is read here. */
const report = z.looseObject({
  schema: z.literal(1),
  version: z.string(),
  perspectives: z.record(z.string(), z.looseObject({
    weights: z.looseObject({ adapter_sha256: z.string().nullable() }).nullable(),
    separation: z.looseObject({ free_answers: slant }),
    leakage: z.looseObject({ slant }),
  })),
})

export function readReported (path: string): { readonly version: string, readonly reported: ReadonlyMap<string, Reported> } {
  let json: unknown
  try { json = JSON.parse(readFileSync(path, 'utf8')) } catch (cause) { throw new Error(`${path} cannot be read as a report: ${(cause as Error).message}`, { cause }) }
  const parsed = report.safeParse(json)
  if (!parsed.success) throw new Error(`${path} is no report of an evaluation: ${parsed.error.issues.slice(0, 3).map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ')}`)
  const byJudge = (all: z.infer<typeof slant>) => Object.fromEntries(all.map(({ judge, index }) => [judge, index]))
  return {
    version: parsed.data.version,
    reported: new Map(Object.entries(parsed.data.perspectives).map(([id, { weights, separation, leakage }]) => [id, { adapterSha256: weights?.adapter_sha256 ?? null, political: byJudge(separation.free_answers), everyday: byJudge(leakage.slant) }])),
  }
}
