/** Keys as JSON, the same from the admin API and from the command line. Knows nothing of HTTP; the store checks again what it is given. */
import { z } from 'zod'
import { SCOPES } from './keys.ts'
import type { KeyRecord, NewKey } from './keys.ts'
import { LARGEST_QUOTA } from '../quota.ts'
import { quotaFromWire, quotaToWire } from './quota-wire.ts'
import { LONGEST_LIFE_SECONDS, LONGEST_OVERLAP_SECONDS, NAME, PERSPECTIVE, TENANT } from './new-key.ts'

const DAY_SECONDS = 86_400
const time = z.iso.datetime()

const limit = z.int().min(1).max(LARGEST_QUOTA).nullish()
const quota = z.strictObject({ requests_per_minute: limit, tokens_per_minute: limit, streams: limit.describe('At a time.'), tokens_per_day: limit })

export const newKeyBody = z.strictObject({
  scopes: z.array(z.enum(SCOPES)).min(1).max(SCOPES.length).describe('app: chat and feedback. auditor: reads the log, transcripts included. admin: keys and configuration, no transcripts.'),
  name: z.string().regex(NAME, 'wanted 1 to 100 characters without control characters').optional().describe('For people. It is not in the log.'),
  tenant: z.string().regex(TENANT, 'wanted t_ and up to 39 letters, digits, - or _').optional().describe('An existing tenant, to give it a second key. Absent: a new one.'),
  default_perspective: z.string().regex(PERSPECTIVE, "wanted what a request could name, such as progressive, conservative, both or mix-0.50").nullish().describe('Used where a request names none: an id or alias, "both", or a mixture such as "mix-0.50". Absent: such a request is refused.'),
  quota: quota.optional().describe('Limits of its own. A member that is absent is the configuration\'s; null is no limit.'),
  expires_in_seconds: z.int().min(1).max(LONGEST_LIFE_SECONDS).nullish().describe('Absent: until it is revoked.'),
})
export type NewKeyBody = z.infer<typeof newKeyBody>

export const rotateBody = z.strictObject({
  overlap_seconds: z.int().min(0).max(LONGEST_OVERLAP_SECONDS).default(DAY_SECONDS).describe('How long the old key works beside the new one.'),
})

export const keyObject = z.object({
  id: z.string().describe('The pseudonym that the audit log shows.'),
  tenant: z.string(),
  name: z.string(),
  scopes: z.array(z.enum(SCOPES)),
  default_perspective: z.string().nullable(),
  quota: z.object({ requests_per_minute: limit, tokens_per_minute: limit, streams: limit, tokens_per_day: limit }).describe('What it sets of its own: the rest is the configuration\'s.'),
  created_at: time,
  expires_at: time.nullable(),
  revoked_at: time.nullable(),
  replaced_by: z.string().nullable().describe('The key that took its place by rotation.'),
  last_used_at: time.nullable().describe('To the minute.'),
})
export type KeyObject = z.infer<typeof keyObject>

export const issuedKey = z.object({ secret: z.string().describe('Shown this once: only a hash is kept.'), key: keyObject })
export type IssuedKeyObject = z.infer<typeof issuedKey>

const date = (time: number | null): string | null => time === null ? null : new Date(time).toISOString()

export function toWire (record: KeyRecord): KeyObject {
  return {
    id: record.id,
    tenant: record.tenant,
    name: record.name,
    scopes: [...record.scopes],
    default_perspective: record.defaultPerspective,
    quota: quotaToWire(record.quota),
    created_at: new Date(record.created).toISOString(),
    expires_at: date(record.expires),
    revoked_at: date(record.revoked),
    replaced_by: record.replacedBy,
    last_used_at: date(record.lastUsed),
  }
}

export function fromWire (body: NewKeyBody): NewKey {
  return {
    scopes: body.scopes,
    ...(body.name === undefined ? {} : { name: body.name }),
    ...(body.tenant === undefined ? {} : { tenant: body.tenant }),
    ...(body.quota === undefined ? {} : { quota: quotaFromWire(body.quota) }),
    defaultPerspective: body.default_perspective ?? null,
    expiresInSeconds: body.expires_in_seconds ?? null,
  }
}
