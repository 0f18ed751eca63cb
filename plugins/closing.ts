/** While the gateway closes, a connection ends with the reply that it carries: clients keep theirs open, and would hold the process. */
import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'

export default plugin(async (app: FastifyInstance) => {
  let closing = false
  app.addHook('preClose', (done) => {
    closing = true
    done()
  })
  app.addHook('onResponse', (_request, _reply, done) => {
    // the connection counts as idle only after this turn
    if (closing) setImmediate(() => { app.server.closeIdleConnections() })
    done()
  })
}, { name: 'closing' })
