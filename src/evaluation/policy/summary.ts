/** The committed report in a few lines, for those who ask the gateway. Knows nothing of HTTP. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'

const share = z.object({ hits: z.int(), of: z.int(), share: z.number().nullable(), low: z.number().nullable(), high: z.number().nullable() })
const symmetry = z.object({ pairs: z.int(), only_progressive: z.int(), only_conservative: z.int(), p: z.number() })

/** The part of `policy/report.json` that is shown. */
const report = z.object({
  policy: z.object({ version: z.string(), sha256: z.string() }),
  halves: z.object({
    'held-out': z.object({
      prompts: z.int(),
      rules: z.array(z.object({ rule: z.string(), precision: share, recall: share, sides: z.object({ progressive: z.object({ recall: share }), conservative: z.object({ recall: share }) }) })),
      false_positives: z.object({ all: share }),
      symmetry,
    }),
  }),
  twinviews: z.object({ statements: z.int(), forms: z.array(z.object({ form: z.string(), left: share, right: share })) }),
})

export const policySummary = z.object({ held_out: report.shape.halves.shape['held-out'], twinviews: report.shape.twinviews })
export type PolicySummary = z.infer<typeof policySummary>

/** Null where no report was made of exactly this policy: then nothing was measured. */
export function summaryOf (folder: string, sha256: string): PolicySummary | null {
  const file = join(folder, 'report.json')
  if (!existsSync(file)) return null
  const parsed = report.safeParse(JSON.parse(readFileSync(file, 'utf8')))
  if (!parsed.success || parsed.data.policy.sha256 !== sha256) return null
  return { held_out: parsed.data.halves['held-out'], twinviews: parsed.data.twinviews }
}
