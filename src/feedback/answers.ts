/** The answers that somebody may judge, looked up in the log: their own, ended whole, with their transcripts still there. */
import type { AuditLog } from '../audit/log.ts'
import { ParallaxError } from '../errors.ts'
import type { Answer, Named } from './feedback.ts'

export type Records = Pick<AuditLog, 'record' | 'endsOf'>

interface Begin { readonly type: string, readonly tenant?: string, readonly choices?: number }
interface End { readonly type: string, readonly choice?: number, readonly status: string, readonly finish?: readonly string[], readonly perspective: { readonly id: string } | null, readonly adapter_sha256?: string | null }

const OPEN_RETRY_SECONDS = 5

/** `member`: where the caller said which choice. Throws `record_not_found` (another tenant's is as absent as one that never was), `record_open`, `invalid_request`. */
export async function answerOf (log: Records, tenant: string, { record, choice: named }: Named, member: 'choice' | 'preferred' | 'over' = 'choice'): Promise<Answer> {
  const found = await log.record(record)
  const begin = found && JSON.parse(found.leaf) as Begin
  if (!found || begin?.type !== 'completion.begin' || begin.tenant !== tenant) throw new ParallaxError('record_not_found', `There is no answer ${record} of yours in this log. Take the id from "audit.record" of the answer, or from its header X-Audit-Record.`, { param: 'record' })
  if (found.payload.state !== 'present') throw new ParallaxError('record_not_found', `The transcript of ${record} is ${found.payload.state}: there is nothing left that could be judged.`, { param: 'record' })
  const ends = (await log.endsOf(record)).map(({ leaf }) => JSON.parse(leaf) as End).filter(({ type }) => type === 'completion.end')
  const voices = begin.choices ?? 1
  const choice = named ?? 0
  // one voice may give several choices, all of them in its one end
  const end = voices > 1 ? ends.find((one) => (one.choice ?? 0) === choice) : ends[0]
  const choices = voices > 1 ? voices : Math.max(1, end?.finish?.length ?? 1)
  // never one of them by itself: it would be the same side every time
  if (named === null && choices > 1) throw whichOf(record, choices, member)
  if (!end && choice < voices) throw new ParallaxError('record_open', `The answer ${record} is still being given. Judge it when it has ended.`, { param: 'record', retryAfter: OPEN_RETRY_SECONDS })
  if (!end || choice >= choices) throw new ParallaxError('invalid_request', `The answer ${record} has ${choices === 1 ? 'one choice, 0' : `the choices 0 to ${choices - 1}`}; "${member}" names ${choice}.`, { param: member })
  if (end.status !== 'complete') throw new ParallaxError('invalid_request', `Choice ${choice} of ${record} did not come to its end (${end.status}). Only whole answers are judged, for only they can be compared.`, { param: 'record' })
  return { record, choice, index: found.index, perspective: end.perspective?.id ?? 'unknown', adapterSha256: end.adapter_sha256 ?? null }
}

const whichOf = (record: string, choices: number, member: string): ParallaxError =>
  new ParallaxError('invalid_request', `The answer ${record} has the choices 0 to ${choices - 1}: say with "choice" which of them is meant.`, { param: member })
