/** Reads bodies: JSON only, uncompressed, from bytes that are valid UTF-8, kept as received for the record. */
import { isUtf8 } from 'node:buffer'
import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'
import { ParallaxError } from '../src/errors.ts'

const SUSPICIOUS = /__proto__|constructor|\\u/

const BYTE_ORDER_MARK = '\uFEFF'

/** V8 quotes the text around the mistake, which may be somebody's prompt: told to its sender, cut short, and never logged. */
function notJson (text: string, cause: Error): ParallaxError {
  // V8 would quote the mark, which nobody sees
  const why = text.startsWith(BYTE_ORDER_MARK) ? 'it begins with a byte order mark (U+FEFF), which is invisible. Send it without.' : cause.message.slice(0, 200)
  return new ParallaxError('invalid_json', `The body is not JSON that can be used: ${why}`, { cause })
}

/** What the safe parser refuses: JSON that holds a member which would change the object that it is merged into, or what is no JSON at all. */
function refusedBySafeParser (text: string, cause: Error): ParallaxError {
  let value: unknown
  try { value = JSON.parse(text) } catch (mistake) { return notJson(text, mistake as Error) }
  return new ParallaxError('invalid_json', `The body has the member "${forbiddenMember(value).slice(0, 200)}", a name that no request may use. Leave it out, or name it otherwise.`, { cause })
}

/** The path of the first one, nearest to the top. Not recursive: a body may be nested as deeply as it is long. */
function forbiddenMember (body: unknown): string {
  const open: { readonly value: unknown, readonly path: string }[] = [{ value: body, path: '' }]
  for (const { value, path } of open) {
    if (typeof value !== 'object' || value === null) continue
    for (const [name, member] of Object.entries(value)) {
      const at = path === '' ? name : `${path}.${name}`
      if (name === '__proto__') return at
      if (name === 'constructor' && typeof member === 'object' && member !== null && Object.hasOwn(member, 'prototype')) return `${at}.prototype`
      open.push({ value: member, path: at })
    }
  }
  return '__proto__'
}

export default plugin(async (app: FastifyInstance) => {
  // refuses "__proto__" and "constructor.prototype", which would otherwise ride along to whoever merges the object
  const parse = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    request.rawBody = body
    // a DELETE or POST without a body is allowed to name its type
    if (body.length === 0 && request.method === 'DELETE') { done(null, undefined); return }
    const encoding = request.headers['content-encoding']
    if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
      done(new ParallaxError('unsupported_media_type', `The body came with "Content-Encoding: ${encoding.slice(0, 60)}", and compressed bodies are not read here. Send the JSON as it is, without that header.`, { headers: { 'accept-encoding': 'identity' } }))
      return
    }
    if (!isUtf8(body)) {
      done(new ParallaxError('invalid_encoding', 'The body is not valid UTF-8. Send JSON encoded as UTF-8.'))
      return
    }
    const text = body.toString()
    // the safe parser costs twice the plain one; only a text that could name them, plainly or escaped, needs it
    if (!SUSPICIOUS.test(text)) {
      try { done(null, JSON.parse(text)) } catch (cause) { done(notJson(text, cause as Error)) }
      return
    }
    void parse(request, text, (error, value) => {
      if (error) done(refusedBySafeParser(text, error))
      else done(null, value)
    })
  })
}, { name: 'body', dependencies: ['told'] })
