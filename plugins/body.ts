/** Reads bodies: JSON only, from bytes that are valid UTF-8, kept as received for the record. */
import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'
import { ParallaxError } from '../src/errors.ts'

export default plugin(async (app: FastifyInstance) => {
  // refuses "__proto__" and "constructor.prototype", which would otherwise ride along to whoever merges the object
  const parse = app.getDefaultJsonParser('error', 'error')
  const decoder = new TextDecoder('utf-8', { fatal: true })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    request.rawBody = body
    // a DELETE or POST without a body is allowed to name its type
    if (body.length === 0 && request.method === 'DELETE') return done(null, undefined)
    let text: string
    try { text = decoder.decode(body) } catch (cause) {
      return done(new ParallaxError('invalid_encoding', 'The body is not valid UTF-8. Send JSON encoded as UTF-8.', { cause }))
    }
    return parse(request, text, (error, value) => {
      if (error) done(new ParallaxError('invalid_json', `The body is not JSON that can be used: ${error.message.slice(0, 200)}`, { cause: error }))
      else done(null, value)
    })
  })
}, { name: 'body', dependencies: ['told'] })
