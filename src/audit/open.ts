/** The one choice between the stores. */
import type { Config } from '../config.ts'
import type { AuditLog } from './log.ts'
import { openSqliteLog } from './sqlite.ts'

export type AuditSettings = Pick<Config, 'dataDir' | 'audit' | 'kek'>

/** Rejects with a sentence for people. */
export async function openAuditLog ({ dataDir, audit, kek }: AuditSettings): Promise<AuditLog> {
  return openSqliteLog({ directory: dataDir, origin: audit.origin, kek: { keys: kek, file: audit.kekFile } })
}
