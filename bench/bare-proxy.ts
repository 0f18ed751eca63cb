/**
 * The baseline for JSON answers: one plain Fastify route that forwards the body with undici and pipes the answer back. Reads, checks and keeps nothing.
 * With `buffered` it takes the answer in one piece instead, which is dearer in memory and cheaper in time: the best that the two can do for a short answer.
 */
import Fastify from 'fastify'
import { Pool } from 'undici'
import { told } from './listening.ts'

const upstream = new URL(process.argv[2]!)
const buffered = process.argv[3] === 'buffered'
const pool = new Pool(upstream.origin, { connections: 512, pipelining: 1 })
const app = Fastify()
app.removeAllContentTypeParsers()
app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => { done(null, body) })

app.post('/v1/chat/completions', async (request, reply) => {
  const answer = await pool.request({ path: '/v1/chat/completions', method: 'POST', headers: { 'content-type': 'application/json' }, body: request.body as Buffer })
  reply.code(answer.statusCode).header('content-type', answer.headers['content-type'])
  return reply.send(buffered ? Buffer.from(await answer.body.arrayBuffer()) : answer.body)
})

await app.listen({ port: 0, host: '127.0.0.1' })
told((app.server.address() as { port: number }).port)
