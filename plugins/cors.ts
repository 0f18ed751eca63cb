/** Lets pages of the configured origins call the API and read its disclosure. No origin configured: no CORS at all. */
import cors from '@fastify/cors'
import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'
import { DISCLOSURE_HEADERS } from '../src/disclosure/disclose.ts'
import { LIMIT_HEADERS } from '../src/limits/headers.ts'

const REQUEST_HEADERS = ['X-Request-Id', 'X-Should-Retry', 'Idempotency-Replayed']

export default plugin(async (app: FastifyInstance) => {
  const { corsOrigins } = app.services.config
  if (corsOrigins.length === 0) return
  await app.register(cors, {
    origin: corsOrigins.includes('*') ? '*' : [...corsOrigins],
    methods: ['GET', 'POST', 'DELETE'],
    // by name: "*" would not cover requests that carry credentials
    exposedHeaders: [...DISCLOSURE_HEADERS, ...LIMIT_HEADERS, ...REQUEST_HEADERS],
    maxAge: 600,
  })
}, { name: 'cors' })
