/** Reads bodies: JSON only, from bytes that are valid UTF-8, kept as received for the record. */
import { isUtf8 } from 'node:buffer'
import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'
import { ParallaxError } from '../src/errors.ts'

const SUSPICIOUS = /__proto__|constructor|\\u/

/** V8 quotes the text around the mistake, which may be somebody's prompt: told to its sender, cut short, and never logged. */
const notJson = (cause: Error): ParallaxError => new ParallaxError('invalid_json', `The body is not JSON that can be used: ${cause.message.slice(0, 200)}`, { cause })

export default plugin(async (app: FastifyInstance) => {
  // refuses "__proto__" and "constructor.prototype", which would otherwise ride along to whoever merges the object
  const parse = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    request.rawBody = body
    // a DELETE or POST without a body is allowed to name its type
    if (body.length === 0 && request.method === 'DELETE') { done(null, undefined); return }
    if (!isUtf8(body)) {
      done(new ParallaxError('invalid_encoding', 'The body is not valid UTF-8. Send JSON encoded as UTF-8.'))
      return
    }
    const text = body.toString()
    // the safe parser costs twice the plain one; only a text that could name them, plainly or escaped, needs it
    if (!SUSPICIOUS.test(text)) {
      try { done(null, JSON.parse(text)) } catch (cause) { done(notJson(cause as Error)) }
      return
    }
    void parse(request, text, (error, value) => {
      if (error) done(notJson(error))
      else done(null, value)
    })
  })
}, { name: 'body', dependencies: ['told'] })
