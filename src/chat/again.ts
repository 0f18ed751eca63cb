/**
 * The first answer again, to whoever repeats an Idempotency-Key: the same bytes with the same receipt, under a record of its own that names the
 * first. Knows nothing of how keys are claimed.
 */
import { Readable } from 'node:stream'
import type { AuditLog } from '../audit/log.ts'
import type { Disclosure, DisclosureMember } from '../disclosure/disclose.ts'
import type { KeptReply } from '../idempotency/idempotency.ts'
import type { ChatReply, Told } from './answer.ts'
import { beginLeaf, endFields, type BeginFacts } from './exchange.ts'

/** A disclosure as it is kept: its date is the one of the first answer. */
export interface KeptDisclosure {
  readonly asked: string
  readonly byModel: boolean
  readonly model: string
  readonly member: DisclosureMember
  readonly headers: Readonly<Record<string, string>>
  readonly ai: string
}

export const keptDisclosure = ({ model, member, headers, aiDisclosure }: Disclosure, asked: string, byModel: boolean): KeptDisclosure =>
  ({ asked, byModel, model, member, headers, ai: aiDisclosure(new Date()) })

export interface Again {
  readonly reply: KeptReply
  readonly audit: AuditLog
  readonly facts: Omit<BeginFacts, 'disclosure' | 'voices' | 'route' | 'ruling'>
  /** The request as received. */
  readonly raw: Uint8Array
  readonly told: Told
}

/** Resolves when both records are durable; rejects with `audit_unavailable`. */
export async function answerAgain ({ reply, audit, facts, raw, told }: Again): Promise<ChatReply> {
  const { asked, byModel, ai, ...kept } = reply.about as KeptDisclosure
  const disclosure: Disclosure = { ...kept, aiDisclosure: () => ai }
  told.disclosure = disclosure
  told.byModel = byModel
  told.replayed = true
  told.tokens = [0, 0]
  // nothing leaves before its end: one commit for both records
  const exchange = audit.open(beginLeaf({ ...facts, route: asked, disclosure, voices: 1, ruling: null }, raw), { deferMs: 250 })
  told.record = exchange.record
  await exchange.end({ status: 'complete', answer: Buffer.from(reply.body), fields: { ...endFields({ disclosure, tokens: [0, 0], finish: [], source: null }), again: reply.record } })
  return reply.kind === 'json' ? { kind: 'json', text: reply.body } : { kind: 'stream', stream: Readable.from([Buffer.from(reply.body)]) }
}
