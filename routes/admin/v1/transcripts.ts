/** /admin/v1: what becomes of transcripts. Erasure, legal holds, expiry, and the keys that they are sealed under. Shows none of them. */
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { erasureBody, erasureObject, expiryBody, expiryObject, holdBody, holdObject, holdToWire, reasonBody, rotationObject, scopeOf, whoseOf } from '../../../src/retention/wire.ts'

const config = { scope: 'admin' } as const
const tags = ['admin']
const security = [{ key: [] }]

export default async function transcripts (plain: FastifyInstance): Promise<void> {
  const app = plain.withTypeProvider<ZodTypeProvider>()
  const { retention, audit } = app.services

  app.post('/erasures', {
    config,
    schema: {
      tags, security, summary: 'Erase transcripts',
      description: 'Of one exchange, or of everything that one end user of a tenant asked. Keys, bytes and salts are destroyed, also in the journal and in the cache; the leaves stay, so that the tree still holds, and an `erasure` record says what was done. It cannot be undone. Backups made before still hold the transcripts until the key-encryption key of that time is destroyed.',
      body: erasureBody, response: { 200: erasureObject },
    },
  }, async (request) => {
    const { leaves, held, open, records } = await retention.erase(whoseOf(request.body), { by: request.caller!.key, reason: request.body.reason })
    return { leaves: [...leaves], held: [...held], open: [...open], records }
  })

  app.get('/holds', {
    config,
    schema: { tags, security, summary: 'List legal holds', response: { 200: z.object({ holds: z.array(holdObject) }) } },
  }, async () => ({ holds: (await retention.holds()).map(holdToWire) }))

  app.post('/holds', {
    config,
    schema: {
      tags, security, summary: 'Set a legal hold',
      description: 'What it covers is neither erased nor expired until it is lifted: some records, a tenant, one end user, or all. On record.',
      body: holdBody, response: { 201: holdObject },
    },
  }, async (request, reply) => {
    const { name, reason } = request.body
    await retention.hold(name, scopeOf(request.body), { by: request.caller!.key, reason })
    return reply.code(201).send(holdToWire((await retention.holds()).find((hold) => hold.name === name)!))
  })

  app.post('/holds/:name/lift', {
    config,
    schema: {
      tags, security, summary: 'Lift a legal hold', description: 'What is past its time expires with the next round.',
      params: z.object({ name: z.string().max(60) }), body: reasonBody, response: { 200: z.object({ name: z.string() }) },
    },
  }, async (request) => {
    await retention.lift(request.params.name, { by: request.caller!.key, reason: request.body.reason })
    return { name: request.params.name }
  })

  app.post('/expiry', {
    config,
    schema: {
      tags, security, summary: 'Let old transcripts expire now', description: 'As the gateway does by itself every hour.',
      body: expiryBody, response: { 200: expiryObject },
    },
  }, async (request) => {
    const { leaves, transcripts: count } = await retention.expire(request.body.days)
    return { leaves: [...leaves], transcripts: count }
  })

  app.get('/sealing', {
    config,
    schema: { tags, security, summary: 'The keys that transcripts are sealed under', description: 'Ids only, the current one first. More than one: a rotation is under way.', response: { 200: z.object({ keks: z.array(z.string()) }) } },
  }, async () => ({ keks: [...(await audit.sealing()).keks] }))

  app.post('/sealing/rotate', {
    config,
    schema: {
      tags, security, summary: 'Rotate the key-encryption key',
      description: 'Makes a new one and brings every record\'s key under it, while the gateway goes on. Backups made before open only with the old one.',
      response: { 200: rotationObject },
    },
  }, async () => {
    const { from, ...rest } = await audit.rotateKek()
    return { from: [...from], ...rest }
  })
}
