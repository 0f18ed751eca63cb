/** What the owner of an exchange needs to hold its receipt against the log: the leaves, their salts and their proofs. */
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { StoredRecord } from '../../../src/audit/log.ts'
import { ParallaxError } from '../../../src/errors.ts'

const leaf = z.object({
  record: z.string(), index: z.number(),
  leaf: z.string().describe('The exact bytes of the leaf'), leaf_hash: z.string(),
  salt: z.string().nullable().describe('base64; with it the commitment in the leaf can be recomputed: SHA-256(salt, record id, bytes)'),
  proof: z.string().describe('C2SP tlog-proof against the newest checkpoint'),
})

export default async function receipts (plain: FastifyInstance): Promise<void> {
  const app = plain.withTypeProvider<ZodTypeProvider>()
  const { audit } = app.services

  const describe = async ({ id, index, leaf: bytes, leaf_hash, payload }: StoredRecord): Promise<z.infer<typeof leaf>> => ({
    record: id, index, leaf: bytes, leaf_hash,
    salt: payload.state === 'present' ? Buffer.from(payload.salt).toString('base64') : null,
    proof: (await audit.tree.proof(index))!,
  })

  app.get('/receipts/:record', {
    config: { scope: 'app' },
    schema: {
      tags: ['audit'], security: [{ key: [] }], summary: 'The receipt of one\'s own exchange',
      description: 'By the id in X-Audit-Record. Others\' exchanges are not found. Keep it: it can be checked without this gateway.',
      params: z.object({ record: z.uuid().toLowerCase() }),
      response: { 200: z.object({ origin: z.string(), verifier: z.string(), begin: leaf, ends: z.array(leaf) }) },
    },
  }, async (request, reply) => {
    const found = await audit.record(request.params.record)
    // another tenant's record is as absent as one that never was
    if (!found || (JSON.parse(found.leaf) as { tenant?: string }).tenant !== request.caller!.tenant) throw new ParallaxError('record_not_found', `There is no record ${request.params.record} of yours in this log.`)
    reply.header('cache-control', 'private, no-store')
    return { origin: audit.tree.origin, verifier: audit.tree.verifier, begin: await describe(found), ends: await Promise.all((await audit.endsOf(found.id)).map(describe)) }
  })
}
