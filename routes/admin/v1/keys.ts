/** /admin/v1/keys: parse, call the key store, reply. The store writes the leaves. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { ParallaxError } from '../../../src/errors.ts'
import type { Caller, KeyRecord } from '../../../src/keys/keys.ts'
import { fromWire, issuedKey, keyObject, newKeyBody, rotateBody, toWire } from '../../../src/keys/wire.ts'
import { checkDefault } from '../../../src/router/name.ts'

const config = { scope: 'admin' } as const
const tags = ['admin']
const params = z.object({ id: z.string().max(100).describe('The pseudonym of a key, `k_` and 12 hex digits.') })

/** RFC 9457, as plugins/errors makes it. Loose and by content type, so that a reply of that plugin's never fails here. */
const problem = z.looseObject({ type: z.string(), title: z.string(), status: z.int(), detail: z.string(), code: z.string() }).partial()
const failure = (description: string) => ({ description, content: { 'application/problem+json': { schema: problem } } })
const failures = {
  400: failure('The request is malformed or asks for what cannot be.'),
  401: failure('No valid key.'),
  403: failure('Not an admin key.'),
  503: failure('The audit log cannot record the change.'),
}
const missing = failure('There is no such key.')

/** plugins/auth lets nobody in here without one. */
const callerOf = (request: FastifyRequest): Caller => request.caller!

function known<T> (found: T | null, id: string): T {
  if (found === null) throw new ParallaxError('not_found', `There is no key ${JSON.stringify(id)}. GET /admin/v1/keys lists them.`, { param: 'id' })
  return found
}

/** An administrator who makes an auditor's key gives somebody, perhaps himself, the transcripts: the operator should notice. */
function warnOfAuditor (request: FastifyRequest, record: KeyRecord): void {
  if (record.scopes.includes('auditor')) request.log.warn({ key: callerOf(request).key, subject: record.id }, 'an administrator made an auditor key: its bearer can read transcripts')
}

const secretFollows = (reply: FastifyReply): FastifyReply => reply.header('cache-control', 'no-store')

export default async function adminKeys (app: FastifyInstance): Promise<void> {
  const { keys, perspectives } = app.services
  const typed = app.withTypeProvider<ZodTypeProvider>()

  typed.get('/keys', {
    config,
    schema: {
      tags, summary: 'List keys', description: 'Every key there ever was, oldest first, those revoked and expired among them. Never a secret.',
      response: { 200: z.object({ keys: z.array(keyObject) }), ...failures },
    },
  }, async () => ({ keys: keys.list().map(toWire) }))

  typed.post('/keys', {
    config,
    schema: {
      tags, summary: 'Create a key', description: 'The secret is shown in this reply and never again. The audit log records the new key before it works.',
      body: newKeyBody, response: { 201: issuedKey, ...failures },
    },
  }, async (request, reply) => {
    const { default_perspective: byDefault } = request.body
    if (byDefault) checkDefault(byDefault, perspectives)
    const { secret, record } = await keys.create(fromWire(request.body), callerOf(request).key)
    warnOfAuditor(request, record)
    return secretFollows(reply).code(201).send({ secret, key: toWire(record) })
  })

  typed.delete('/keys/:id', {
    config,
    schema: {
      tags, summary: 'Revoke a key', description: 'It stops working at once, before the audit log has recorded it; a 503 then says that the record is still owed. Revoking again changes nothing.',
      params, response: { 200: keyObject, ...failures, 404: missing },
    },
  }, async (request) => toWire(known(await keys.revoke(request.params.id, callerOf(request).key), request.params.id)))

  typed.post('/keys/:id/rotate', {
    config,
    schema: {
      tags, summary: 'Rotate a key', description: 'A new secret for the same tenant, scopes, name and lifetime. The old one works a while longer (a day, unless told otherwise).',
      params, body: rotateBody.nullish(), response: { 201: issuedKey, ...failures, 404: missing },
    },
  }, async (request, reply) => {
    const { overlap_seconds: overlap } = request.body ?? rotateBody.parse({})
    const { secret, record } = known(await keys.rotate(request.params.id, overlap, callerOf(request).key), request.params.id)
    warnOfAuditor(request, record)
    return secretFollows(reply).code(201).send({ secret, key: toWire(record) })
  })
}
