/** The baseline for answers as JSON: one plain Fastify route that forwards the body with undici and hands the answer back. Reads, checks and keeps nothing. */
import Fastify from 'fastify'
import { Pool } from 'undici'
import { told } from './listening.ts'

const upstream = new URL(process.argv[2]!)
const pool = new Pool(upstream.origin, { connections: 512, pipelining: 1 })
const app = Fastify()
app.removeAllContentTypeParsers()
app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => { done(null, body) })

app.post('/v1/chat/completions', async (request, reply) => {
  const answer = await pool.request({ path: '/v1/chat/completions', method: 'POST', headers: { 'content-type': 'application/json' }, body: request.body as Buffer })
  reply.code(answer.statusCode).header('content-type', answer.headers['content-type'])
  // a stream as it comes; a whole answer in one piece, which is the cheaper way for both
  return reply.send(answer.headers['content-length'] === undefined ? answer.body : Buffer.from(await answer.body.arrayBuffer()))
})

await app.listen({ port: 0, host: '127.0.0.1' })
told((app.server.address() as { port: number }).port)
