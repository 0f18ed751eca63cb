/** Answers that were received against end records in the log, counted in the database itself: what is missing is lost. */
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Gateway } from './gateway.ts'

export interface LogLoss { readonly answers: number, readonly records: number, readonly lost: number }

export function logLoss ({ dataDir }: Gateway, answers: number): LogLoss {
  const db = new DatabaseSync(join(dataDir, 'audit.db'), { readOnly: true })
  try {
    const { records } = db.prepare('SELECT count(*) AS records FROM leaf WHERE type = \'completion.end\' AND status = \'complete\'').get() as { records: number }
    // an answer that the load generator had no time to wait for is on record as well: more records than answers is no fault
    return { answers, records, lost: Math.max(0, answers - records) }
  } finally { db.close() }
}
