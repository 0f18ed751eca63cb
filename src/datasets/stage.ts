/**
 * How a stage runs: where its files lie, what it is made from, what is already done. A stage that was cut off goes on at the part
 * it was in; one whose inputs and settings are the same is not run again. Knows nothing of what any stage does.
 */
import { hash } from 'node:crypto'
import { existsSync, mkdirSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatasetError } from './dataset-error.ts'
import { readJson, readRows, writeJson, writeWhole, type FileInTheMaking, type Written } from './parts.ts'
import type { Recipe } from './recipe.ts'

export type Counts = Record<string, number>
export interface PartMeta extends Written { readonly file: string, readonly counts: Counts }

export interface Manifest {
  readonly stage: string
  /** Of settings and inputs: the same key means the same bytes. */
  readonly key: string
  readonly settings: unknown
  readonly inputs: Readonly<Record<string, string>>
  readonly parts: readonly PartMeta[]
  readonly counts: Counts
  /** What has to be said out loud. */
  readonly notes: readonly string[]
  /** Of everything the stage made. */
  readonly digest: string
}

export interface Stage {
  readonly name: string
  readonly summary: string
  /** The stages whose files it reads. */
  readonly after: readonly string[]
  /** Whatever else its result depends on: settings, digests of lists. Raise the number in it when the code makes other bytes. */
  settings (recipe: Recipe): unknown
  run (job: Job): void | Promise<void>
}

/** `done` of `total` in the stage's own unit; a total of 0 is not known. */
export type Report = (label: string, done: number, total: number) => void

/** Raised when manifests get other members: what an older version wrote is made again. */
const FORMAT = 2
const MANIFEST = 'manifest.json'
const sha = (value: unknown): string => hash('sha256', JSON.stringify(value))
const sorted = (counts: Counts): Counts => Object.fromEntries(Object.entries(counts).toSorted(([a], [b]) => a < b ? -1 : 1))

export class Job {
  readonly folder: string
  readonly recipe: Recipe
  readonly report: Report
  readonly #work: string
  readonly #inputs: Readonly<Record<string, Manifest>>
  readonly #parts: PartMeta[] = []
  readonly notes: string[] = []

  constructor (folder: string, recipe: Recipe, work: string, inputs: Readonly<Record<string, Manifest>>, report: Report) {
    this.folder = folder
    this.recipe = recipe
    this.#work = work
    this.#inputs = inputs
    this.report = report
    mkdirSync(this.scratch(''), { recursive: true })
  }

  /** Files that the next stage does not need; removed when the stage is done. */
  scratch (name: string): string { return join(this.folder, 'scratch', name) }

