/** What both stores share: keys without limits, which no store is asked about, and the counts of refusals. */
import { QUOTAS, type Quota } from '../quota.ts'
import type { Admission, RefusedBy } from './limits.ts'

export const isUnlimited = (quota: Quota): boolean => QUOTAS.every((name) => quota[name] === null)

export const UNCOUNTED: Admission = Object.freeze({ headers: Object.freeze({}), settle: () => {} })

export const nothingRefused = (): Record<RefusedBy, number> => ({ requests: 0, tokens: 0, streams: 0, tokens_day: 0, too_large: 0, unavailable: 0 })
