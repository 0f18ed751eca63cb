/** The side door: every throw leaves through here, in the shape its path promises, and on record where one is due. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import plugin from 'fastify-plugin'
import type { LeafDraft } from '../src/audit/log.ts'
import type { Told } from '../src/chat/answer.ts'
import { newId } from '../src/ids.ts'
import type { Caller } from '../src/keys/keys.ts'
import { ReaderGone } from '../src/chat/frame-stream.ts'
import { endUserOf } from '../src/chat/request.ts'
import { ERRORS, ParallaxError } from '../src/errors.ts'
import { asParallaxError, errorReply } from '../src/replies.ts'

export default plugin(async (app: FastifyInstance) => {
  const { audit, config, limits } = app.services

  app.setErrorHandler(async (thrown, request, reply) => {
    // nobody is there to be told; the record was closed by whoever noticed
    if (thrown instanceof ReaderGone) return reply.code(499).send('')
    const error = await onRecord(asParallaxError(thrown, config.limits.bodyBytes, { querystring: request.query, params: request.params }), request, reply)
    log(request, error)
    const { status, headers, body } = errorReply(error, request.url, request.id)
    return reply.code(status).headers(headers).send(body)
  })

  app.setNotFoundHandler(({ method, url }) => {
    const path = url.split('?')[0]!
    const allow = app.methodsAt(path).join(', ')
    if (allow !== '') throw new ParallaxError('method_not_allowed', `${path.slice(0, 200)} takes ${allow}, not ${method}. What each does is at /docs.`, { headers: { allow } })
    throw new ParallaxError('not_found', `There is no ${method} ${path.slice(0, 200)} here. The paths are listed at /docs.`)
  })

  /**
   * A refusal to a known caller is a leaf: of a chat whatever was wrong, elsewhere that the key may not do what it tried. Where the log cannot take it,
   * that is the error that is told. Each counts as a request of the key, and what is beyond its limits (429, or limits that cannot be counted) is no leaf:
   * it would let a flood write.
   */
  async function onRecord (error: ParallaxError, request: FastifyRequest, reply: FastifyReply): Promise<ParallaxError> {
    const { caller, told } = request
    if (!caller || told?.record || error.statusCode === 429 || error.code === 'limits_unavailable' || error.code === 'audit_unavailable') return error
    const ofChat = request.routeOptions.config.recorded && told
    if (!ofChat && error.code !== 'insufficient_scope') return error
    try {
      // a chat has been counted by now
      if (!ofChat) void (await limits.admit({ key: caller.key, quota: caller.quota, tokens: 0, stream: false })).settle(0)
      const leaf = ofChat ? chatRefused(error, request, caller, told) : accessRefused(error, request, caller)
      await audit.append([leaf])
      if (told) told.record = leaf.id
      else reply.header('x-audit-record', leaf.id)
      return error
    } catch (refusal) {
      return refusal instanceof ParallaxError ? refusal : new ParallaxError('audit_unavailable', 'The refusal could not be put on record.', { cause: refusal, retryAfter: 5 })
    }
  }

  function log (request: FastifyRequest, error: ParallaxError): void {
    const { level } = ERRORS[error.code]
    // messages of ours hold no prompt; a cause is shown only where the caller is told nothing
    request.log[level]({ code: error.code, route: request.routeOptions.url, ...(error.code === 'internal_error' && { err: error.cause }) }, 'refused')
  }
}, { name: 'errors', dependencies: ['told', 'methods'] })

const refusedFields = (error: ParallaxError, request: FastifyRequest, caller: Caller) => ({ tenant: caller.tenant, request: request.id, error: error.code, http_status: error.statusCode })

function chatRefused (error: ParallaxError, request: FastifyRequest, caller: Caller, told: Told): LeafDraft {
  return {
    type: 'completion.refused',
    id: newId(),
    key: caller.key,
    fields: {
      ...refusedFields(error, request, caller),
      ...(told.disclosure && { perspective: { id: told.disclosure.member.id, mode: told.disclosure.member.mode } }),
    },
    ...(request.rawBody && { payload: request.rawBody }),
    owner: { tenant: caller.tenant, user: endUserOf(request.body) },
  }
}

/** By the route, not the address: nothing of a stranger's words is in a leaf for ever. */
const accessRefused = (error: ParallaxError, request: FastifyRequest, caller: Caller): LeafDraft =>
  ({ type: 'access.refused', id: newId(), key: caller.key, fields: { ...refusedFields(error, request, caller), method: request.method, route: request.routeOptions.url } })
