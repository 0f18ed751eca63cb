/** Seals transcripts as they are written, and brings them under another key-encryption key. Keeps account of the keys in use. */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Entry } from '../entry.ts'
import { newRecordKey, RecordKeys, rewrap, seal, unwrap, wrap, type RecordKey } from '../seal/seal.ts'
import { keyringOf, type Keyring } from '../seal/keyring.ts'
import { randomPooled } from '../../random.ts'
import { Rows } from './rows.ts'

/** Leaves that one rewrapping looks at: some 10 ms in which groups wait. */
const REWRAP_LEAVES = 1000
const SUBJECT_KEY_BYTES = 32
/** The key of transcripts that were written before they were sealed. */
export const UNSEALED = ''

const read = (db: DatabaseSync, name: string): string | null => (db.prepare('SELECT value FROM meta WHERE name = ?').get(name) as { value: string } | undefined)?.value ?? null

/** Ids of the keys that transcripts may be sealed under, the current one first. */
export const keksInUse = (db: DatabaseSync): string[] => JSON.parse(read(db, 'keks') ?? '[]') as string[]

/** The log's secret by which end users are hidden. Throws where it cannot be unwrapped. */
export function subjectKey (db: DatabaseSync, ring: Keyring): Uint8Array {
  const [kek, wrapped] = read(db, 'subject_key')!.split(':')
  return unwrap(ring, kek!, Buffer.from(wrapped!, 'base64'))
}

export class Sealing {
  readonly #db: DatabaseSync
  readonly #payloads: Rows
  readonly #meta: StatementSync
  #ring: Keyring
  #keys: RecordKeys
  /** The key of the last record, for the next payload of the same one in the same call: a JSON answer's pair has one. */
  #last: { readonly call: number, readonly record: string, readonly key: RecordKey } | null = null

  /** Throws, for people, where transcripts are sealed under a key that is not in the ring. */
  constructor (db: DatabaseSync, ring: Keyring) {
    this.#db = db
    this.#ring = ring
    this.#keys = new RecordKeys(ring.current)
    this.#payloads = new Rows(db, 'payload', ['idx', 'salt', 'bytes', 'kek', 'wrapped', 'tenant', 'subject'])
    this.#meta = db.prepare('INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)')
    const legacy = read(db, 'keks') === null && db.prepare('SELECT 1 FROM payload LIMIT 1').get() !== undefined
    const inUse = legacy ? [UNSEALED] : keksInUse(db)
    const missing = inUse.filter((id) => id !== UNSEALED && !ring.find(id))
    if (missing.length > 0) throw new Error(`Its transcripts are sealed under the key-encryption key ${missing.join(', ')}, and the keys given are ${ring.all.map((kek) => kek.id).join(', ')}. Give the missing one as well, behind the current one; without it those transcripts are lost.`)
    this.#adopt(inUse)
  }

  /** Seals under the first key of `raws` from now on. In a transaction of its own. */
  rekey (raws: readonly Uint8Array[]): void {
    this.#ring = keyringOf(raws)
    this.#keys = new RecordKeys(this.#ring.current)
    this.#last = null
    this.#adopt(keksInUse(this.#db))
  }

  #adopt (inUse: readonly string[]): void {
    const current = this.#ring.current.id
    const all = [current, ...inUse.filter((id) => id !== current)]
    if (read(this.#db, 'keks') !== JSON.stringify(all)) this.#meta.run('keks', JSON.stringify(all))
    if (read(this.#db, 'subject_key') === null) this.#keepSubjectKey(randomPooled(SUBJECT_KEY_BYTES))
  }

  #keepSubjectKey (raw: Uint8Array): void { this.#meta.run('subject_key', `${this.#ring.current.id}:${wrap(this.#ring, raw).toString('base64')}`) }

  insert (index: number, { call, id, begin, salt, payload, tenant, subject }: Entry): void {
    const record = begin ?? id
    if (this.#last?.call !== call || this.#last.record !== record) this.#last = { call, record, key: this.#keys.next() }
    const { key } = this.#last
    this.#payloads.add(index, salt, seal(key, id, payload!), key.kek, key.wrapped, tenant, subject)
  }

  /** Writes what was inserted; the leaves stand by then. */
  flush (): void { this.#payloads.flush() }

  /** After an error: nothing of the group is written any more. */
  forget (): void { this.#payloads.forget() }

  /** Before a group: a number of a call comes round again after a restart of whoever counts. */
  begin (): void { this.#last = null }

  /** Some of what is not under the current key, from leaf `from` on; `next` is null at the end. In a transaction of the caller's. */
  rewrap (from: number, size: number): { next: number | null, count: number } {
    const current = this.#ring.current.id
    const rows = this.#db.prepare('SELECT payload.idx, payload.kek, payload.wrapped, leaf.id, CASE WHEN payload.kek IS NULL THEN payload.bytes END AS bytes FROM payload JOIN leaf ON leaf.idx = payload.idx WHERE payload.idx >= ? AND payload.idx < ? AND state = \'present\' AND payload.kek IS NOT ?')
      .all(from, from + REWRAP_LEAVES, current) as { idx: number, kek: string | null, wrapped: Uint8Array | null, id: string, bytes: Uint8Array | null }[]
    const under = this.#db.prepare('UPDATE payload SET kek = ?, wrapped = ? WHERE idx = ?')
    const sealed = this.#db.prepare('UPDATE payload SET kek = ?, wrapped = ?, bytes = ? WHERE idx = ?')
    for (const { idx, kek, wrapped, id, bytes } of rows) {
      if (kek === null) {
        const key = newRecordKey(this.#ring.current)
        sealed.run(key.kek, key.wrapped, seal(key, id, bytes ?? new Uint8Array()), idx)
        continue
      }
      // a key that was altered cannot be brought over: it stays as it is and its record reads as damaged, as it did before
      let again: Buffer
      try { again = rewrap(this.#ring, kek, wrapped!) } catch { continue }
      under.run(current, again, idx)
    }
    const next = from + REWRAP_LEAVES
    return { next: next < size ? next : null, count: rows.length }
  }

  /** Nothing is under another key any more. Inside the transaction of the leaf that says so. */
  rewrapped (): void {
    const raw = subjectKey(this.#db, this.#ring)
    this.#keepSubjectKey(raw)
    this.#meta.run('keks', JSON.stringify([this.#ring.current.id]))
  }
}
