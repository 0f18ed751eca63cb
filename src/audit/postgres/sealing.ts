/** Which keys the PostgreSQL log is sealed under, and how they are brought under another. Replicas share one account of them. */
import type { Keyring } from '../seal/keyring.ts'
import { newRecordKey, rewrap, seal, unwrap, wrap, type RecordKey } from '../seal/seal.ts'
import type { Entry } from '../entry.ts'
import { newSeed } from '../note.ts'
import { transaction, type Connection, type Database } from './database.ts'

const REWRAP_LEAVES = 1000

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
    // replicas start together: one after the other through here
    await client.query('SELECT pg_advisory_xact_lock(hashtextextended(\'parallax keys\', 0))')
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
    const done = rows.flatMap(({ idx, kek, wrapped }) => {
      // a key that was altered cannot be brought over: its record reads as damaged, as it did before
      try { return [{ idx, wrapped: rewrap(ring, kek, wrapped) }] } catch { return [] }
    })
    await client.query('UPDATE parallax.payload SET kek = $1, wrapped = new.wrapped FROM unnest($2::bigint[], $3::bytea[]) AS new (idx, wrapped) WHERE payload.idx = new.idx', [current, done.map((one) => one.idx), done.map((one) => one.wrapped)])
    const { size } = (await client.query<{ size: number }>('SELECT size FROM parallax.head')).rows[0]!
    const next = from + REWRAP_LEAVES
    return { next: next < size ? next : null, count: rows.length }
  })
}

/** Nothing is under another key any more, unless a replica still seals with one: then that stays in the account. Inside the leaf's transaction. */
export async function rewrapped (db: Connection, ring: Keyring): Promise<void> {
  for (const name of SECRETS) {
    const { kek, wrapped } = sealedUnder((await read(db, name))!)
    if (kek !== ring.current.id) await write(db, name, `${ring.current.id}:${rewrap(ring, kek, wrapped).toString('base64')}`)
  }
  const { rows } = await db.query<{ kek: string }>('SELECT DISTINCT kek FROM parallax.payload WHERE state = \'present\' AND kek <> $1 LIMIT 10', [ring.current.id])
  await write(db, 'keks', JSON.stringify([ring.current.id, ...rows.map((row) => row.kek)]))
}

/** What is about to be placed was sealed under these: a replica may have been started with another current key. */
export async function noteKeks (db: Connection, keks: ReadonlySet<string>): Promise<void> {
  const known = await keksInUse(db)
  const fresh = [...keks].filter((id) => !known.includes(id))
  if (fresh.length > 0) await write(db, 'keks', JSON.stringify([...known, ...fresh]))
}

