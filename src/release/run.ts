/**
 * What a training left behind for one perspective: `<folder>/<perspective>/adapter.gguf` and its manifests, as `training/train.py` writes them.
 * Knows the bytes and what is said of them, nothing of how they came about.
 */
import { hash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { readJson } from './read-json.ts'
import { ReleaseError } from './release-error.ts'

const adapter = z.looseObject({ file: z.string().regex(/^[\w.-]+$/), sha256: z.string(), bytes: z.int().positive(), stage: z.string().regex(/^[\w-]+$/) })
const manifest = z.looseObject({ perspective: z.string(), side: z.string().nullish(), version: z.string().optional(), base: z.looseObject({ sha256: z.string().optional() }), ended: z.looseObject({}) })

export interface Trained {
  readonly perspective: string
  readonly bytes: Buffer
  readonly sha256: string
  /** Of the run's manifest, for the card and the archive. */
  readonly manifest: { readonly stage: string, readonly sha256: string, readonly text: string }
}

/** Every perspective of a training's folder. Throws ReleaseError where a file is missing, or is not what its manifest says. */
export function readTrained (folder: string, wanted: readonly { readonly id: string, readonly base: { readonly sha256: string } }[]): Trained[] {
  if (!existsSync(folder)) throw new ReleaseError(`There is no folder ${folder}. Wanted one with a folder for each of ${wanted.map(({ id }) => id).join(', ')}, as "parallax train" leaves it.`)
  const strays = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory() && existsSync(join(folder, entry.name, 'adapter.json')) && !wanted.some(({ id }) => id === entry.name))
  if (strays.length > 0) throw new ReleaseError(`${folder} has an adapter for ${strays.map(({ name }) => name).join(', ')}, and no such side is declared. Sides are: ${wanted.map(({ id }) => id).join(', ')}.`)
  return wanted.map(({ id, base }) => readOne(folder, id, base.sha256))
}

function readOne (folder: string, id: string, base: string): Trained {
  const home = join(folder, id)
  const listed = join(home, 'adapter.json')
  if (!existsSync(listed)) throw new ReleaseError(`${folder} has no finished adapter of "${id}" (${id}/adapter.json is missing). Both sides are released together: finish its training first.`)
  const told = readJson(listed, 'description of an adapter', adapter).value
  const path = join(home, told.file)
  if (!existsSync(path)) throw new ReleaseError(`${path} is missing, and adapter.json beside it speaks of it.`)
  const bytes = readFileSync(path)
  const sha256 = hash('sha256', bytes)
  if (sha256 !== told.sha256) throw new ReleaseError(`${path} is not the file that was trained: its SHA-256 is ${sha256}, adapter.json says ${told.sha256}. Train again, or bring the right file.`)
  const { value, bytes: text } = readJson(join(home, told.stage, 'manifest.json'), 'manifest of a finished training', manifest)
  if (value.perspective !== id) throw new ReleaseError(`${home} holds an adapter of "${value.perspective}", by its manifest. The folders may have been exchanged.`)
  if (value.base.sha256 !== undefined && value.base.sha256 !== base) throw new ReleaseError(`The adapter of "${id}" was trained on another base (${value.base.sha256.slice(0, 12)}…) than the one that is declared (${base.slice(0, 12)}…).`)
  return { perspective: id, bytes, sha256, manifest: { stage: told.stage, sha256: hash('sha256', text), text: text.toString('utf8') } }
}
