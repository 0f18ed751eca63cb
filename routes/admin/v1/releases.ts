/** /admin/v1/releases: puts a released version in force while the gateway answers, and refusals of the gate on record. */
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { refusal } from '../../../src/release/refused.ts'
import { VERSION } from '../../../src/release/version-name.ts'

const config = { scope: 'admin' } as const
const tags = ['admin']
const security = [{ key: [] }]

const putBody = z.strictObject({
  version: z.string().regex(VERSION).describe('One that `parallax release` has written to the gateway\'s folder of perspectives'),
  release_sha256: z.string().regex(/^[0-9a-f]{64}$/).describe('Of its release.json: what was judged is what is put in force'),
})
const served = z.object({ perspective: z.string(), adapter: z.string().nullable(), adapter_sha256: z.string().nullable() })
const refusals = z.strictObject({ refusals: z.array(refusal).min(1).max(16) })

export default async function routes (plain: FastifyInstance): Promise<void> {
  const app = plain.withTypeProvider<ZodTypeProvider>()
  const { releases } = app.services

  app.post('/releases', {
    config,
    schema: {
      tags, security, summary: 'Put a released version in force',
      description: 'A second engine is started with its adapters and tested while nobody asks it (A-B-A); the log says what will answer (`release.accepted`, `model.loaded`, `config.changed`); then new requests meet declarations and adapters of the new version, both sides at once. What had begun ends on the old engine, which ends after it. A failure at any step leaves the old version serving. An older version is put in force in the same way.',
      body: putBody, response: { 200: z.object({ version: z.string(), switched: z.boolean().describe('False: it was in force already'), perspectives: z.array(served) }) },
    },
  }, async (request) => {
    const { version, release_sha256: sha256 } = request.body
    const done = await releases.put(version, sha256, request.caller!.key)
    return { version: done.version, switched: done.switched, perspectives: done.perspectives.map(({ adapterSha256, ...one }) => ({ ...one, adapter_sha256: adapterSha256 })) }
  })

  app.post('/releases/refusals', {
    config,
    schema: { tags, security, summary: 'Put refusals of the gate on record', description: 'As `release.refused`. From then on this gateway puts no version in force that holds what was refused.', body: refusals, response: { 201: z.object({ recorded: z.int() }) } },
  }, async (request, reply) => {
    await releases.refuse(request.body.refusals, request.caller!.key)
    return reply.code(201).send({ recorded: request.body.refusals.length })
  })
}
