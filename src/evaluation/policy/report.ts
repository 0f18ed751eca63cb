/** The policy's report: measured on both halves of the labelled prompts and on ordinary political talk. The same files give the same report. */
import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Policy } from '../../router/policy.ts'
import { measureHalf, type HalfReport, type Ruler } from './half.ts'
import { measureOrdinary, readTwinViews, type OrdinaryReport } from './ordinary.ts'
import { readPrompts } from './prompts.ts'

export const HALVES = ['development', 'held-out'] as const
export type HalfName = typeof HALVES[number]

export interface PolicyReport {
  readonly policy: { readonly version: string, readonly sha256: string }
  readonly halves: Readonly<Record<HalfName, HalfReport & { readonly sha256: string }>>
  readonly twinviews: OrdinaryReport & { readonly sha256: string }
}

export interface ReportSources {
  /** The folder with `prompts/development.jsonl` and `prompts/held-out.jsonl`. */
  readonly folder: string
  readonly twinviews: string
}

/** No rule of the report depends on the day: those for election windows are out of force in it. */
const ANY_DAY = new Date(0)

export function policyReport (policy: Policy, { folder, twinviews }: ReportSources): PolicyReport {
  const rules = policy.document.rules.filter((one) => !one.window).map(({ id }) => id)
  const rule: Ruler = ({ system = '', users }) => policy.rule({ system, users }, ANY_DAY)?.rule ?? null
  const half = (name: HalfName): HalfReport & { sha256: string } => {
    const { rows, sha256 } = readPrompts(join(folder, 'prompts', `${name}.jsonl`), rules)
    return { sha256, ...measureHalf(rows, rules, rule) }
  }
  const csv = readFileSync(twinviews)
  return {
    policy: { version: policy.version, sha256: policy.sha256 },
    halves: { development: half('development'), 'held-out': half('held-out') },
    twinviews: { sha256: hash('sha256', csv), ...measureOrdinary(readTwinViews(csv.toString('utf8')), rule) },
  }
}
