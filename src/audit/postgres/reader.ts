/** Reads the PostgreSQL log in bounded pages. */
import type { RecordQuery, StoredRecord } from '../log.ts'
import type { Keyring } from '../seal/keyring.ts'
import { unseal } from '../seal/seal.ts'
import type { RecordReader } from '../stored-log.ts'
import type { Database } from '../../database/database.ts'

const PAGE_LIMIT = 1000
/** A page with transcripts ends early past so many bytes. */
const PAGE_BYTES = 4 * 1024 * 1024

interface Row { idx: number, id: string, hash: Buffer, entry: Buffer, state: 'present' | 'erased' | 'expired' | null, salt: Buffer | null, kek: string | null, wrapped: Buffer | null, bytes: Buffer | null }

const NOTHING = new Uint8Array()
const COLUMNS = 'leaf.idx, leaf.id, leaf.hash, leaf.entry, payload.state, payload.salt, payload.kek, payload.wrapped'
const FROM = 'FROM parallax.leaf LEFT JOIN parallax.payload ON payload.idx = leaf.idx'

export class Reader implements RecordReader {
  readonly #db: Database
  #ring: Keyring

  constructor (db: Database, ring: Keyring) {
    this.#db = db
    this.#ring = ring
  }

  rekey (ring: Keyring): void { this.#ring = ring }
  close (): void { /* the connections are the log's */ }

  async page (query: RecordQuery, size: number): Promise<StoredRecord[]> {
    const values: unknown[] = []
    const value = (one: unknown): string => `$${values.push(one)}`
    const conditions = [`leaf.idx > ${value(query.afterIndex ?? -1)}`, `leaf.idx < ${value(Math.min(query.asOf ?? size, size))}`]
    // time never runs backwards in the log, so a span of time is a span of indices
    if (query.from !== undefined) conditions.push(`leaf.idx >= ${value(await this.firstAt(query.from, size))}`)
    if (query.to !== undefined) conditions.push(`leaf.idx < ${value(await this.firstAt(query.to, size))}`)
    for (const name of ['type', 'perspective', 'status', 'key'] as const) {
      if (query[name] !== undefined) conditions.push(`leaf.${name} = ${value(query[name])}`)
    }
    const limit = value(Math.min(Math.max(1, query.limit ?? 100), PAGE_LIMIT))
    const found = `SELECT ${COLUMNS}, ${query.payloads ? 'payload.bytes' : 'NULL::bytea AS bytes'} ${FROM} WHERE ${conditions.join(' AND ')} ORDER BY leaf.idx LIMIT ${limit}`
    // cut by the server: a page of long transcripts must not come over whole first
    const { rows } = await this.#db.query<Row>(query.payloads ? `SELECT * FROM (SELECT *, sum(coalesce(length(bytes), 0)) OVER (ORDER BY idx) - coalesce(length(bytes), 0) AS before FROM (${found}) AS found) AS counted WHERE before < ${PAGE_BYTES} ORDER BY idx` : found, values)
    return rows.map((row) => this.#stored(row, query.payloads === true))
  }

  async byId (id: string): Promise<StoredRecord | null> {
    const { rows } = await this.#db.query<Row>(`SELECT ${COLUMNS}, payload.bytes ${FROM} WHERE leaf.id = $1`, [id])
    return rows[0] ? this.#stored(rows[0], true) : null
  }

  async endsOf (begin: string): Promise<StoredRecord[]> {
    const { rows } = await this.#db.query<Row>(`SELECT ${COLUMNS}, payload.bytes ${FROM} WHERE payload.record = $1 AND leaf.id <> $1 ORDER BY leaf.idx`, [begin])
    return rows.map((row) => this.#stored(row, true))
  }

  /** The first index whose leaf is of `time` (ms) or later; `size` where there is none. */
  async firstAt (time: number, size: number): Promise<number> {
    const { rows } = await this.#db.query<{ idx: number }>('SELECT idx FROM parallax.leaf WHERE t >= $1 ORDER BY t, idx LIMIT 1', [time])
    return rows[0]?.idx ?? size
  }

  #stored (row: Row, open: boolean): StoredRecord {
    return { index: row.idx, id: row.id, leaf: row.entry.toString('utf8'), leaf_hash: row.hash.toString('base64'), payload: this.#payload(row, open) }
  }

  #payload ({ id, state, salt, bytes, kek, wrapped }: Row, open: boolean): StoredRecord['payload'] {
    if (state !== 'present') return { state: state ?? 'none' }
    if (!open) return { state, bytes: NOTHING, salt: salt ?? NOTHING }
    try {
      return { state, bytes: unseal(this.#ring, kek!, wrapped!, id, bytes!), salt: salt! }
    } catch {
      return { state: 'damaged' }
    }
  }
}
