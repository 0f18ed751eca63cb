/** The one choice between the stores: PostgreSQL where DATABASE_URL names one, else SQLite in the data directory. */
import type { Config } from '../config.ts'
import type { AuditLog } from './log.ts'

export type AuditSettings = Pick<Config, 'dataDir' | 'audit' | 'kek' | 'databaseUrl'>

/** Rejects with a sentence for people. */
export async function openAuditLog ({ dataDir: directory, audit, kek: keys, databaseUrl: url }: AuditSettings): Promise<AuditLog> {
  const options = { directory, origin: audit.origin, kek: { keys, file: audit.kekFile } }
  // loaded when it is chosen: the other one's driver is then neither loaded nor needed
  return url === undefined
    ? (await import('./sqlite.ts')).openSqliteLog(options)
    : (await import('./postgres.ts')).openPostgresLog({ ...options, url })
}
