/**
 * Connections to the one PostgreSQL database that replicas share, as the log's promise wants them: commits that wait for the disk.
 * Works through a pooler in transaction mode: nothing here outlives a transaction. Knows nothing of what the tables mean.
 */
import pg from 'pg'
import { migrate } from './schema.ts'

const CONNECTIONS = 5
const CONNECT_MS = 5000
/** A statement that takes longer has met a lock or a dead disk. */
const STATEMENT_MS = 30_000
/** Who says nothing for so long in the middle of a transaction has hung, or is cut off: the server lets go of his locks, for others wait for them. */
const HUNG_MS = 4000
const INT8 = 20

/** Sizes and indices as numbers: they are safe up to 2^53. */
const types = { getTypeParser: (oid: number, format?: 'text' | 'binary') => oid === INT8 ? Number : pg.types.getTypeParser(oid, format) }

export type Database = pg.Pool
export type Connection = pg.PoolClient

/** An address without its password, for people. */
export function addressOf (url: string): string {
  try {
    const { hostname, port, pathname } = new URL(url)
    return `${hostname}${port === '' ? '' : `:${port}`}${pathname}`
  } catch { return 'the database of DATABASE_URL' }
}

/** Connections of their own for those who only read, or who only share the database: what they ask for, however much and slow, takes none from the log's writer. */
export function openPool (url: string, connections = CONNECTIONS): Database {
  const pool = new pg.Pool({ connectionString: url, max: connections, connectionTimeoutMillis: CONNECT_MS, query_timeout: STATEMENT_MS, idleTimeoutMillis: 30_000, types, application_name: 'parallax' })
  // a connection that dies while nobody uses it: the next one says so to whoever needs it
  pool.on('error', () => {})
  // and one that dies in somebody's hands fails the query that he waits for
  pool.on('connect', (client) => { client.on('error', () => {}) })
  return pool
}

/** Rejects, for people, where it cannot be reached, does not wait for its disk, or is newer than this program. */
export async function openDatabase (url: string, connections = CONNECTIONS): Promise<Database> {
  const pool = openPool(url, connections)
  try {
    const client = await pool.connect()
    try {
      for (const name of ['fsync', 'full_page_writes', 'synchronous_commit'] as const) {
        const value = (await client.query<Record<string, string>>(`SHOW ${name}`)).rows[0]![name]
        // "local", "remote_write" and the like wait for this server's disk too; "off" answers before it
        if (value === 'off') throw new Error(`it runs with ${name}=off, and would forget in a power failure what it had acknowledged. Set it to on.`)
      }
      await migrate(client)
    } finally {
      client.release()
    }
    return pool
  } catch (cause) {
    await pool.end().catch(() => {})
    throw new Error(`The audit log at ${addressOf(url)} cannot be opened: ${reasonOf(cause)}`, { cause })
  }
}

/** pg reports a refused connection as an AggregateError without words. */
export function reasonOf (error: unknown): string {
  const { message, code, errors } = error as { message?: string, code?: string, errors?: Error[] }
  return message || errors?.[0]?.message || code || 'no reason known'
}

/** Whatever the server's defaults are: what others committed is seen by the next statement. In one message, for it precedes everything. */
export const BEGIN = `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL idle_in_transaction_session_timeout = ${HUNG_MS}; SET LOCAL statement_timeout = ${STATEMENT_MS}`

/** All of it or nothing. `commit` stands in for COMMIT where a test wants it to fail. */
export async function transaction<T> (pool: Database, work: (client: Connection) => Promise<T>, commit = async (client: Connection): Promise<void> => { await client.query('COMMIT') }): Promise<T> {
  const client = await pool.connect()
  let broken = false
  try {
    await client.query(BEGIN)
    const result = await work(client)
    await commit(client)
    return result
  } catch (error) {
    // a connection on which even this fails is not to be used again
    await client.query('ROLLBACK').catch(() => { broken = true })
    throw error
  } finally {
    client.release(broken)
  }
}
