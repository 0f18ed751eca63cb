/** The baseline for streams: node:http in front, undici behind, and the bytes passed through unread. No framework. */
import { createServer } from 'node:http'
import { Pool } from 'undici'
import { listening } from './listening.ts'

const upstream = new URL(process.argv[2]!)
const pool = new Pool(upstream.origin, { connections: 512, pipelining: 1 })

const server = createServer((request, response) => {
  const parts: Buffer[] = []
  request.on('data', (part: Buffer) => { parts.push(part) })
  request.on('end', () => {
    pool.stream({ path: '/v1/chat/completions', method: 'POST', headers: { 'content-type': 'application/json' }, body: Buffer.concat(parts) }, ({ statusCode, headers }) => {
      response.writeHead(statusCode, { 'content-type': String(headers['content-type']) })
      return response
    }).catch(() => { response.destroy() })
  })
})
server.keepAliveTimeout = 0
listening(server)
