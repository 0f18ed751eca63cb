/** /admin/v1/feedback: how much each key has said, and the rows for training. No word of anybody's: texts are the auditor's to join. */
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { exportRow } from '../../../src/feedback/wire.ts'
import { newId } from '../../../src/ids.ts'
import { queryOf } from '../../../src/query.ts'

const config = { scope: 'admin' } as const
const tags = ['admin']
const security = [{ key: [] }]

const count = z.object({ key: z.string(), good: z.int(), bad: z.int(), choices: z.int(), consented: z.int() })

export default async function routes (plain: FastifyInstance): Promise<void> {
  const app = plain.withTypeProvider<ZodTypeProvider>()
  const { feedback, audit } = app.services

  app.get('/feedback', {
    config,
    schema: { tags, security, summary: 'How much each key has said', description: 'So that no key outweighs the others in training unseen. Pseudonyms, as the log shows them.', response: { 200: z.object({ keys: z.array(count) }) } },
  }, async () => ({ keys: await feedback.counts() }))

  app.get('/feedback/export', {
    config,
    schema: {
      tags, security, summary: 'Feedback for training, as NDJSON',
      description: 'One row a line, streamed, oldest first; the last line is {"manifest": {"rows": N}}, and an export without it was cut off. Rows hold the ids of records, perspectives, adapter digests, ratings, consent and the key\'s pseudonym: no question, no answer, no comment. The texts are read with an auditor\'s key. That it was read is on record.',
      querystring: queryOf({ consent: z.enum(['true', 'false']).optional().describe('Only rows with, or without, consent to train') }),
    },
  }, async (request, reply) => {
    const { consent } = request.query
    await audit.append([{ type: 'audit.read', id: newId(), key: request.caller!.key, fields: { request: request.id, read: 'feedback.export', ...(consent !== undefined && { query: { consent } }) } }])
    reply.header('cache-control', 'private, no-store').type('application/x-ndjson; charset=utf-8')
    return reply.send(Readable.from(lines(consent === undefined ? undefined : consent === 'true'), { objectMode: false }))
  })

  async function * lines (consent: boolean | undefined): AsyncGenerator<string> {
    let rows = 0
    for await (const given of feedback.everything(consent)) {
      rows++
      yield `${JSON.stringify(exportRow(given))}\n`
    }
    yield `${JSON.stringify({ manifest: { rows } })}\n`
  }
}
