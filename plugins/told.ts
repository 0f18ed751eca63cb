/** Gives every request the slip on which the chat notes what its reply has to say, and its raw body. */
import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'
import type { Told } from '../src/chat/answer.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Null on routes that answer nothing of a model's. */
    told: Told | null
    /** The body as received; null where none was read. */
    rawBody: Buffer | null
  }
  interface FastifyContextConfig {
    /** Answers come from models: disclosure headers on every reply. */
    disclosed?: boolean
    /** A refusal to an authenticated caller is a leaf of the log. */
    recorded?: boolean
  }
}

export default plugin(async (app: FastifyInstance) => {
  app.decorateRequest('told', null)
  app.decorateRequest('rawBody', null)
  app.addHook('onRequest', (request, _reply, done) => {
    if (request.routeOptions.config.disclosed) request.told = {}
    done()
  })
}, { name: 'told' })
