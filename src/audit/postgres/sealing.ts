/** Which keys the PostgreSQL log is sealed under, and how they are brought under another. Replicas share one account of them. */
import type { Keyring } from '../seal/keyring.ts'
import { newRecordKey, rewrap, seal, unwrap, wrap, type RecordKey } from '../seal/seal.ts'
import type { Entry } from '../entry.ts'
import { newSeed } from '../note.ts'
import { transaction, type Connection, type Database } from '../../database/database.ts'

const REWRAP_LEAVES = 1000
/** Replicas start together, and keys are changed while they run: one after the other through here. */
const KEYS_LOCK = 'SELECT pg_advisory_xact_lock(hashtextextended(\'parallax keys\', 0))'

async function read (db: Connection, name: string): Promise<string | null> {
  return (await db.query<{ value: string }>('SELECT value FROM parallax.meta WHERE name = $1 FOR UPDATE', [name])).rows[0]?.value ?? null
}
const write = async (db: Connection, name: string, value: string): Promise<void> => {
  await db.query('INSERT INTO parallax.meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value', [name, value])
}

export async function keksInUse (db: Database | Connection): Promise<string[]> {
  return JSON.parse((await db.query<{ value: string }>('SELECT value FROM parallax.meta WHERE name = \'keks\'')).rows[0]?.value ?? '[]') as string[]
}

/** Secrets that every replica needs, made once and kept sealed: by which end users are hidden, and by which checkpoints are signed. */
const SECRETS = ['subject_key', 'log_key'] as const
export type Secrets = Record<typeof SECRETS[number], Uint8Array> & {
  /** The log's name, once it can no longer be told from its key, and the public halves of keys that signed before. */
  readonly origin: string | undefined
  readonly previous: readonly string[]
}

const sealedUnder = (text: string): { kek: string, wrapped: Buffer } => {
  const [kek, wrapped] = text.split(':')
  return { kek: kek!, wrapped: Buffer.from(wrapped!, 'base64') }
}

/** Adds the ring's current key to those in use, and opens the secrets, made now where there are none. Throws, for people, where a key is missing. */
export async function adopt (db: Database, ring: Keyring): Promise<Secrets> {
  return transaction(db, async (client) => {
    await client.query(KEYS_LOCK)
    const inUse = JSON.parse(await read(client, 'keks') ?? '[]') as string[]
    const missing = inUse.filter((id) => !ring.find(id))
    if (missing.length > 0) throw new Error(`Its transcripts are sealed under the key-encryption key ${missing.join(', ')}, and the keys given are ${ring.all.map((kek) => kek.id).join(', ')}. Give every replica the same keys (PARALLAX_KEK or PARALLAX_KEK_FILE), the missing one behind the current one.`)
    const all = [ring.current.id, ...inUse.filter((id) => id !== ring.current.id)]
    if (inUse.join() !== all.join()) await write(client, 'keks', JSON.stringify(all))
    const secrets: Partial<Record<typeof SECRETS[number], Uint8Array>> = {}
    for (const name of SECRETS) {
      const kept = await read(client, name)
      if (kept === null) await write(client, name, `${ring.current.id}:${wrap(ring, secrets[name] = newSeed()).toString('base64')}`)
      else {
        const { kek, wrapped } = sealedUnder(kept)
        secrets[name] = unwrap(ring, kek, wrapped)
      }
    }
    return { log_key: secrets.log_key!, subject_key: secrets.subject_key!, origin: await read(client, 'log_origin') ?? undefined, previous: JSON.parse(await read(client, 'log_key_previous') ?? '[]') as string[] }
  })
}

/** Another key signs from the next start on. Throws where other replicas live: they would go on with the old one. */
export async function replaceLogKey (db: Database, ring: Keyring, { seed, name, previous, replica }: { readonly seed: Uint8Array, readonly name: string, readonly previous: readonly string[], readonly replica: string }): Promise<void> {
  await transaction(db, async (client) => {
    // a start that reads the keys after this reads the new one; one that read them before it has its lease already
    await client.query(KEYS_LOCK)
    await nobodyElse(client, replica)
    await write(client, 'log_origin', name)
    await write(client, 'log_key_previous', JSON.stringify(previous))
    await write(client, 'log_key', `${ring.current.id}:${wrap(ring, seed).toString('base64')}`)
  })
}

