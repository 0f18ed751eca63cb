/** The side door: every throw leaves through here, in the shape its path promises, and on record where one is due. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import plugin from 'fastify-plugin'
import { newId } from '../src/ids.ts'
import { ReaderGone } from '../src/chat/frame-stream.ts'
import { endUserOf } from '../src/chat/request.ts'
import { ERRORS, ParallaxError } from '../src/errors.ts'
import { asParallaxError, errorReply } from '../src/replies.ts'

export default plugin(async (app: FastifyInstance) => {
  const { audit, config } = app.services

  app.setErrorHandler(async (thrown, request, reply) => {
    // nobody is there to be told; the record was closed by whoever noticed
    if (thrown instanceof ReaderGone) return reply.code(499).send('')
    const error = await onRecord(asParallaxError(thrown, config.limits.bodyBytes, { querystring: request.query, params: request.params }), request)
    log(request, error)
    const { status, headers, body } = errorReply(error, request.url, request.id)
    return reply.code(status).headers(headers).send(body)
  })

  app.setNotFoundHandler((request) => {
    throw new ParallaxError('not_found', `There is no ${request.method} ${request.url.split('?')[0]!.slice(0, 200)} here. The paths are listed at /docs.`)
  })

  /** A refusal to a known caller is a leaf; where the log cannot take it, that is the error that is told. 429, and limits that cannot be counted, would let a flood write. */
  async function onRecord (error: ParallaxError, request: FastifyRequest): Promise<ParallaxError> {
    const { caller, told } = request
    if (!request.routeOptions.config.recorded || !caller || !told || told.record || error.statusCode === 429 || error.code === 'limits_unavailable' || error.code === 'audit_unavailable') return error
    try {
      const id = newId()
      await audit.append([{
        type: 'completion.refused',
        id,
        key: caller.key,
        fields: {
          tenant: caller.tenant, request: request.id, error: error.code, http_status: error.statusCode,
          ...(told.disclosure && { perspective: { id: told.disclosure.member.id, mode: told.disclosure.member.mode } }),
        },
        ...(request.rawBody && { payload: request.rawBody }),
        owner: { tenant: caller.tenant, user: endUserOf(request.body) },
      }])
      told.record = id
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
}, { name: 'errors', dependencies: ['told'] })
