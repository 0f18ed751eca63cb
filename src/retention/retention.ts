/**
 * What becomes of transcripts: erased when somebody asks for it, expired when they are old, kept while a hold says so. The rules and the
 * leaves that tell of them; the doing is the log's. Knows nothing of HTTP.
 */
import type { AuditLog, Hold, HoldScope, LeafDraft, Owner } from '../audit/log.ts'
import type { Cache } from '../cache/cache.ts'
import { ParallaxError } from '../errors.ts'
import type { Feedback } from '../feedback/feedback.ts'
import type { Idempotency } from '../idempotency/idempotency.ts'
import { newId } from '../ids.ts'

/** Which transcripts: of one exchange, or of everything that one end user of a tenant ever asked. */
export type Whose = { readonly record: string } | Required<Owner>

export interface Erasure {
  /** Ids of the `erasure` leaves. */
  readonly leaves: readonly string[]
  /** Records whose transcripts are gone. */
  readonly records: number
  /** Kept all the same, and by which hold. */
  readonly held: readonly { readonly record: string, readonly hold: string }[]
  /** Still being answered: to be asked for again. */
  readonly open: readonly string[]
}

/** Who does it (a key's pseudonym) and why, as the leaf will say for ever: nothing personal belongs in a reason. */
export interface Cause { readonly by: string | null, readonly reason: string }

export interface Retention {
  /** Throws `record_not_found`, `record_held`, `record_open` for a single record; of an end user it tells what was left. */
  erase (whose: Whose, cause: Cause): Promise<Erasure>
  /** Throws `invalid_request` where the name is taken. */
  hold (name: string, scope: HoldScope, cause: Cause): Promise<void>
  /** Throws `not_found` where there is no such hold. */
  lift (name: string, cause: Cause): Promise<void>
  holds (): Promise<Hold[]>
  /** Lets everything expire that is older than `days`, or than the configured number. */
  expire (days?: number): Promise<{ readonly leaves: readonly string[], readonly transcripts: number }>
  close (): Promise<void>
}

export interface RetentionRooms {
  readonly audit: Pick<AuditLog, 'append' | 'record' | 'endsOf' | 'transcripts' | 'onErased'>
  readonly cache: Pick<Cache, 'forget'> | null
  /** Answers kept for whoever comes again. */
  readonly idempotency?: Pick<Idempotency, 'forget'>
  /** What people said of answers. */
  readonly feedback?: Pick<Feedback, 'follow'>
  /** null: transcripts never expire. */
  readonly days: number | null
  readonly everyMs?: number
  readonly clock?: () => number
  readonly onError?: (error: unknown) => void
}

const DAY_MS = 86_400_000
const EVERY_MS = 3_600_000
/** Records that one leaf names: some 20 KB of the 64 that a leaf may have. */
const RECORDS_A_LEAF = 500

