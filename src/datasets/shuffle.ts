/** Rows in an order that a seed gives, without holding them all: to buckets by digest, each bucket sorted by itself. */
import { appendFileSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { number32 } from './dice.ts'
import { lines } from './parts.ts'

const BUCKET = 20_000
const PENDING = 5_000

export function * shuffled<T extends { readonly id: string }> (rows: Iterable<T>, total: number, seed: number, folder: string): Generator<string> {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const buckets = Math.max(1, Math.ceil(total / BUCKET))
  const name = (bucket: number): string => join(folder, `${bucket}.jsonl`)
  let pending: string[][] = Array.from({ length: buckets }, () => [])
  let held = 0
  const flush = (): void => {
    for (const [bucket, texts] of pending.entries()) if (texts.length > 0) appendFileSync(name(bucket), texts.join(''))
    pending = Array.from({ length: buckets }, () => [])
  }
  const placed = new Set<number>()
  for (const row of rows) {
    const place = number32(seed, 'order', row.id)
    const bucket = Math.floor(place / 2 ** 32 * buckets)
    placed.add(bucket)
    pending[bucket]!.push(`${String(place).padStart(10, '0')} ${JSON.stringify(row)}\n`)
    if (++held % PENDING === 0) flush()
  }
  flush()
  for (let bucket = 0; bucket < buckets; bucket++) {
    if (!placed.has(bucket)) continue
    // ties of the digest are broken by the row itself, so the order does not hang on how rows came
    for (const line of [...lines(name(bucket))].toSorted()) yield line.slice(11)
  }
  rmSync(folder, { recursive: true, force: true })
}
