/** What card and Croissant tell of a data set, gathered once from recipe, declarations and manifests. Only shapes and gathering; knows no format. */
import { readFileSync } from 'node:fs'
import type { BalanceReport } from '../balance/report.ts'
import { readDeclaration, type SourceDeclaration } from '../declaration.ts'
import { pathIn, type Recipe } from '../recipe.ts'
import type { Counts, Job, PartMeta } from '../stage.ts'

export interface Facts {
  readonly recipe: Recipe
  readonly sources: readonly SourceDeclaration[]
  readonly counts: Readonly<Record<'collect' | 'clean' | 'pair' | 'annotate' | 'split' | 'augment' | 'decontaminate', Counts>>
  readonly balance: BalanceReport
  readonly notes: readonly string[]
  /** Exported files of rows. */
  readonly files: readonly PartMeta[]
}

const READ = ['collect', 'clean', 'pair', 'annotate', 'split', 'augment', 'decontaminate'] as const

export function gatherFacts (job: Job): Facts {
  const { recipe } = job
  return {
    recipe,
    sources: recipe.sources.map((file) => readDeclaration(pathIn(recipe, file))),
    counts: Object.fromEntries(READ.map((stage) => [stage, job.countsOf(stage)])) as Facts['counts'],
    balance: JSON.parse(readFileSync(job.fileOf('balance', 'report.json'), 'utf8')) as BalanceReport,
    notes: job.notesOf('balance'),
    files: job.parts().filter(({ file }) => file.endsWith('.jsonl')),
  }
}

/** The strictest licence among the sources, for what is made of them. */
export const licenceOf = ({ sources }: Facts): string => [...new Set(sources.map(({ licence }) => licence))].join(' AND ')
