/** Puts a report in its folder: whole files under their names, or none. */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { reportPage } from './page.ts'
import type { Curves } from './beside.ts'
import { readReport, type Report } from './schema.ts'

/** Written beside their places first: a reader never meets half of one, and report.json comes last. */
export function writeReport (folder: string, report: Report, run: object, curves: readonly Curves[] = []): void {
  mkdirSync(folder, { recursive: true })
  const files: Record<string, string | Buffer> = {
    ...Object.fromEntries(curves.map(({ name, svg }) => [`curves-${name}.svg`, svg])),
    'run.json': `${JSON.stringify(run, null, 2)}\n`, 'report.html': reportPage(report), 'report.json': `${JSON.stringify(report, null, 2)}\n`,
  }
  const drafts = Object.keys(files).map((name) => [join(folder, `.${name}.${process.pid}`), join(folder, name)] as const)
  try {
    for (const [at, text] of Object.values(files).entries()) writeFileSync(drafts[at]![0], text)
    for (const [draft, place] of drafts) renameSync(draft, place)
  } finally { for (const [draft] of drafts) rmSync(draft, { force: true }) }
}

/** The newest report that is not of this version, by its name in numbers; null where there is none. */
export function previousReport (reports: string, version: string): Report | null {
  if (!existsSync(reports)) return null
  const names = readdirSync(reports).filter((name) => name !== version && existsSync(join(reports, name, 'report.json'))).toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true }))
  // of a version that is evaluated again, what came after it is no predecessor
  const before = names.filter((name) => name.localeCompare(version, 'en', { numeric: true }) < 0).at(-1)
  return before === undefined ? null : readReport(join(reports, before, 'report.json'))
}