export function makeRetention ({ audit, cache, idempotency, feedback, days, everyMs = EVERY_MS, clock = Date.now, onError = () => {} }: RetentionRooms): Retention {
  /** One change at a time: a hold that was promised must not be overtaken by an erasure that looked before it. */
  let last: Promise<unknown> = Promise.resolve()
  function inTurn<T> (work: () => Promise<T>): Promise<T> {
    const mine = last.then(work)
    last = mine.catch(() => {})
    return mine
  }

  const leaf = (type: LeafDraft['type'], { by, reason }: Cause, fields: LeafDraft['fields'], effect: LeafDraft['effect']): LeafDraft =>
    ({ type, id: newId(), key: by, fields: { reason, ...fields }, ...(effect && { effect }) })

  /** Cached and kept answers are copies of what was erased. */
  async function forget (records: readonly string[]): Promise<void> {
    if (cache) await cache.forget(new Set((await Promise.all(records.map((record) => audit.endsOf(record)))).flat().map((end) => end.id)))
    await idempotency?.forget(new Set(records))
  }
  audit.onErased((records) => { forget(records).catch(onError) })

  async function eraseAll (records: readonly string[], cause: Cause): Promise<Erasure> {
    const [held, open] = [await audit.transcripts.held(records), await audit.transcripts.open(records)]
    const gone = records.filter((record) => !held.has(record) && !open.has(record))
    const leaves: string[] = []
    let kept = 0
    for (let at = 0; at < gone.length; at += RECORDS_A_LEAF) {
      const some = gone.slice(at, at + RECORDS_A_LEAF)
      const draft = leaf('erasure', cause, { records: some }, { erase: some })
      await audit.append([draft])
      leaves.push(draft.id)
      await forget(some)
      await feedback?.follow()
      // another gateway's hold may have come between the look and the leaf, and the store kept to it
      for (const [record, hold] of await audit.transcripts.held(some)) {
        held.set(record, hold)
        kept++
      }
    }
    return { leaves, records: gone.length - kept, held: [...held].map(([record, hold]) => ({ record, hold })), open: [...open] }
  }

  /** The record by any of its ids: an end stands for its exchange. */
  async function rootOf (id: string): Promise<string> {
    const found = await audit.record(id)
    if (!found || found.payload.state === 'none') throw new ParallaxError('record_not_found', `There is no record ${id} with a transcript in this log.`)
    const { type, begin } = JSON.parse(found.leaf) as { type: string, begin?: string }
    return type === 'completion.end' && begin !== undefined ? begin : found.id
  }

  async function eraseOne (id: string, cause: Cause): Promise<Erasure> {
    const record = await rootOf(id)
    const done = await eraseAll([record], cause)
    const [held] = done.held
    if (held) throw new ParallaxError('record_held', `The record ${record} is under the hold "${held.hold}" and was not erased. Lift the hold first, if that is lawful.`)
    if (done.open.length > 0) throw new ParallaxError('record_open', `The record ${record} is still being answered. Erase it when it has ended.`, { retryAfter: 10 })
    return done
  }

  async function eraseUser (owner: Required<Owner>, cause: Cause): Promise<Erasure> {
    const total = { leaves: [] as string[], records: 0, held: [] as { record: string, hold: string }[], open: [] as string[] }
    for (let after = -1; ;) {
      const some = await audit.transcripts.ofUser(owner, RECORDS_A_LEAF, after)
      if (some.length === 0) return total
      after = some.at(-1)!.index
      const done = await eraseAll(some.map((one) => one.record), cause)
      total.leaves.push(...done.leaves)
      total.records += done.records
      total.held.push(...done.held)
      total.open.push(...done.open)
    }
  }

  async function expire (olderThan: number): ReturnType<Retention['expire']> {
    const leaves: string[] = []
    let transcripts = 0
    for (;;) {
      const next = await audit.transcripts.expirable(olderThan)
      if (!next) {
        await feedback?.follow()
        return { leaves, transcripts }
      }
      const { from, before, count } = next
      const draft: LeafDraft = { type: 'payload.expired', id: newId(), key: null, fields: { from, before, transcripts: count, older_than: olderThan }, effect: { expire: { from, before } } }
      await audit.append([draft])
      leaves.push(draft.id)
      transcripts += count
    }
  }

  const retention: Retention = {
    erase: (whose, cause) => inTurn(() => 'record' in whose ? eraseOne(whose.record, cause) : eraseUser(whose, cause)),
    hold: (name, scope, cause) => inTurn(async () => {
      if ((await audit.transcripts.holds()).some((hold) => hold.name === name)) throw new ParallaxError('invalid_request', `There is a hold "${name}" already. Take another name, or lift that one first.`, { param: 'name' })
      const kept = 'records' in scope ? { ...scope, records: await Promise.all(scope.records.map(rootOf)) } : scope
      // the end user's name stays out of the leaf, which cannot be erased
      const told = 'tenant' in kept ? { tenant: kept.tenant, ...(kept.user !== undefined && { end_user: true }) } : kept
      await audit.append([leaf('hold.set', cause, { name, scope: told }, { hold: { name, scope: kept } })])
    }),
    lift: (name, cause) => inTurn(async () => {
      if (!(await audit.transcripts.holds()).some((hold) => hold.name === name)) throw new ParallaxError('not_found', `There is no hold "${name}".`, { param: 'name' })
      await audit.append([leaf('hold.lifted', cause, { name }, { lift: name })])
    }),
    holds: () => audit.transcripts.holds(),
    expire: (wanted) => inTurn(async () => {
      const after = wanted ?? days
      return after === null ? { leaves: [], transcripts: 0 } : expire(clock() - after * DAY_MS)
    }),
    async close () {
      clearInterval(timer)
      await last
    },
  }
  const timer = days === null ? undefined : setInterval(() => { retention.expire().catch(onError) }, everyMs)
  timer?.unref()
  return retention
}
