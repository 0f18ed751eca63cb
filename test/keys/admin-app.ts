/** A gateway of nothing but routes/admin: callers by pseudonym and scope in a header, or the control socket's. */
import { Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import autoload from '@fastify/autoload'
import swagger from '@fastify/swagger'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import { jsonSchemaTransform, serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod'
import { isControl } from '../../src/control.ts'
import { ParallaxError } from '../../src/errors.ts'
import { LOCAL_ADMIN } from '../../src/keys/keys.ts'
import type { Caller, KeyStore } from '../../src/keys/keys.ts'
import { loadPerspectives } from '../../src/perspectives/registry.ts'

export const ADMIN: Caller = { ...LOCAL_ADMIN, key: 'k_ad0000000000' }

export interface AdminApp { readonly app: FastifyInstance, readonly logged: string[] }

export async function adminApp (keys: KeyStore): Promise<AdminApp> {
  const logged: string[] = []
  const stream = new Writable({ write: (line, _, done) => { logged.push(String(line)); done() } })
  const app = Fastify({ logger: { level: 'warn', stream } }).setValidatorCompiler(validatorCompiler).setSerializerCompiler(serializerCompiler)
  app.decorate('services', { keys, perspectives: loadPerspectives([fileURLToPath(new URL('../fixtures/perspectives', import.meta.url))]) } as never)
  app.decorateRequest('caller', null)
  app.addHook('onRequest', async (request) => {
    if (request.routeOptions.config.scope !== 'admin') throw new Error(`${request.url} does not say that it is for administrators`)
    request.caller = isControl(request.raw) ? LOCAL_ADMIN : ADMIN
  })
  app.setErrorHandler((error: Error & { validation?: unknown }, _request, reply) => {
    const status = error instanceof ParallaxError ? error.statusCode : error.validation ? 400 : 500
    void reply.code(status).type('application/problem+json').send({ type: 'about:blank', title: 'refused', status, detail: error.message })
  })
  await app.register(swagger, { openapi: { openapi: '3.1.0', info: { title: 'admin', version: '0' } }, transform: jsonSchemaTransform })
  await app.register(autoload, { dir: fileURLToPath(new URL('../../routes', import.meta.url)), forceESM: true, routeParams: true, matchFilter: (path: string) => path.endsWith('/admin/v1/keys.ts') })
  await app.ready()
  return { app: app as unknown as FastifyInstance, logged }
}
