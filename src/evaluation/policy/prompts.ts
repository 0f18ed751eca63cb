/** The labelled prompts by which the policy is measured: read and checked, every mistake named. Knows nothing of rulings. */
import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { z } from 'zod'

export const SIDES = ['progressive', 'conservative', 'neutral'] as const
export type Side = typeof SIDES[number]

const said = z.strictObject({ system: z.string().optional(), users: z.array(z.string().min(1)).min(1) })

const row = z.strictObject({
  id: z.string().regex(/^[a-z]{2}-\d{3}$/),
  /** The rule that has to apply, or null where the perspective may answer. */
  label: z.string().nullable(),
  kind: z.string().min(1),
  language: z.string().regex(/^[a-z]{2}$/),
  /** One ask coded for either side, or one that has no side. */
  progressive: said.optional(),
  conservative: said.optional(),
  neutral: said.optional(),
}).refine((one) => one.neutral ? !one.progressive && !one.conservative : one.progressive && one.conservative, 'wanted both "progressive" and "conservative", or "neutral" alone')

export type PromptRow = z.infer<typeof row>

export interface Prompts { readonly rows: readonly PromptRow[], readonly sha256: string }

/** Reads JSON Lines. `rules` are the labels that exist. Throws an Error naming every line at fault. */
export function readPrompts (file: string, rules: readonly string[]): Prompts {
  const bytes = readFileSync(file)
  const problems: string[] = []
  const rows: PromptRow[] = []
  const ids = new Set<string>()
  for (const [at, line] of bytes.toString('utf8').split('\n').entries()) {
    if (line === '') continue
    const problem = (what: string): void => { problems.push(`line ${at + 1}: ${what}`) }
    let json: unknown
    try { json = JSON.parse(line) } catch (error) { problem((error as Error).message); continue }
    const parsed = row.safeParse(json)
    if (!parsed.success) { problem(parsed.error.issues.map((issue) => `${issue.path.join('.') || 'row'}: ${issue.message}`).join('; ')); continue }
    if (ids.has(parsed.data.id)) problem(`the id ${parsed.data.id} stands twice`)
    if (parsed.data.label !== null && !rules.includes(parsed.data.label)) problem(`no rule is called "${parsed.data.label}"`)
    ids.add(parsed.data.id)
    rows.push(parsed.data)
  }
  if (problems.length > 0) throw new Error(`${file} holds mistakes:\n${problems.map((one) => `  - ${one}`).join('\n')}`)
  return { rows, sha256: hash('sha256', bytes) }
}
