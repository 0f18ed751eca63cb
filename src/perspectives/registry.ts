/** Every perspective that can be asked for, read from its folder. Perspectives are data: a third one is a folder. Knows nothing of experts. */
import { hash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { declaration, type Perspective } from './perspective.ts'

export interface Registry {
  /** By order of declaration; the baseline comes with order 0. */
  list (): readonly Perspective[]
  /** By id or alias. */
  find (name: string): Perspective | undefined
  /** Those that were tuned to lean: what stands side by side, and what mixture names are about. */
  sides (): readonly Perspective[]
  /** The first that nobody tuned: it writes summaries. */
  unleaning (): Perspective | undefined
  /** Puts others in the place of those with the same ids: all at once, or none where it throws. Who holds one of the old goes on with it. */
  replace (next: readonly Perspective[]): void
}

/** A folder that cannot be used: names the file and every mistake in it. */
export class PerspectiveError extends Error { override readonly name = 'PerspectiveError' }

function read (folder: string): Perspective {
  const file = join(folder, 'perspective.json')
  let json: unknown
  let sha256: string
  try {
    const bytes = readFileSync(file)
    sha256 = hash('sha256', bytes)
    json = JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw new PerspectiveError(`${file} cannot be read as JSON: ${(cause as Error).message}`, { cause })
  }
  const parsed = declaration.safeParse(json)
  if (!parsed.success) {
    throw new PerspectiveError(`${file} is not a perspective: ${parsed.error.issues.map((issue) => `${issue.path.join('.') || 'file'}: ${issue.message}`).join('; ')}`)
  }
  return { ...parsed.data, folder, sha256 }
}

/** Reads every `<root>/<id>/perspective.json`. Throws PerspectiveError where one is broken or two claim one name. */
export function loadPerspectives (roots: readonly string[]): Registry {
  const all = roots.flatMap((root) => existsSync(root)
    ? readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory() && existsSync(join(root, entry.name, 'perspective.json'))).map((entry) => read(join(root, entry.name)))
    : [])
  return registry(all)
}

/** A registry of what is handed in; throws PerspectiveError where two claim one name. */
export function registry (perspectives: readonly Perspective[]): Registry {
  let now = indexed(perspectives)
  return {
    list: () => now.sorted, find: (name) => now.byName.get(name), sides: () => now.sides, unleaning: () => now.unleaning,
    replace (next) { now = indexed(now.sorted.map((one) => next.find(({ id }) => id === one.id) ?? one)) },
  }
}

interface Index { readonly byName: ReadonlyMap<string, Perspective>, readonly sorted: readonly Perspective[], readonly sides: readonly Perspective[], readonly unleaning: Perspective | undefined }

function indexed (perspectives: readonly Perspective[]): Index {
  const byName = new Map<string, Perspective>()
  for (const perspective of perspectives) {
    for (const name of [perspective.id, perspective.alias]) {
      if (name === null) continue
      const other = byName.get(name)
      if (other) throw new PerspectiveError(`Both ${other.folder} and ${perspective.folder} claim the name "${name}"; change the id or alias of one.`)
      byName.set(name, perspective)
    }
  }
  const sorted = perspectives.toSorted((a, b) => a.order - b.order || (a.id < b.id ? -1 : 1))
  return { byName, sorted, sides: sorted.filter((one) => one.lean !== null), unleaning: sorted.find((one) => one.lean === null) }
}
