/** The limits of a key as JSON names them: in the admin API, in the command and in the log. */
import { QUOTAS, type Quota, type QuotaOverrides } from '../quota.ts'

export const QUOTA_NAMES = {
  requestsPerMinute: 'requests_per_minute',
  tokensPerMinute: 'tokens_per_minute',
  streams: 'streams',
  tokensPerDay: 'tokens_per_day',
} as const satisfies Record<keyof Quota, string>

/** Left out: the configuration's; null: unlimited. */
export type QuotaObject = { [name in typeof QUOTA_NAMES[keyof Quota]]?: number | null | undefined }

export const quotaToWire = (quota: QuotaOverrides): { [name: string]: number | null } =>
  Object.fromEntries(QUOTAS.flatMap((name) => quota[name] === undefined ? [] : [[QUOTA_NAMES[name], quota[name]]]))

export const quotaFromWire = (object: QuotaObject): QuotaOverrides =>
  Object.fromEntries(QUOTAS.flatMap((name) => object[QUOTA_NAMES[name]] === undefined ? [] : [[name, object[QUOTA_NAMES[name]]]]))
