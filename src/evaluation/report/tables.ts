/** Every number of a report as rows: a line for each estimate, by its path, a column for each perspective. Pure. */
import { estimate, type Estimate } from '../estimate.ts'
import type { Perspective, Report } from './schema.ts'

export interface Line { readonly name: string, readonly cells: readonly (Estimate | null)[] }

const isEstimate = (value: unknown): value is Estimate => estimate.safeParse(value).success

/** What a list's member is called. */
const nameOf = (value: object, at: number): string => {
  const one = value as { judge?: string, axis?: string, questionnaire?: string, asked?: string, seed?: number }
  return one.axis ?? one.judge ?? one.questionnaire ?? one.asked ?? (one.seed === undefined ? String(at + 1) : `seed ${one.seed}`)
}

function walk (value: unknown, path: string, into: Map<string, Estimate>): void {
  if (isEstimate(value)) { into.set(path, value); return }
  if (typeof value !== 'object' || value === null) return
  if (Array.isArray(value)) { for (const [at, one] of value.entries()) walk(one, [path, nameOf(one as object, at)].filter(Boolean).join(' · '), into); return }
  for (const [name, one] of Object.entries(value)) walk(one, [path, name.replaceAll('_', ' ')].filter(Boolean).join(' · '), into)
}

export function linesOf (report: Pick<Report, 'perspectives'>, section: keyof Perspective): Line[] {
  const columns = Object.values(report.perspectives).map((one) => { const found = new Map<string, Estimate>(); walk(one[section], '', found); return found })
  return [...new Set(columns.flatMap((one) => [...one.keys()]))].map((name) => ({ name, cells: columns.map((one) => one.get(name) ?? null) }))
}
