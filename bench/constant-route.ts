/** The baseline for cache hits: a plain Fastify route that parses the same request and answers a constant of the size of Parallax's own answer. */
import Fastify from 'fastify'
import { told } from './listening.ts'

/** Bytes of the body it answers; given by the bench, which has seen the gateway's. */
const size = Number(process.argv[2])
const overhead = JSON.stringify({ constant: '' }).length
const body = JSON.stringify({ constant: 'x'.repeat(Math.max(0, size - overhead)) })
const app = Fastify()

app.post('/v1/chat/completions', async (_request, reply) => reply.header('content-type', 'application/json; charset=utf-8').send(body))

await app.listen({ port: 0, host: '127.0.0.1' })
told((app.server.address() as { port: number }).port)
