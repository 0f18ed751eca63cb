/** Who may use a route. Default-deny: a route that does not say who may use it does not start. After CORS, so that a page can read why it was refused. */
import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'
import { isControl } from '../src/control.ts'
import { ParallaxError } from '../src/errors.ts'
import { LOCAL_ADMIN, type Caller, type Scope } from '../src/keys/keys.ts'

declare module 'fastify' {
  interface FastifyRequest { caller: Caller | null }
  interface FastifyContextConfig {
    /** Open to everyone, or to this machine (others need the scope). */
    public?: boolean | 'loopback'
    scope?: Scope
  }
}

const LOOPBACK = new Set(['127.0.0.1', '::1', '::ffff:127.0.0.1'])

export default plugin(async (app: FastifyInstance) => {
  const { keys } = app.services
  app.decorateRequest('caller', null)

  app.addHook('onRoute', (route) => {
    if (route.method === 'OPTIONS') return
    // the documentation's routes are a library's, which cannot carry our config
    if (route.url.startsWith('/docs')) route.config = { ...route.config, public: true }
    if (route.config?.public || route.config?.scope) return
    throw new Error(`${String(route.method)} ${route.url} says neither "public" nor "scope": name who may use it.`)
  })

  app.addHook('onRequest', (request, _reply, done) => {
    const { config } = request.routeOptions
    if (config.public === true || request.is404 || request.method === 'OPTIONS') return done()
    if (config.public === 'loopback' && LOOPBACK.has(request.ip) && request.headers['x-forwarded-for'] === undefined) return done()
    // over the control socket a key still says more than the socket: an auditor's reads transcripts, the local administrator does not
    const caller = request.headers.authorization === undefined && isControl(request.raw) ? LOCAL_ADMIN : bearer(request.headers.authorization)
    if (!caller) {
      return done(new ParallaxError('invalid_api_key', request.headers.authorization === undefined
        ? 'No API key came with the request. Send it as "Authorization: Bearer plx_…".'
        : 'This API key is not valid here: it is malformed, unknown, expired or revoked.'))
    }
    request.caller = caller
    if (!config.scope || !caller.scopes.has(config.scope)) {
      return done(new ParallaxError('insufficient_scope', `This needs a key with the scope "${config.scope ?? 'none'}"; yours has: ${[...caller.scopes].join(', ')}.`))
    }
    return done()
  })

  const bearer = (header: string | undefined): Caller | null => {
    const match = /^Bearer +(\S{1,200})$/i.exec(header ?? '')
    return match ? keys.find(match[1]!) : null
  }
}, { name: 'auth', dependencies: ['told', 'cors'] })
