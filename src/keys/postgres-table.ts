/**
 * Keys in PostgreSQL, for any number of gateways. A number that grows with every change tells the others that there is one.
 * Knows nothing of secrets, of time or of who may do what.
 */
import type { LeafDraft } from '../audit/log.ts'
import { transaction, type Database } from '../database/database.ts'
import type { QuotaOverrides } from '../quota.ts'
import type { Scope } from './keys.ts'
import { ChangedElsewhere, type Change, type KeyRow, type KeyTable } from './table.ts'

interface Row { id: string, hash: Buffer, tenant: string, name: string, scopes: string, default_perspective: string | null, created: number, expires: number | null, revoked: number | null, replaced_by: string | null, last_used: number | null, quota: string }

export class PostgresTable implements KeyTable {
  readonly #db: Database
  constructor (db: Database) { this.#db = db }

  /** Another number than the last time: somebody has changed something. */
  async change (): Promise<number> {
    return (await this.#db.query<{ change: number }>('SELECT change FROM parallax.key_state')).rows[0]!.change
  }

  async rows (): Promise<KeyRow[]> {
    const { rows } = await this.#db.query<Row>('SELECT * FROM parallax.key ORDER BY created, id')
    return rows.map((row) => ({
      id: row.id, hash: row.hash, tenant: row.tenant, name: row.name, scopes: row.scopes.split(' ') as Scope[], defaultPerspective: row.default_perspective,
      created: row.created, expires: row.expires, revoked: row.revoked, replacedBy: row.replaced_by, lastUsed: row.last_used, quota: JSON.parse(row.quota) as QuotaOverrides,
    }))
  }

  async apply ({ insert = [], end, owe }: Change): Promise<void> {
    await transaction(this.#db, async (client) => {
      if (end) {
        const { was } = end
        const ended = await client.query('UPDATE parallax.key SET expires = $2, revoked = $3, replaced_by = $4 WHERE id = $1 AND expires IS NOT DISTINCT FROM $5 AND revoked IS NOT DISTINCT FROM $6 AND replaced_by IS NOT DISTINCT FROM $7',
          [end.id, end.expires, end.revoked, end.replacedBy, was.expires, was.revoked, was.replacedBy])
        if (ended.rowCount !== 1) throw new ChangedElsewhere(`The key ${end.id} was changed by another gateway meanwhile. Look at it again, and repeat what still has to be done.`)
      }
      for (const row of insert) {
        await client.query('INSERT INTO parallax.key (id, hash, tenant, name, scopes, default_perspective, created, expires, revoked, replaced_by, last_used, quota) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)',
          [row.id, row.hash, row.tenant, row.name, row.scopes.join(' '), row.defaultPerspective, row.created, row.expires, row.revoked, row.replacedBy, row.lastUsed, JSON.stringify(row.quota)])
      }
      if (owe) await client.query('INSERT INTO parallax.key_owed (id, draft) VALUES ($1, $2)', [owe.id, JSON.stringify(owe)])
      await client.query('UPDATE parallax.key_state SET change = change + 1')
    })
  }

  async owed (): Promise<LeafDraft[]> {
    return (await this.#db.query<{ draft: string }>('SELECT draft FROM parallax.key_owed ORDER BY id')).rows.map(({ draft }) => JSON.parse(draft) as LeafDraft)
  }

  async settled (leaf: string): Promise<void> { await this.#db.query('DELETE FROM parallax.key_owed WHERE id = $1', [leaf]) }

  /** No change that anybody has to hear of. */
  async touch (used: ReadonlyMap<string, number>): Promise<void> {
    await this.#db.query('UPDATE parallax.key SET last_used = greatest(key.last_used, used.time) FROM unnest($1::text[], $2::bigint[]) AS used (id, time) WHERE key.id = used.id', [[...used.keys()], [...used.values()]])
  }

  /** The connections are somebody else's. */
  close (): void {}
}
