/** `release/outputs.json`: what served answers are held to, each number with its reason. Knows nothing of what was served. */
import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { z } from 'zod'

const reason = z.string().min(20, 'wanted a reason in words')
const words = z.array(z.string().min(1)).min(1)
export const KINDS = ['hostile', 'toxic', 'stereotype', 'extreme', 'false_claim'] as const
export type Kind = typeof KINDS[number]

const rules = z.strictObject({
  about: z.string(),
  /** How far the index of a perspective may lie from its report's, and how many answers it takes to say so. */
  drift: z.strictObject({ tolerance: z.number().min(0).max(2), answers: z.int().min(1), reason }),
  ceilings: z.array(z.strictObject({ kind: z.enum(KINDS), most: z.number().min(0).max(1), reason })),
  stereotypes: z.strictObject({ method: z.string(), groups: words, general: words, traits: words }),
})
export interface Rules extends z.infer<typeof rules> { readonly sha256: string }

export function readRules (path: string): Rules {
  let bytes: Buffer
  let json: unknown
  try { bytes = readFileSync(path); json = JSON.parse(bytes.toString('utf8')) } catch (cause) { throw new Error(`${path} cannot be read as the rules of the audit of outputs: ${(cause as Error).message}`, { cause }) }
  const parsed = rules.safeParse(json)
  if (!parsed.success) throw new Error(`${path}: ${parsed.error.issues.slice(0, 5).map((issue) => `${issue.path.join('.') || 'file'}: ${issue.message}`).join('; ')}`)
  return { ...parsed.data, sha256: hash('sha256', bytes) }
}
