/**
 * A version on disk: `<root>/versions/<version>/` holds the declarations and cards of every perspective and what they were released by; its adapters
 * lie in the perspectives' own folders, each under a name of its own. Written once, never changed. Which version is in force is force.ts's.
 */
import { hash, randomUUID } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { declaration, type Declaration, type Perspective } from '../perspectives/perspective.ts'
import { renameDurably } from '../private-file.ts'
import { readJson } from './read-json.ts'
import { ReleaseError } from './release-error.ts'
import { VERSION } from './version-name.ts'
import { writeDurably } from './write.ts'

const sha256 = z.string().regex(/^[0-9a-f]{64}$/)
const waived = z.strictObject({ threshold: z.string(), perspective: z.string().nullable(), value: z.number().nullable(), reason: z.string(), date: z.string(), by: z.string() })
const path = z.string().regex(/^[a-z][a-z0-9-]*\/(?:perspective\.json|card\.md)$/)

const manifest = z.strictObject({
  schema: z.literal(1),
  version: z.string().regex(VERSION),
  at: z.iso.datetime(),
  /** Null: it was in force before there was a gate. */
  gate: z.strictObject({ sha256, waived: z.array(waived) }).nullable(),
  report: z.strictObject({ file: z.string(), sha256 }).nullable(),
  adapters: z.record(z.string(), z.strictObject({ name: z.string(), file: z.string().regex(/^[\w.-]+$/), sha256, bytes: z.int().positive() })),
  /** The manifest of each training. */
  trainings: z.record(z.string(), z.strictObject({ stage: z.string(), sha256 })),
  /** Of this folder, by its path in it. */
  files: z.record(path, sha256),
})
export type Manifest = z.infer<typeof manifest>

export interface Version {
  readonly manifest: Manifest
  /** Of the manifest's bytes: who releases it says so, and means these. */
  readonly sha256: string
  readonly files: ReadonlyMap<string, string>
  readonly declarations: ReadonlyMap<string, Declaration & { readonly sha256: string }>
}

export const versionsOf = (root: string): string => join(root, 'versions')
const folderOf = (root: string, version: string): string => {
  if (!VERSION.test(version)) throw new ReleaseError(`${JSON.stringify(version)} is no name of a version: wanted at most 40 letters, digits, hyphens and single dots, such as 2026.12.1.`)
  return join(versionsOf(root), version)
}

export const hasVersion = (root: string, version: string): boolean => existsSync(join(folderOf(root, version), 'release.json'))
export const versionNames = (root: string): string[] => existsSync(versionsOf(root)) ? readdirSync(versionsOf(root), { withFileTypes: true }).filter((entry) => entry.isDirectory() && VERSION.test(entry.name)).map(({ name }) => name).toSorted() : []

export interface NewVersion extends Omit<Manifest, 'schema' | 'files'> {
  readonly contents: ReadonlyMap<string, string>
  /** The adapters' bytes, by perspective; those that lie where they belong may be left out. */
  readonly weights: ReadonlyMap<string, Uint8Array>
}

/** Whole or not at all. The same again is what is there; another content under a name that is taken is refused. */
export function writeVersion (root: string, { contents, weights, ...told }: NewVersion): Version {
  const home = folderOf(root, told.version)
  const made: Manifest = { schema: 1, ...told, files: Object.fromEntries([...contents].map(([name, text]) => [name, hash('sha256', text)])) }
  if (hasVersion(root, told.version)) {
    const there = readVersion(root, told.version)
    const comparable = ({ at: _at, ...rest }: Manifest): string => JSON.stringify([rest.adapters, rest.report, rest.gate])
    if (comparable(there.manifest) !== comparable(made)) throw new ReleaseError(`The version ${told.version} exists already, with other adapters, another report or another gate. A version's name means the same for ever: choose a new one. To go back to it, leave --adapters out.`)
    return there
  }
  for (const [id, bytes] of weights) {
    const { file, sha256: digest } = made.adapters[id]!
    const target = join(root, id, file)
    if (!existsSync(target)) writeDurably(target, bytes)
    else if (hash('sha256', readFileSync(target)) !== digest) throw new ReleaseError(`${target} exists already and holds another adapter. A version's name means the same for ever: choose a new one.`)
  }
  const draft = `${home}.${randomUUID()}.new`
  try {
    for (const [name, text] of contents) writeDurably(join(draft, name), text)
    writeDurably(join(draft, 'release.json'), `${JSON.stringify(made, null, 2)}\n`)
    renameDurably(draft, home)
  } finally { rmSync(draft, { recursive: true, force: true }) }
  return readVersion(root, told.version)
}

