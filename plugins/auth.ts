/** Who may use a route. Default-deny: a route that does not say who may use it does not start. After CORS, so that a page can read why it was refused. */
import type { Socket } from 'node:net'
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

/** In a time that tells the lengths and nothing else. */
function sameText (one: string, other: string): boolean {
  if (one.length !== other.length) return false
  let different = 0
  for (let at = 0; at < one.length; at++) different |= one.charCodeAt(at) ^ other.charCodeAt(at)
  return different === 0
}

/** Never the header's own words: they may be a key. */
function whyNot (header: string | undefined): string {
  if (header === undefined || header === '') return 'No API key came with the request. Send it as "Authorization: Bearer plx_…".'
  if (!/^Bearer +\S/i.test(header)) return 'The header "Authorization" has to be "Bearer", a space, and the key: "Authorization: Bearer plx_…". What came has another form.'
  return 'This API key is not valid here: it is malformed, unknown, expired or revoked.'
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
    const caller = request.headers.authorization === undefined && isControl(request.raw) ? LOCAL_ADMIN : bearer(request.headers.authorization, request.raw.socket)
    if (!caller) {
      return done(new ParallaxError('invalid_api_key', whyNot(request.headers.authorization)))
    }
    request.caller = caller
    if (!config.scope || !caller.scopes.has(config.scope)) {
      return done(new ParallaxError('insufficient_scope', `This needs a key with the scope "${config.scope ?? 'none'}"; yours has: ${[...caller.scopes].join(', ')}.`))
    }
    return done()
  })

  /** Whom a connection's last request came from, and by which header: the next one is nearly always the same, and need not be hashed again. */
  const last = new WeakMap<Socket, { readonly header: string, readonly caller: Caller }>()

  function bearer (header: string | undefined, socket: Socket): Caller | null {
    if (header === undefined) return null
    const before = last.get(socket)
    // a proxy may have others' requests on one connection: what they guess is compared in constant time
    if (before && sameText(before.header, header)) return keys.works(before.caller) ? before.caller : null
    const match = /^Bearer +(\S{1,200})$/i.exec(header)
    const caller = match && keys.find(match[1]!)
    if (caller) last.set(socket, { header, caller })
    return caller
  }
}, { name: 'auth', dependencies: ['told', 'cors'] })
