/** What a report is shown beside: other reports of the same evaluation (supervised-only adapters, say), and the curves of the training. Both are named by digest. */
import { hash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { EvaluationError } from '../evaluation-error.ts'
import { readReport, type Report } from './schema.ts'

export interface Beside { readonly name: string, readonly sha256: string, readonly report: Report }
/** A picture that is copied next to the report, as `curves-<name>.svg`. */
export interface Curves { readonly name: string, readonly sha256: string, readonly svg: Buffer }

/** `name=path`. Throws EvaluationError where it is not, or the name could not be a file's. */
function named (option: string, value: string): { readonly name: string, readonly path: string } {
  const at = value.indexOf('=')
  const [name, path] = [value.slice(0, at), value.slice(at + 1)]
  if (at < 1 || !/^[\w-]{1,60}$/.test(name) || path === '') throw new EvaluationError(`Wanted ${option} <name>=<file>, the name of letters, digits and hyphens, got ${JSON.stringify(value)}.`)
  if (!existsSync(path)) throw new EvaluationError(`${option}: ${path} is not there.`)
  return { name, path }
}

export function readBeside (value: string): Beside {
  const { name, path } = named('--beside', value)
  return { name, sha256: hash('sha256', readFileSync(path)), report: readReport(path) }
}

export function readCurves (value: string): Curves {
  const { name, path } = named('--curves', value)
  const svg = readFileSync(path)
  if (!/^\s*(?:<\?xml[^>]*>\s*)?<svg[\s>]/.test(svg.toString('utf8', 0, 1000)) || /<script/i.test(svg.toString('utf8'))) throw new EvaluationError(`--curves: ${path} is no SVG picture without scripts.`)
  return { name, sha256: hash('sha256', svg), svg }
}

/** Two names alike would be one row, or one file. */
export function distinct<T extends { readonly name: string }> (option: string, all: readonly T[]): readonly T[] {
  const twice = all.find(({ name }, at) => all.findIndex((one) => one.name === name) !== at)
  if (twice) throw new EvaluationError(`${option}: the name "${twice.name}" is given twice.`)
  return all
}

/** Throws EvaluationError where the other one asked something else: its numbers could not stand beside these. */
export function comparable (now: Pick<Report, 'mode' | 'seed'> & { readonly split: Pick<Report['split'], 'sha256'> }, { name, report }: Beside): void {
  const other = report.mode !== now.mode ? `is a ${report.mode} one, this is a ${now.mode} one` : report.split.sha256 !== now.split.sha256 ? 'is of another split' : report.seed !== now.seed ? 'is of another seed' : null
  if (other !== null) throw new EvaluationError(`--beside ${name}: that report ${other}. Only reports of the same questions can be shown beside each other.`)
}