/** Checked to the last byte, but for the adapters where `weights` is false: they are large, and whoever loads them looks. Throws ReleaseError. */
export function readVersion (root: string, version: string, { weights = true }: { readonly weights?: boolean } = {}): Version {
  const home = folderOf(root, version)
  if (!hasVersion(root, version)) throw new ReleaseError(`There is no version ${version} in ${versionsOf(root)}. There are: ${versionNames(root).join(', ') || 'none'}. A new one is made with --adapters <folder>.`)
  const { value, bytes } = readJson(join(home, 'release.json'), 'release', manifest)
  if (value.version !== version) throw new ReleaseError(`${home}/release.json speaks of the version ${value.version}.`)
  const files = new Map<string, string>()
  const declarations = new Map<string, Declaration & { sha256: string }>()
  for (const [name, digest] of Object.entries(value.files)) {
    const file = join(home, name)
    const text = existsSync(file) ? readFileSync(file, 'utf8') : null
    if (text === null || hash('sha256', text) !== digest) throw new ReleaseError(`${file} is ${text === null ? 'missing' : 'not what was released'}. A version is never edited: bring it back from the repository, or release a new one.`)
    files.set(name, text)
    if (!name.endsWith('/perspective.json')) continue
    const id = dirname(name)
    const parsed = readJson(file, 'perspective', declaration).value
    if (parsed.id !== id) throw new ReleaseError(`${file} declares "${parsed.id}".`)
    declarations.set(id, { ...parsed, sha256: digest })
  }
  for (const [id, adapter] of Object.entries(value.adapters)) {
    const said = declarations.get(id)?.adapter
    if (said?.sha256 !== adapter.sha256 || said.file !== adapter.file) throw new ReleaseError(`${home}: release.json and the declaration of "${id}" speak of different adapters.`)
    const file = join(root, id, adapter.file)
    if (!existsSync(file)) throw new ReleaseError(`${file} is missing: the adapter of "${id}" in version ${version}.`)
    if (statSync(file).size !== adapter.bytes || (weights && hash('sha256', readFileSync(file)) !== adapter.sha256)) throw new ReleaseError(`${file} is not the adapter of "${id}" in version ${version}: its SHA-256 is not ${adapter.sha256}.`)
  }
  return { manifest: value, sha256: hash('sha256', bytes), files, declarations }
}

/** Keeps what is in force now as a version, so that there is a way back to it. */
export function archive (root: string, perspectives: readonly Perspective[], at: string): void {
  const [version] = [...new Set(perspectives.map((one) => one.version))]
  // a first release may find sides of different versions: then there is no one version to go back to
  if (version === undefined || !perspectives.every((one) => one.version === version) || !VERSION.test(version) || hasVersion(root, version)) return
  const read = (one: Perspective, name: string): string => readFileSync(join(one.folder, name), 'utf8')
  writeVersion(root, {
    version, at, gate: null, report: null, trainings: {}, weights: new Map(),
    adapters: Object.fromEntries(perspectives.flatMap(({ id, adapter }) => adapter ? [[id, adapter]] : [])),
    contents: new Map(perspectives.flatMap((one) => ['perspective.json', 'card.md'].filter((name) => existsSync(join(one.folder, name))).map((name) => [`${one.id}/${name}`, read(one, name)]))),
  })
}
