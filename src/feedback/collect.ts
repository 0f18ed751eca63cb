/** Takes what people say of answers, keeps it beside the log and lets go of it with the log. Knows a FeedbackStore and the log's interface. */
import type { AuditLog, Json, LeafDraft, Receipt } from '../audit/log.ts'
import { commitment, freshSalt } from '../audit/record.ts'
import { ParallaxError } from '../errors.ts'
import { newId } from '../ids.ts'
import { answerOf } from './answers.ts'
import { answersOf, type Answer, type Feedback, type FeedbackStore, type Given, type Named, type Saying, type Speaker } from './feedback.ts'
import { contentOf } from './wire.ts'

export interface FeedbackRooms {
  readonly store: FeedbackStore
  readonly audit: Pick<AuditLog, 'append' | 'record' | 'endsOf' | 'size' | 'stream' | 'transcripts'>
  readonly clock?: () => number
  readonly everyMs?: number
  readonly onError?: (error: unknown) => void
}

const PAGE = 500
const RETRY_SECONDS = 5
/** What another gateway took away and could not finish, before it died. */
const EVERY_MS = 3_600_000

const nameOf = ({ record, choice }: Answer): string => `${record} ${choice}`
/** What is judged; of two answers, whichever way round. */
const thingOf = (said: Saying<Answer>): string => said.kind === 'rating' ? `rating ${nameOf(said.about)}` : `choice ${[said.preferred, said.over].map(nameOf).sort().join(' ')}`

const recordsOf = (said: Saying<Answer>): string[] => [...new Set(answersOf(said).map(({ record }) => record))]

const isGone = (state: string | undefined): boolean => state === 'erased' || state === 'expired'

export function makeFeedback ({ store, audit, clock = Date.now, everyMs = EVERY_MS, onError = () => {} }: FeedbackRooms): Feedback {
  const told = { good: 0, bad: 0, choice: 0, withdrawn: 0 }

  async function kept<T> (work: () => Promise<T>): Promise<T> {
    try { return await work() } catch (cause) {
      if (cause instanceof ParallaxError) throw cause
      throw new ParallaxError('audit_unavailable', 'Feedback cannot be kept or read now. See /readyz for the reason.', { cause, retryAfter: RETRY_SECONDS })
    }
  }

  async function append (by: Speaker, fields: Record<string, Json | undefined>, id = newId()): Promise<Receipt> {
    const draft: LeafDraft = { type: 'feedback', id, key: by.key, fields: { tenant: by.tenant, request: by.request, ...fields } }
    return (await audit.append([draft]))[0]!
  }

  async function refuseHeld (old: Given, doing: string): Promise<void> {
    const [held] = await audit.transcripts.held(recordsOf(old.said))
    if (held) throw new ParallaxError('record_held', `The record ${held[0]} is under the hold "${held[1]}", and what was said of it cannot be ${doing}. The operator can say more.`)
  }

  async function answered (tenant: string, said: Saying<Named>): Promise<Saying<Answer>> {
    if (said.kind === 'rating') return { ...said, about: await answerOf(audit, tenant, said.about) }
    const [preferred, over] = [await answerOf(audit, tenant, said.preferred, 'preferred'), await answerOf(audit, tenant, said.over, 'over')]
    if (nameOf(preferred) === nameOf(over)) throw new ParallaxError('invalid_request', '"over": wanted another answer than "preferred"', { param: 'over' })
    return { ...said, preferred, over }
  }

  /** Lets go of what of these is about a transcript that is gone; true where something was. */
  async function release (some: readonly Given[]): Promise<boolean> {
    const states = new Map<string, boolean>()
    for (const record of new Set(some.flatMap(({ said }) => recordsOf(said)))) states.set(record, isGone((await audit.record(record))?.payload.state))
    const gone = some.filter(({ said }) => recordsOf(said).some((record) => states.get(record)))
    if (gone.length > 0) await store.remove(gone.map(({ id }) => id))
    return gone.length > 0
  }

  /** A log that stands behind what was followed, at a start, was set back: then nothing of it is known. Later it is a gateway that has not heard yet. */
  let started = false
  async function followOn (): Promise<void> {
    const [seen, size] = [await store.followed(), audit.size()]
    const from = !started && size < seen ? 0 : seen
    started = true
    if (size <= from) return
    const leaves = { afterIndex: from - 1, asOf: size }
    for await (const { leaf } of audit.stream({ ...leaves, type: 'erasure' })) await release(await store.about((JSON.parse(leaf) as { records: string[] }).records))
    for await (const { leaf } of audit.stream({ ...leaves, type: 'payload.expired' })) {
      const { from: first, before } = JSON.parse(leaf) as { from: number, before: number }
      await release(await store.between(first, before))
    }
    await store.followedTo(size, seen)
  }

  /** One after the other: who waits for it waits for what was in the log when it asked. */
  let last: Promise<void> = Promise.resolve()
  const follow = (): Promise<void> => {
    const mine = last.then(() => kept(followOn))
    last = mine.catch(() => {})
    return mine
  }
  const timer = setInterval(() => { follow().catch(onError) }, everyMs)
  timer.unref()
  follow().catch(onError)

  return {
    told, follow,
    give: (saying, by) => kept(async () => {
      const said = await answered(by.tenant, saying)
      const thing = thingOf(said)
      const old = await store.same(by.key, thing)
      if (old) await refuseHeld(old, 'replaced')
      const given: Given = { id: newId(), tenant: by.tenant, key: by.key, at: clock(), salt: freshSalt(), said }
      const receipt = await append(by, {
        event: 'given', kind: said.kind, records: recordsOf(said), choices: answersOf(said).map(({ choice }) => choice),
        consent: said.consent, consent_version: said.consentVersion ?? undefined,
        content_commit: commitment(given.salt, given.id, contentOf(said)), replaces: old?.id,
      }, given.id)
      await store.put(given, thing)
      // an erasure that came in between has looked before it was there
      if (await release([given])) throw new ParallaxError('record_not_found', 'What you judged was erased meanwhile, and what you said of it with it.', { param: 'record' })
      told[said.kind === 'rating' ? said.rating : 'choice']++
      return { ...given, receipt }
    }),
    list: (tenant, { after = null, limit }) => kept(() => store.ofTenant(tenant, after, limit)),
    withdraw: (id, by) => kept(async () => {
      const old = await store.byId(id)
      // another tenant's is as absent as one that never was
      if (old?.tenant !== by.tenant) throw new ParallaxError('not_found', `There is no feedback ${id} of yours. GET /v1/feedback lists what there is; what was said anew about the same thing has a new id.`, { param: 'id' })
      await refuseHeld(old, 'withdrawn')
      await append(by, { event: 'withdrawn', feedback: id, records: recordsOf(old.said) })
      await store.remove([id])
      told.withdrawn++
    }),
    async * everything (consent) {
      for (let after: string | null = null; ;) {
        const some: Given[] = await kept(() => store.all(after, PAGE, consent))
        if (some.length === 0) return
        yield * some
        after = some.at(-1)!.id
      }
    },
    counts: () => kept(() => store.counts()),
    async close () {
      clearInterval(timer)
      await last
      await store.close()
    },
  }
}
