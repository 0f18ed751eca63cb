/** Erasures and holds as JSON, the same from the admin API and from the command line. Knows nothing of HTTP. */
import { z } from 'zod'
import type { Hold, HoldScope } from '../audit/log.ts'
import type { Whose } from './retention.ts'

const RECORDS = 1000
const reason = z.string().trim().min(1).max(500).describe('Stands in the log for ever: a case number, nothing personal.')
const tenant = z.string().min(1).max(60)
const endUser = z.strictObject({ tenant, id: z.string().min(1).max(512).describe('What the tenant\'s app sent as `safety_identifier` or `user`') })

export const erasureBody = z.strictObject({ record: z.uuid().toLowerCase().optional(), end_user: endUser.optional(), reason })
  .refine((body) => (body.record === undefined) !== (body.end_user === undefined), 'wanted either "record" or "end_user"')
export type ErasureBody = z.infer<typeof erasureBody>

export const erasureObject = z.object({
  leaves: z.array(z.string()).describe('The `erasure` records'),
  records: z.int().describe('Exchanges whose transcripts are gone'),
  held: z.array(z.object({ record: z.string(), hold: z.string() })).describe('Kept by a hold'),
  open: z.array(z.string()).describe('Still being answered: ask again'),
})
export type ErasureObject = z.infer<typeof erasureObject>

export const holdBody = z.strictObject({
  name: z.string().regex(/^[\w.-]{1,60}$/, 'wanted 1 to 60 letters, digits, ".", "-" or "_"'),
  records: z.array(z.uuid().toLowerCase()).min(1).max(RECORDS).optional(),
  tenant: tenant.optional(),
  end_user: endUser.optional(),
  all: z.literal(true).optional(),
  reason,
}).refine((body) => [body.records, body.tenant, body.end_user, body.all].filter((one) => one !== undefined).length === 1, 'wanted one of "records", "tenant", "end_user" and "all"')
export type HoldBody = z.infer<typeof holdBody>

export const reasonBody = z.strictObject({ reason })
export const holdObject = z.object({
  name: z.string(),
  records: z.array(z.string()).optional(),
  tenant: z.string().optional(),
  end_user: z.literal(true).optional().describe('One end user; who it is, the store does not know'),
  all: z.literal(true).optional(),
})
export type HoldObject = z.infer<typeof holdObject>

export const expiryBody = z.strictObject({ days: z.int().min(0).max(36_500).optional().describe('Absent: the configured number') })
export const expiryObject = z.object({ leaves: z.array(z.string()).describe('The `payload.expired` records'), transcripts: z.int() })
export type ExpiryObject = z.infer<typeof expiryObject>

export const rotationObject = z.object({ from: z.array(z.string()), to: z.string(), rewrapped: z.int(), record: z.string().describe('The `kek.rotated` record') })
export type RotationObject = z.infer<typeof rotationObject>

export const whoseOf = ({ record, end_user: user }: ErasureBody): Whose => record === undefined ? { tenant: user!.tenant, user: user!.id } : { record }

export function scopeOf ({ records, tenant: whole, end_user: user }: HoldBody): HoldScope {
  if (records) return { records }
  if (whole !== undefined) return { tenant: whole }
  return user ? { tenant: user.tenant, user: user.id } : { all: true }
}

export function holdToWire ({ name, scope }: Hold): HoldObject {
  if ('records' in scope) return { name, records: [...scope.records] }
  if ('tenant' in scope) return { name, tenant: scope.tenant }
  return 'user' in scope ? { name, end_user: true } : { name, all: true }
}
