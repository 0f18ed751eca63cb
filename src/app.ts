/** Builds the Fastify app around the services: plugins, then routes. Never listens. */
import { fileURLToPath } from 'node:url'
import autoload from '@fastify/autoload'
import Fastify, { LogController, type FastifyInstance, type FastifyReply, type FastifyServerOptions } from 'fastify'
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod'
import { newId } from './ids.ts'
import { onConnectionError } from './connection-errors.ts'
import { asParallaxError, errorReply } from './replies.ts'
import type { Services } from './services.ts'

declare module 'fastify' {
  interface FastifyInstance { services: Services }
}

export interface AppOptions {
  readonly logger?: FastifyServerOptions['logger']
  readonly loggerInstance?: FastifyServerOptions['loggerInstance']
}

const folder = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

const CHECK_CONNECTIONS_MS = 500

/** Longest URL parameter: ids are UUIDs or short names. */
const PARAM_BYTES = 128

export async function buildApp (services: Services, options: AppOptions = {}): Promise<FastifyInstance> {
  const { limits } = services.config
  const app = Fastify({
    ...(options.logger !== undefined && { logger: options.logger }),
    // each route says itself what it logs: Fastify's own lines would name paths with ids twice a request
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: limits.bodyBytes,
    requestTimeout: limits.requestReceiveMs,
    // Node looks only every 30 s for requests that dawdle, unless told otherwise
    http: { connectionsCheckingInterval: CHECK_CONNECTIONS_MS, headersTimeout: limits.requestReceiveMs },
    connectionTimeout: 0,
    keepAliveTimeout: 65_000,
    routerOptions: { maxParamLength: PARAM_BYTES },
    genReqId: newId,
    requestIdHeader: false,
    // a request that came over an open connection is answered, not cut, while the rest drains
    return503OnClosing: false,
    // what Fastify refuses before its hooks run (a broken URL): the same shape, by the same function
    frameworkErrors: (error, request, reply) => {
      const { status, headers, body } = errorReply(asParallaxError(error, limits.bodyBytes), request.url, request.id)
      const plain = reply as unknown as FastifyReply
      void plain.code(status).headers(headers).send(body)
    },
    clientErrorHandler: onConnectionError,
    forceCloseConnections: 'idle',
  })
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  app.decorate('services', services)
  await app.register(autoload, { dir: folder('../plugins'), forceESM: true })
  await app.register(autoload, { dir: folder('../routes'), forceESM: true, routeParams: true })
  return app
}
