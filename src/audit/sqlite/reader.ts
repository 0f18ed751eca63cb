/** Reads the SQLite log, in bounded pages and on a connection that cannot write. */
import type { DatabaseSync, SQLInputValue } from 'node:sqlite'
import type { RecordQuery, StoredRecord } from '../log.ts'
import type { Keyring } from '../seal/keyring.ts'
import { unseal } from '../seal/seal.ts'
import type { RecordReader } from '../stored-log.ts'

const PAGE_LIMIT = 1000
/** A page with transcripts ends early past so many bytes, for it is read in one turn of the loop. */
const PAGE_BYTES = 4 * 1024 * 1024

interface Row { idx: number, id: string, hash: Uint8Array, entry: Uint8Array, state: 'present' | 'erased' | 'expired' | null, salt: Uint8Array | null, bytes: Uint8Array | null, kek: string | null, wrapped: Uint8Array | null }

const NOTHING = new Uint8Array()

const COLUMNS = 'leaf.idx, leaf.id, leaf.hash, leaf.entry, payload.state, payload.salt, payload.kek, payload.wrapped'
const FROM = 'FROM leaf LEFT JOIN payload ON payload.idx = leaf.idx'

export class Reader implements RecordReader {
  readonly #db: DatabaseSync
  #ring: Keyring
  constructor (db: DatabaseSync, ring: Keyring) {
    this.#db = db
    this.#ring = ring
  }

  rekey (ring: Keyring): void { this.#ring = ring }

  close (): void { this.#db.close() }

  async page (query: RecordQuery, size: number): Promise<StoredRecord[]> {
    const conditions = ['leaf.idx > ?', 'leaf.idx < ?']
    const values: SQLInputValue[] = [query.afterIndex ?? -1, Math.min(query.asOf ?? size, size)]
    // time never runs backwards in the log, so a span of time is a span of indices: no index on time has to be kept up to date
    if (query.from !== undefined) { conditions.push('leaf.idx >= ?'); values.push(this.firstAt(query.from, size)) }
    if (query.to !== undefined) { conditions.push('leaf.idx < ?'); values.push(this.firstAt(query.to, size)) }
    for (const name of ['type', 'perspective', 'status', 'key'] as const) {
      const value = query[name]
      if (value !== undefined) { conditions.push(`leaf.${name} = ?`); values.push(value) }
    }
    const bytes = query.payloads ? 'payload.bytes' : 'NULL AS bytes'
    const rows = this.#db.prepare(`SELECT ${COLUMNS}, ${bytes} ${FROM} WHERE ${conditions.join(' AND ')} ORDER BY leaf.idx LIMIT ?`)
      .iterate(...values, Math.min(Math.max(1, query.limit ?? 100), PAGE_LIMIT))
    const page: StoredRecord[] = []
    let total = 0
    for (const row of rows as Iterable<unknown> as Iterable<Row>) {
      page.push(this.#stored(row, query.payloads === true))
      total += row.bytes?.length ?? 0
      if (total > PAGE_BYTES) break
    }
    return page
  }

  async byId (id: string): Promise<StoredRecord | null> {
    const row = this.#db.prepare(`SELECT ${COLUMNS}, payload.bytes ${FROM} WHERE leaf.id = ?`).get(id) as unknown as Row | undefined
    return row ? this.#stored(row, true) : null
  }

  async endsOf (begin: string): Promise<StoredRecord[]> {
    return (this.#db.prepare(`SELECT ${COLUMNS}, payload.bytes ${FROM} WHERE leaf.begin = ? ORDER BY leaf.idx`).all(begin) as unknown as Row[]).map((row) => this.#stored(row, true))
  }

  #stored (row: Row, open: boolean): StoredRecord {
    return { index: row.idx, id: row.id, leaf: Buffer.from(row.entry).toString('utf8'), leaf_hash: Buffer.from(row.hash).toString('base64'), payload: this.#payload(row, open) }
  }

  #payload ({ id, state, salt, bytes, kek, wrapped }: Row, open: boolean): StoredRecord['payload'] {
    if (state !== 'present') return { state: state ?? 'none' }
    if (!open) return { state, bytes: NOTHING, salt: salt ?? NOTHING }
    if (kek === null) return { state, bytes: bytes ?? NOTHING, salt: salt ?? NOTHING }
    try {
      return { state, bytes: unseal(this.#ring, kek, wrapped!, id, bytes!), salt: salt! }
    } catch {
      return { state: 'damaged' }
    }
  }

  /** The first index whose leaf is of `time` or later; `size` where there is none. */
  firstAt (time: number, size: number): number {
    const at = this.#db.prepare('SELECT t FROM leaf WHERE idx = ?')
    let low = 0
    let high = size
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((at.get(middle) as { t: number }).t < time) low = middle + 1
      else high = middle
    }
    return low
  }
}
