/** Puts the disclosure on whatever leaves a disclosed route, errors and broken answers included. */
import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'
import { NO_MODEL } from '../src/disclosure/disclose.ts'

export default plugin(async (app: FastifyInstance) => {
  app.addHook('onSend', (request, reply, payload, done) => {
    reply.header('x-request-id', request.id)
    reply.header('x-content-type-options', 'nosniff')
    const { told } = request
    if (told) {
      const { disclosure } = told
      reply.header('cache-control', 'no-store')
      if (disclosure) reply.headers(disclosure.headers)
      // an error is not a model's words, even where a model was asked
      reply.header('ai-disclosure', disclosure && told.byModel && reply.statusCode === 200 ? disclosure.aiDisclosure(new Date()) : NO_MODEL)
      if (told.record) reply.header('x-audit-record', told.record)
      if (told.replayed) reply.header('idempotency-replayed', 'true')
      if (told.limitHeaders) reply.headers(told.limitHeaders)
      if (told.cacheStatus) reply.header('cache-status', told.cacheStatus)
    }
    done(null, payload)
  })
}, { name: 'disclosure', dependencies: ['told'] })
