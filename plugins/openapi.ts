/** Writes the promise: OpenAPI from the routes' own schemas, shown at /docs. */
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'
import { jsonSchemaTransform } from 'fastify-type-provider-zod'

const DOCS_PREFIX = '/docs'

export default plugin(async (app: FastifyInstance) => {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Parallax',
        version: '1.0.0',
        description: 'OpenAI-compatible answers from openly disclosed ideological fine-tunes of one base model. Every answer says who spoke and how it leans, and is on record.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      tags: [
        { name: 'chat', description: 'Answers from a perspective' },
        { name: 'perspectives', description: 'What can be asked for' },
        { name: 'policy', description: 'What no perspective serves' },
        { name: 'audit', description: 'The record, for auditors' },
        { name: 'admin', description: 'Keys' },
        { name: 'operations', description: 'Health and metrics' },
      ],
      components: { securitySchemes: { key: { type: 'http', scheme: 'bearer', description: 'An API key, plx_…' } } },
    },
    transform: jsonSchemaTransform,
  })
  await app.register(swaggerUi, { routePrefix: DOCS_PREFIX, staticCSP: true })
}, { name: 'openapi', dependencies: ['auth'] })
