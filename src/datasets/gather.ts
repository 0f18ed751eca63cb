/** Rows to one file a name, so that each group can be read by itself without holding any. Knows nothing of what groups mean. */
import { appendFileSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** Rows that are held before they are written: one append a group and batch. */
const BATCH = 5_000

export interface Group { readonly name: string, readonly file: string, readonly rows: number }

/** `nameOf` may give undefined for rows of no group. Groups come back by name. */
export function gather<T> (rows: Iterable<T>, nameOf: (row: T) => string | undefined, folder: string): Group[] {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const groups = new Map<string, { readonly file: string, rows: number }>()
  let pending = new Map<string, string[]>()
  let held = 0
  const flush = (): void => {
    for (const [name, texts] of pending) {
      const group = groups.get(name) ?? { file: join(folder, `${groups.size}.jsonl`), rows: 0 }
      groups.set(name, group)
      group.rows += texts.length
      appendFileSync(group.file, texts.join(''))
    }
    pending = new Map()
    held = 0
  }
  for (const row of rows) {
    const name = nameOf(row)
    if (name === undefined) continue
    const texts = pending.get(name)
    const text = `${JSON.stringify(row)}\n`
    if (texts === undefined) pending.set(name, [text])
    else texts.push(text)
    if (++held >= BATCH) flush()
  }
  flush()
  return [...groups].map(([name, group]) => ({ name, ...group })).toSorted((a, b) => a.name < b.name ? -1 : 1)
}

/** Runs of at most `size`. */
export function * batches<T> (rows: Iterable<T>, size: number): Generator<T[]> {
  let batch: T[] = []
  for (const row of rows) {
    batch.push(row)
    if (batch.length === size) { yield batch; batch = [] }
  }
  if (batch.length > 0) yield batch
}
