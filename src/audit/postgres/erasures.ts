/** What was erased or let expire on this log since one last looked, by whichever gateway: the copies that each keeps for itself have to follow. */
import type { Database } from '../../database/database.ts'

const AT_ONCE = 100

/** From leaf `from` on. Each call goes on where the last one ended, up to `size`: the records of each leaf, and none for an expiry. */
export function erasuresFrom (db: Database, from: number): (size: number) => Promise<(readonly string[])[]> {
  let seen = from
  return async (size) => {
    if (size <= seen) return []
    const { rows } = await db.query<{ idx: number, entry: Buffer }>(`SELECT idx, entry FROM parallax.leaf WHERE type IN ('erasure', 'payload.expired') AND idx >= $1 AND idx < $2 ORDER BY idx LIMIT ${AT_ONCE}`, [seen, size])
    seen = rows.length < AT_ONCE ? size : rows.at(-1)!.idx + 1
    return rows.map(({ entry }) => (JSON.parse(entry.toString('utf8')) as { records?: string[] }).records ?? [])
  }
}
