/** Rows of one table on their way into it, several to a statement. Knows nothing of what they mean. */
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'

/** A statement costs a µs beside what it writes; more than so many rows save nothing more. */
const AT_ONCE = 8

export class Rows {
  readonly #one: StatementSync
  readonly #several: StatementSync
  readonly #columns: number
  #waiting: SQLInputValue[] = []

  constructor (db: DatabaseSync, table: string, columns: readonly string[]) {
    const row = `(${columns.map(() => '?').join(', ')})`
    const insert = `INSERT INTO ${table} (${columns.join(', ')}) VALUES `
    this.#one = db.prepare(insert + row)
    this.#several = db.prepare(insert + Array.from({ length: AT_ONCE }, () => row).join(', '))
    this.#columns = columns.length
  }

  /** As many wait as one statement writes: more would only take memory. */
  get full (): boolean { return this.#waiting.length >= this.#columns * AT_ONCE }

  /** Its values in the order of the columns. Not in the table before `flush`. */
  add (...values: SQLInputValue[]): void { this.#waiting.push(...values) }

  /** Throws what SQLite throws; then the transaction holds some of them, and is to be rolled back. */
  flush (): void {
    const all = this.#waiting
    this.#waiting = []
    const width = this.#columns * AT_ONCE
    let at = 0
    for (; at + width <= all.length; at += width) this.#several.run(...all.slice(at, at + width))
    for (; at < all.length; at += this.#columns) this.#one.run(...all.slice(at, at + this.#columns))
  }

  /** What was added is not to be written after all. */
  forget (): void { this.#waiting = [] }
}