/** Throws, for people, where another replica lives. */
export async function nobodyElse (db: Database | Connection, replica: string): Promise<void> {
  const { rows } = await db.query<{ count: number }>('SELECT count(*) AS count FROM parallax.replica WHERE until > now() AND id <> $1', [replica])
  if (rows[0]!.count > 0) throw new Error(`${rows[0]!.count} other gateways live on this log. Stop them first, and wait until their leases have run out.`)
}

/** The entries of one call with their payloads sealed: one key for the payloads of one record. */
export function sealEntries (ring: Keyring, entries: readonly Entry[]): Entry[] {
  const keys = new Map<string, RecordKey>()
  return entries.map((entry) => {
    if (!entry.payload) return entry
    const record = entry.begin ?? entry.id
    let key = keys.get(record)
    if (!key) keys.set(record, key = newRecordKey(ring.current))
    return { ...entry, payload: seal(key, entry.id, entry.payload), kek: key.kek, wrapped: key.wrapped }
  })
}

/** Some of what is not under the current key, from leaf `from` on; `next` is null at the end. */
export async function rewrapSome (db: Database, ring: Keyring, from: number): Promise<{ next: number | null, count: number }> {
  return transaction(db, async (client) => {
    const current = ring.current.id
    const { rows } = await client.query<{ idx: number, kek: string, wrapped: Buffer }>('SELECT idx, kek, wrapped FROM parallax.payload WHERE idx >= $1 AND idx < $2 AND state = \'present\' AND kek <> $3 ORDER BY idx FOR UPDATE', [from, from + REWRAP_LEAVES, current])
    const done: { idx: number, wrapped: Buffer }[] = []
    const damaged: number[] = []
    for (const { idx, kek, wrapped } of rows) {
      // another replica's, which has a key that is not here
      if (!ring.find(kek)) continue
      try { done.push({ idx, wrapped: rewrap(ring, kek, wrapped) }) } catch { damaged.push(idx) }
    }
    await client.query('UPDATE parallax.payload SET kek = $1, wrapped = new.wrapped FROM unnest($2::bigint[], $3::bytea[]) AS new (idx, wrapped) WHERE payload.idx = new.idx', [current, done.map((one) => one.idx), done.map((one) => one.wrapped)])
    // a key that was altered cannot be brought over: its record reads as damaged, as it did before, and keeps no old key in use
    if (damaged.length > 0) await client.query('UPDATE parallax.payload SET kek = NULL WHERE idx = ANY($1::bigint[])', [damaged])
    const { size } = (await client.query<{ size: number }>('SELECT size FROM parallax.head')).rows[0]!
    const next = from + REWRAP_LEAVES
    if (next < size) return { next, count: done.length }
    await client.query(KEYS_LOCK)
    for (const name of SECRETS) {
      const { kek, wrapped } = sealedUnder((await read(client, name))!)
      if (kek !== current) await write(client, name, `${current}:${rewrap(ring, kek, wrapped).toString('base64')}`)
    }
    return { next: null, count: done.length }
  })
}

/** One step an id, by the index: the table may be large, and the log waits. */
const KEKS_OF_TRANSCRIPTS = `WITH RECURSIVE found AS ((SELECT kek FROM parallax.payload WHERE state = 'present' ORDER BY kek LIMIT 1)
  UNION ALL SELECT (SELECT kek FROM parallax.payload WHERE state = 'present' AND kek > found.kek ORDER BY kek LIMIT 1) FROM found WHERE found.kek IS NOT NULL)
  SELECT kek FROM found WHERE kek IS NOT NULL`

/** Counts anew what is sealed under which keys; `current` is the one that everything was brought under. Inside the leaf's transaction, by whichever replica places it. */
export async function recountKeks (db: Connection, current: string): Promise<void> {
  await read(db, 'keks')
  const used = new Set((await db.query<{ kek: string }>(KEKS_OF_TRANSCRIPTS)).rows.map(({ kek }) => kek))
  for (const name of SECRETS) used.add(sealedUnder((await read(db, name))!).kek)
  used.delete(current)
  await write(db, 'keks', JSON.stringify([current, ...used]))
}

/** What is about to be placed was sealed under these: a replica may have been started with another current key. */
export async function noteKeks (db: Connection, keks: ReadonlySet<string>): Promise<void> {
  const known = new Set(await keksInUse(db))
  if ([...keks].every((id) => known.has(id))) return
  const now = JSON.parse(await read(db, 'keks') ?? '[]') as string[]
  await write(db, 'keks', JSON.stringify([...new Set([...now, ...keks])]))
}
