/** The one choice between the stores: PostgreSQL where DATABASE_URL names one, else SQLite in the data directory. */
import type { Config } from '../config.ts'
import { newId } from '../ids.ts'
import type { AuditLog } from './log.ts'
import type { Shared } from './postgres/shared.ts'
import type { AcceptedRestore } from './restore.ts'

export type AuditSettings = Pick<Config, 'dataDir' | 'audit' | 'kek' | 'databaseUrl'>

const optionsOf = ({ dataDir: directory, audit, kek: keys }: AuditSettings) => ({ directory, origin: audit.origin, kek: { keys, file: audit.kekFile } })

/** Rejects with a sentence for people. `acceptRestore`: goes on from a store that was set back, and puts that on record. */
export async function openAuditLog (settings: AuditSettings, acceptRestore?: AcceptedRestore): Promise<AuditLog> {
  const options = { ...optionsOf(settings), acceptRestore }
  // loaded when it is chosen: the other one's driver is then neither loaded nor needed
  return settings.databaseUrl === undefined
    ? (await import('./sqlite.ts')).openSqliteLog(options)
    : (await import('./postgres.ts')).openPostgresLog({ ...options, url: settings.databaseUrl })
}

/** What the stores beside the log use where gateways share a database; null where there is one gateway. After the log's opening, which knows whether the two belong together. */
export async function openSharedDatabase (settings: AuditSettings): Promise<Shared | null> {
  if (settings.databaseUrl === undefined) return null
  return (await import('./postgres/shared.ts')).openShared({ ...optionsOf(settings), url: settings.databaseUrl })
}

export interface RotatedLogKey { readonly from: string, readonly to: string, readonly record: string }

/** Has another key sign the log from the next start on. No gateway may run. The old key's last word, a leaf, names the new one. */
export async function rotateLogKey (settings: AuditSettings, reason: string): Promise<RotatedLogKey> {
  const change = settings.databaseUrl === undefined
    ? (await import('./sqlite/log-key.ts')).sqliteLogKey(optionsOf(settings))
    : await (await import('./postgres/log-key.ts')).postgresLogKey({ ...optionsOf(settings), url: settings.databaseUrl })
  const log = await openAuditLog(settings)
  const record = newId()
  try {
    await log.append([{ type: 'log.rekeyed', id: record, key: null, fields: { from: change.from, to: change.to, reason } }])
  } finally {
    await log.close()
  }
  await change.adopt()
  return { from: change.from, to: change.to, record }
}

/** A key that stands ready; `adopt` puts it in the old one's place. */
export interface LogKeyChange { readonly from: string, readonly to: string, adopt (): Promise<void> | void }
