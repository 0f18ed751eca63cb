/** Tells somebody that something is beyond what is tolerated: a line in a file, a POST to an address. Sends numbers and ids, no word of anybody's. */
import { appendFileSync } from 'node:fs'
import type { Findings } from './findings.ts'

const TIMEOUT_MS = 10_000

export interface AlertWays { readonly file?: string | undefined, readonly webhook?: string | undefined }

/** Tries every way before it throws: the file may be read where the address is not. */
export async function tellAlerts ({ window, alerts, as_of }: Findings, { file, webhook }: AlertWays): Promise<void> {
  if (alerts.length === 0) return
  const text = JSON.stringify({ event: 'parallax.outputs', window, as_of, alerts })
  const failures: string[] = []
  if (file !== undefined) try { appendFileSync(file, `${text}\n`, { mode: 0o600 }) } catch (error) { failures.push((error as Error).message) }
  if (webhook !== undefined) {
    const sent = await fetch(webhook, { method: 'POST', headers: { 'content-type': 'application/json' }, body: text, signal: AbortSignal.timeout(TIMEOUT_MS), redirect: 'error' }).then((reply) => reply.ok ? null : `it answered with status ${reply.status}`, (error: unknown) => ((error as Error).cause as Error | undefined)?.message ?? (error as Error).message)
    // the address may hold a secret
    if (sent !== null) failures.push(`the webhook was not told: ${sent}`)
  }
  if (failures.length > 0) throw new Error(`Something is beyond what is tolerated, and not everybody could be told: ${failures.join('; ')}.`)
}
