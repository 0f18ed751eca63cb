/** /v1/feedback: what people say of answers. Parse, call one function, reply. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { CONSENT } from '../../src/feedback/consent.ts'
import type { Speaker } from '../../src/feedback/feedback.ts'
import { feedbackBody, feedbackObject, fromWire, PAGE, toWire } from '../../src/feedback/wire.ts'
import { queryOf, wholeNumber } from '../../src/query.ts'

const config = { scope: 'app' } as const
const tags = ['feedback']
const security = [{ key: [] }]

const receipt = z.object({ record: z.string(), index: z.int(), leaf_hash: z.string(), origin: z.string(), proof: z.string() })

/** plugins/auth lets nobody in here without a key. */
const speakerOf = ({ caller, id }: FastifyRequest): Speaker => ({ tenant: caller!.tenant, key: caller!.key, request: id })
const owned = (reply: FastifyReply): FastifyReply => reply.header('cache-control', 'private, no-store')

export default async function routes (plain: FastifyInstance): Promise<void> {
  const app = plain.withTypeProvider<ZodTypeProvider>()
  const { feedback, limits, audit } = app.services

  /** Each is a leaf and a row: counted like a question, so that one key cannot fill the store. */
  async function admitted (request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const { key, quota } = request.caller!
    const admission = await limits.admit({ key, quota, tokens: 0, stream: false })
    reply.headers(admission.headers)
    void admission.settle(0)
  }

  app.post('/feedback', {
    config,
    schema: {
      tags, security, summary: 'Rate an answer, or say which of two is better',
      description: 'About answers of one\'s own tenant that have ended: {"record", "rating"}; {"record", "preferred": 0, "over": 1} within one record, such as the two sides of "both"; or {"preferred": {"record"}, "over": {"record"}} across two. The newest of a key about the same thing takes the older one\'s place. It trains nothing without "consent". On record before the reply; the log holds a commitment and no text.',
      body: feedbackBody,
      response: { 201: feedbackObject.extend({ audit: receipt }) },
    },
  }, async (request, reply) => {
    await admitted(request, reply)
    const { receipt: { record, index, leaf_hash }, ...given } = await feedback.give(fromWire(request.body), speakerOf(request))
    owned(reply).header('x-audit-record', record)
    return reply.code(201).send({ ...toWire(given), audit: { record, index, leaf_hash, origin: audit.tree.origin, proof: `/audit/v1/log/proof/${index}` } })
  })

  app.get('/feedback', {
    config,
    schema: {
      tags, security, summary: 'What was said by one\'s own tenant', description: 'Newest first. Go on with "after" set to "next".',
      querystring: queryOf({ after: z.uuid().toLowerCase().optional(), limit: wholeNumber().min(1).max(PAGE).default(20) }),
      response: { 200: z.object({ object: z.literal('list'), data: z.array(feedbackObject), has_more: z.boolean(), next: z.string().nullable() }) },
    },
  }, async (request, reply) => {
    const { after, limit } = request.query
    const found = await feedback.list(request.caller!.tenant, { after, limit: limit + 1 })
    const data = found.slice(0, limit).map(toWire)
    owned(reply)
    return { object: 'list' as const, data, has_more: found.length > limit, next: found.length > limit ? data.at(-1)!.id : null }
  })

  app.delete('/feedback/:id', {
    config,
    schema: {
      tags, security, summary: 'Withdraw what was said', description: 'The row and its comment are removed, and no later training uses it. That it was withdrawn is on record.',
      params: z.object({ id: z.uuid().toLowerCase() }),
      response: { 200: z.object({ id: z.string(), object: z.literal('feedback.deleted'), deleted: z.literal(true) }) },
    },
  }, async (request, reply) => {
    await admitted(request, reply)
    await feedback.withdraw(request.params.id, speakerOf(request))
    return { id: request.params.id, object: 'feedback.deleted' as const, deleted: true as const }
  })

  app.get('/feedback/consent', {
    config: { public: true },
    schema: { tags, summary: 'The text of consent', description: 'To be shown to whoever is asked for consent, before "consent": true is sent.', response: { 200: z.object({ version: z.string(), text: z.string() }) } },
  }, async () => CONSENT)
}
