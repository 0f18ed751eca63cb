/** A whole gateway on each of the log's stores, for tests of what a client and an auditor see of them. Real servers. */
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import pg from 'pg'
import type { Test } from 'tap'
import { verifyExport, type Findings } from '../../src/audit/verify.ts'
import { NO_POSTGRES, startPostgres, type Postgres } from '../fixtures/postgres.ts'
import { build, type BuildOptions, type Built } from '../helper.ts'

export interface Store {
  readonly name: string
  /** Why it cannot be tested here, or false. */
  readonly skip: string | false
  build (t: Test, options?: BuildOptions): Promise<Built>
  /** From now until the result is called nothing can be made durable, though nothing fails. */
  stall (gateway: Built): Promise<() => Promise<void>>
}

const sqlite: Store = {
  name: 'SQLite',
  skip: false,
  build,
  async stall ({ dataDir }) {
    const other = new DatabaseSync(join(dataDir, 'audit.db'), { timeout: 5000 })
    other.exec('BEGIN IMMEDIATE')
    return async () => {
      other.exec('ROLLBACK')
      other.close()
    }
  },
}

function postgres (server: Postgres | null): Store {
  const urls = new WeakMap<Built, string>()
  return {
    name: 'PostgreSQL',
    skip: server ? false : NO_POSTGRES,
    async build (t, options = {}) {
      const url = options.env?.['DATABASE_URL'] ?? await server!.database()
      const gateway = await build(t, { ...options, env: { ...options.env, DATABASE_URL: url } })
      urls.set(gateway, url)
      return gateway
    },
    async stall (gateway) {
      const client = new pg.Client(urls.get(gateway))
      await client.connect()
      await client.query('BEGIN; LOCK TABLE parallax.pending IN ACCESS EXCLUSIVE MODE')
      return async () => {
        await client.query('ROLLBACK')
        await client.end()
      }
    },
  }
}

/** Both, and the server of the second. */
export async function stores (t: Test): Promise<{ readonly each: readonly Store[], readonly server: Postgres | null }> {
  const server = await startPostgres(t)
  return { each: [sqlite, postgres(server)], server }
}

/** What `parallax verify` finds in an export that an auditor pulls now. */
export async function audited ({ url, keys, services }: Built): Promise<Findings & { readonly lines: readonly any[] }> {
  const reply = await fetch(`${url}/audit/v1/export`, { headers: { authorization: `Bearer ${keys.auditor}` } })
  const text = (await reply.text()).trimEnd().split('\n')
  const findings = await verifyExport((async function * () { yield * text })(), { verifier: services.audit.tree.verifier })
  return { ...findings, lines: text.slice(0, -1).map((line) => JSON.parse(line)) }
}
