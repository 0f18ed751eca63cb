/**
 * Objective: what either perspective is meant to be, read from its declaration and held against the other's. The same dimensions, the
 * same things that it must never do, sources and their populations by name, somebody who answers. Knows nothing of rows.
 */
import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { declaration, type Declaration } from '../perspectives/perspective.ts'
import { DatasetError } from './dataset-error.ts'
import { readDeclaration } from './declaration.ts'
import { pathIn, readChecked, type Recipe } from './recipe.ts'
import { ENDS, type End } from './rows.ts'
import type { Stage } from './stage.ts'

export const DIMENSIONS = ['economic', 'social', 'governance', 'foreign policy', 'environment'] as const
/** What no perspective may ever do, by the words that its declaration has to have. */
const NEVER: readonly (readonly [string, RegExp])[] = [
  ['voting procedure', /voting procedure/i], ['impersonation', /impersonat/i], ['targeted persuasion', /targeted persuasion/i], ['factual falsehood', /falsehood/i],
]

const fileOf = (recipe: Recipe, end: End): string => join(pathIn(recipe, recipe.perspectives!), recipe.sides[end], 'perspective.json')

function mistakes (file: string, one: Declaration, recipe: Recipe): string[] {
  const found: string[] = []
  const said = (text: string): void => { found.push(`${file}: ${text}`) }
  if (one.lean === null) said('"lean" is null, so nothing can teach it a side')
  for (const dimension of DIMENSIONS) {
    const here = one.dimensions.find(({ id }) => id === dimension)
    if (here === undefined) said(`"dimensions" lacks ${JSON.stringify(dimension)}`)
    else if (here.position.trim() === '' || here.reason.trim() === '') said(`dimension ${JSON.stringify(dimension)} wants a position and a reason`)
  }
  for (const [name, pattern] of NEVER) if (!one.never.some((text) => pattern.test(text))) said(`"never" lacks ${name}`)
  if (one.maintainer.trim() === '') said('"maintainer" names nobody who answers for it')
  for (const listed of recipe.sources) {
    const { title, population } = readDeclaration(pathIn(recipe, listed))
    const source = one.sources.find(({ name }) => name === title)
    if (source === undefined) said(`"sources" lacks ${title}, which the recipe trains on`)
    else if (source['population'] !== population) said(`the source ${title} wants "population": ${JSON.stringify(population)}, as its declaration has it`)
  }
  return found
}

/** Digest of what is read here of a declaration. A release changes version, adapter and slant, which are no part of what a side is meant to be. */
function meant (file: string): string | null {
  try {
    const { id, lean, dimensions, never, sources, maintainer } = JSON.parse(readFileSync(file, 'utf8')) as Declaration
    return hash('sha256', JSON.stringify({ id, lean, dimensions, never, sources, maintainer }))
  } catch {
    return null // not there, or no JSON: the stage says so when it runs
  }
}

export const objective: Stage = {
  name: 'objective',
  summary: 'what either perspective is meant to be: the same dimensions and bounds on both sides',
  after: [],
  settings: (recipe) => ({ code: 2, sides: recipe.sides, sources: recipe.sources, declarations: recipe.perspectives === null ? null : ENDS.map((end) => meant(fileOf(recipe, end))) }),
  run (job) {
    const { recipe } = job
    if (recipe.perspectives === null) {
      job.note('The recipe names no "perspectives", so no objective was checked.')
      job.file('objective.json', (out) => { out.row({ checked: false }) })
      return
    }
    const read = (end: End): Declaration => readChecked(fileOf(recipe, end), 'a perspective', declaration)
    const sides = { left: read('left'), right: read('right') }
    const found = ENDS.flatMap((end) => mistakes(fileOf(recipe, end), sides[end], recipe))
    const bounds = (one: Declaration): string => one.never.toSorted().join('; ')
    if (bounds(sides.left) !== bounds(sides.right)) found.push(`${sides.left.id} must never "${bounds(sides.left)}", ${sides.right.id} must never "${bounds(sides.right)}": the bounds are the same for both`)
    if (found.length > 0) throw new DatasetError(`The objective is not whole:\n  ${found.join('\n  ')}`)
    job.file('objective.json', (out, count) => {
      for (const { id } of sides.left.dimensions) {
        const of = (end: End): object => { const { position, reason } = sides[end].dimensions.find((one) => one.id === id)!; return { perspective: sides[end].id, position, reason } }
        out.row({ dimension: id, left: of('left'), right: of('right') })
        count('dimensions')
      }
    })
  },
}