  /** What an earlier stage that this one reads has counted. */
  countsOf (stage: string): Counts { return this.#inputs[stage]!.counts }
  digestOf (stage: string): string { return this.#inputs[stage]!.digest }
  notesOf (stage: string): readonly string[] { return this.#inputs[stage]!.notes }
  /** A file of an earlier stage that is not one of its parts of rows. */
  fileOf (stage: string, name: string): string { return join(this.#work, stage, name) }

  /** What has to be said out loud, on the page as well as to whoever runs the stage. */
  note (text: string): void { this.notes.push(text) }

  partsOf (stage: string): { readonly file: string, readonly rows: number }[] {
    return this.#inputs[stage]!.parts.filter(({ file }) => file.startsWith('part-')).map(({ file, rows }) => ({ file: join(this.#work, stage, file), rows }))
  }

  rowsOf (stage: string): number { return this.partsOf(stage).reduce((sum, part) => sum + part.rows, 0) }

  /** Every row of a stage, in order. */
  * read<T> (stage: string, label?: string): Generator<T> {
    const total = this.rowsOf(stage)
    let done = 0
    for (const { file } of this.partsOf(stage)) {
      for (const row of readRows<T>(file)) {
        yield row
        if (label !== undefined && ++done % 4096 === 0) this.report(label, done, total)
      }
    }
    if (label !== undefined) this.report(label, total, total)
  }

  /** A pass that is made once: its JSON result is kept, so that a stage that was cut off does not make it again. */
  async once<T> (name: string, make: () => T | Promise<T>): Promise<T> {
    const file = this.scratch(`${name}.json`)
    const kept = readJson<T>(file)
    if (kept !== undefined) return kept
    const made = await make()
    writeJson(file, made)
    return made
  }

  /** One part of the result; where it lies there already, nothing is done. */
  part (number: number, fill: (out: FileInTheMaking, count: (name: string, by?: number) => void) => void): PartMeta {
    return this.file(`part-${String(number).padStart(5, '0')}.jsonl`, fill)
  }

  /** The same under a name of its own, which may have folders. */
  file (name: string, fill: (out: FileInTheMaking, count: (name: string, by?: number) => void) => void): PartMeta {
    const path = join(this.folder, name)
    const meta = this.scratch(`${name.replaceAll('/', '--')}.json`)
    let made = readJson<PartMeta>(meta)
    if (made === undefined || !existsSync(path) || statSync(path).size !== made.bytes) {
      mkdirSync(dirname(path), { recursive: true })
      const counts: Counts = {}
      const written = writeWhole(path, (out) => { fill(out, (count, by = 1) => { counts[count] = (counts[count] ?? 0) + by }) })
      made = { file: name, ...written, counts: sorted(counts) }
      writeJson(meta, made)
    }
    this.#parts.push(made)
    return made
  }

  /** Part by part: the rows of `stage`, or of files, to rows of this one. `skipped` sees the rows of parts that were there already; `from` is the number of the first part. */
  mapParts<T> (stage: string | readonly { readonly file: string, readonly rows: number }[], each: (rows: Generator<T>, out: FileInTheMaking, count: (name: string, by?: number) => void, part: number) => void, skipped?: (rows: Generator<T>) => void, from = 0): void {
    const parts = typeof stage === 'string' ? this.partsOf(stage) : stage
    const total = parts.reduce((sum, part) => sum + part.rows, 0)
    let done = 0
    for (const [number, { file, rows }] of parts.entries()) {
      this.report('rows', done, total)
      let made = false
      this.part(from + number, (out, count) => { made = true; each(readRows<T>(file), out, count, number) })
      if (!made) skipped?.(readRows<T>(file))
      done += rows
    }
    this.report('rows', total, total)
  }

  /** What was counted so far, over all parts. */
  counts (): Counts {
    const sum: Counts = {}
    for (const { counts } of this.#parts) for (const [name, by] of Object.entries(counts)) sum[name] = (sum[name] ?? 0) + by
    return sorted(sum)
  }

  /** A small file, written whole. */
  text (name: string, text: string): PartMeta { return this.file(name, (out) => { for (const line of text.replace(/\n$/, '').split('\n')) out.line(line) }) }

  /** What was counted, for a stage that makes a report of it in the place of counts. */
  takeCounts (): Counts {
    const counts = this.counts()
    for (const [i, part] of this.#parts.entries()) this.#parts[i] = { ...part, counts: {} }
    return counts
  }

  /** A side of which nothing is left would train nobody. */
  mustHave (count: string): void {
    if (!this.counts()[count]) throw new DatasetError(`Nothing is left: "${count}" is 0 after this stage. What it counted: ${JSON.stringify(this.counts())}`)
  }

  parts (): readonly PartMeta[] { return this.#parts }
}

export const manifestOf = (work: string, stage: string): Manifest | undefined => readJson<Manifest>(join(work, stage, MANIFEST))

const intact = (work: string, manifest: Manifest): boolean => manifest.parts.every(({ file, bytes }) => {
  const path = join(work, manifest.stage, file)
  return existsSync(path) && statSync(path).size === bytes
})

export interface Ran { readonly manifest: Manifest, readonly already: boolean }

/** Runs one stage, or finds that it need not. */
export async function runStage (stage: Stage, recipe: Recipe, work: string, report: Report, fresh = false): Promise<Ran> {
  const inputs: Record<string, Manifest> = {}
  for (const name of stage.after) {
    const manifest = manifestOf(work, name)
    if (manifest === undefined || !intact(work, manifest)) throw new DatasetError(`${stage.name} reads what ${name} makes, and ${join(work, name)} ${manifest === undefined ? 'holds nothing finished' : 'lacks a file or holds a changed one'}. Run "parallax datasets ${name}" first, or "parallax datasets build" for all.`)
    inputs[name] = manifest
  }
  const settings = stage.settings(recipe)
  const digests = Object.fromEntries(Object.entries(inputs).map(([name, { digest }]) => [name, digest]))
  const key = sha([FORMAT, stage.name, settings, digests])
  const folder = join(work, stage.name)
  const kept = manifestOf(work, stage.name)
  if (!fresh && kept?.key === key && intact(work, kept)) return { manifest: kept, already: true }
  // what was begun under another key is of no use
  if (fresh || kept !== undefined || readJson<{ key: string }>(join(folder, 'begun.json'))?.key !== key) rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  writeJson(join(folder, 'begun.json'), { key })
  const job = new Job(folder, recipe, work, inputs, report)
  await stage.run(job)
  const parts = job.parts()
  const manifest: Manifest = { stage: stage.name, key, settings, inputs: digests, parts, counts: job.counts(), notes: job.notes, digest: sha(parts.map(({ file, sha256 }) => [file, sha256])) }
  rmSync(job.scratch(''), { recursive: true, force: true })
  writeJson(join(folder, MANIFEST), manifest)
  rmSync(join(folder, 'begun.json'), { force: true })
  return { manifest, already: false }
}
