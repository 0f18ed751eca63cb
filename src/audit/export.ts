/** An export's lines and its manifest, over any log, in bounded memory. Knows the wire's words for a record; nothing of HTTP or of who asks. */
import { createHash } from 'node:crypto'
import type { AuditLog, RecordQuery, StoredRecord } from './log.ts'

/** A record as it is told. */
export interface Told {
  index: number
  id: string
  leaf: string
  leaf_hash: string
  payload: { state: StoredRecord['payload']['state'], base64?: string, text?: string | null, salt?: string }
}

/** Null where the bytes are not UTF-8. */
export function textOf (bytes: Uint8Array): string | null {
  try { return new TextDecoder('utf-8', { fatal: true }).decode(bytes) } catch { return null }
}

/** `withPayload` false leaves the transcript out and says only whether there is one. */
export function tell ({ index, id, leaf, leaf_hash, payload }: StoredRecord, withPayload: boolean): Told {
  return {
    index, id, leaf, leaf_hash,
    payload: payload.state === 'present' && withPayload
      ? { state: payload.state, base64: Buffer.from(payload.bytes).toString('base64'), text: textOf(payload.bytes), salt: Buffer.from(payload.salt).toString('base64') }
      : { state: payload.state },
  }
}

/** One record a line; the last line is the manifest. Each ends with a newline. */
export async function * exportLines (audit: AuditLog, query: RecordQuery, checkpoint: string): AsyncGenerator<string> {
  let count = 0
  let first: number | null = null
  let last: number | null = null
  // over the bytes of all lines before the manifest: `head -n -1 export.ndjson | sha256sum`
  const digest = createHash('sha256')
  for await (const one of audit.stream({ ...query, payloads: true })) {
    const line = `${JSON.stringify(tell(one, true))}\n`
    digest.update(line)
    first ??= one.index
    last = one.index
    count++
    yield line
  }
  yield `${JSON.stringify({ manifest: { count, first_index: first, last_index: last, as_of: query.asOf, sha256: digest.digest('hex'), origin: audit.tree.origin, verifier: audit.tree.verifier, checkpoint } })}\n`
}
