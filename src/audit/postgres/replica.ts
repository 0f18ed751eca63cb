/**
 * One gateway of several on the same log: its lease, and the closing of records whose replica has died. A replica that comes back
 * closes its own, with what it had journalled; others wait until its lease has run out, and know nothing of its journal.
 */
import { hash, randomUUID } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { writePrivate } from '../../private-file.ts'
import type { LeafDraft } from '../log.ts'
import { endsFor, lateAnswer, type Began, type Begun } from '../recovery.ts'
import type { Database } from '../../database/database.ts'

const FILE = 'replica.id'
const AT_ONCE = 200

/** The name of this data directory's replica, made once: whoever starts on the same directory goes on with its journal. */
export function replicaId (directory: string): string {
  const path = join(directory, FILE)
  if (!existsSync(path)) writePrivate(path, `${randomUUID()}\n`)
  const id = readFileSync(path, 'utf8').trim()
  if (!/^[0-9a-f-]{36}$/.test(id)) throw new Error(`${path} holds no replica's name. If no journal of this directory is to be recovered, remove the file: a new one is made.`)
  return id
}

/** Two replicas that close the same record write the same id, and the second is refused; likewise what is brought in twice. UUID version 8, from SHA-256. */
function idFor (what: 'recovered end' | 'late answer', begin: string, choice: number): string {
  const hex = hash('sha256', `${what} of ${begin} choice ${choice}`)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

const recoveredId = (begin: string, choice: number): string => idFor('recovered end', begin, choice)

/** Holds off the others for `leaseMs` from now, by the database's clock. */
export async function renewLease (db: Database, replica: string, leaseMs: number): Promise<void> {
  await db.query('INSERT INTO parallax.replica (id, until) VALUES ($1, now() + $2 * interval \'1 millisecond\') ON CONFLICT (id) DO UPDATE SET until = excluded.until, since = CASE WHEN replica.until < now() THEN now() ELSE replica.since END', [replica, leaseMs])
}

export async function endLease (db: Database, replica: string): Promise<void> {
  await db.query('DELETE FROM parallax.replica WHERE id = $1', [replica])
}

/** Ends that this replica owes from before its start, with their journal. */
export async function ownMissingEnds (db: Database, replica: string, journalled: ReadonlyMap<string, ReadonlyMap<number, Uint8Array>>): Promise<LeafDraft[]> {
  const { rows } = await db.query<Begun>(`${OPEN} WHERE open_record.replica = $1 ORDER BY leaf.idx`, [replica])
  return endsFor(rows, journalled)
}

/**
 * Ends of records whose replica has not renewed its lease. `answer_lost`: what it had sent is in its journal only. None where this one
 * has not held its own for a whole lease: when the database was away all of them ran out, and those who live renew theirs first.
 */
export async function othersMissingEnds (db: Database, replica: string, leaseMs: number): Promise<LeafDraft[]> {
  const { rows } = await db.query<Begun>(`${OPEN} LEFT JOIN parallax.replica ON replica.id = open_record.replica WHERE open_record.replica <> $1 AND (replica.until IS NULL OR replica.until < now())
    AND EXISTS (SELECT 1 FROM parallax.replica AS own WHERE own.id = $1 AND own.until > now() AND own.since < now() - $2 * interval '1 millisecond') ORDER BY leaf.idx LIMIT ${AT_ONCE}`, [replica, leaseMs])
  return endsFor(rows, new Map()).map((draft) => {
    const { begin, choice = 0 } = draft.fields as { begin: string, choice?: number }
    return { ...draft, id: recoveredId(begin, choice), fields: { ...draft.fields, answer_lost: true, bytes_sent: null } }
  })
}

/**
 * What was journalled here of records that another replica has closed without it, to come in beside their ends: whoever received it holds
 * something that has to be in the log. Not of those that were erased or expired since.
 */
export async function lateAnswers (db: Database, journalled: ReadonlyMap<string, ReadonlyMap<number, Uint8Array>>): Promise<LeafDraft[]> {
  const closed = new Map([...journalled].flatMap(([begin, choices]) => [...choices.keys()].map((choice) => [recoveredId(begin, choice), { begin, choice }] as const)))
  const ids = (await db.query<{ id: string }>('SELECT id FROM parallax.leaf WHERE id = ANY($1::uuid[]) ORDER BY idx', [[...closed.keys()]])).rows.map(({ id }) => closed.get(id)!)
  const { rows } = await db.query<Began>('SELECT leaf.id, leaf.entry, payload.tenant, payload.subject FROM parallax.leaf JOIN parallax.payload ON payload.idx = leaf.idx WHERE payload.state = \'present\' AND leaf.id = ANY($1::uuid[])', [ids.map(({ begin }) => begin)])
  const began = new Map(rows.map((row) => [row.id, row]))
  return ids.flatMap(({ begin, choice }) => began.has(begin) ? [lateAnswer(began.get(begin)!, idFor('late answer', begin, choice), choice, journalled.get(begin)!.get(choice)!)] : [])
}

const OPEN = `SELECT leaf.id, leaf.entry, payload.tenant, payload.subject, coalesce((SELECT array_agg(choice) FROM parallax.leaf AS ended WHERE ended.begin = leaf.id), '{}') AS ended
  FROM parallax.open_record JOIN parallax.leaf ON leaf.id = open_record.id LEFT JOIN parallax.payload ON payload.idx = leaf.idx`
