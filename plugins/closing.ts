/**
 * While the gateway closes, connections end with the last reply. Left to themselves they would hold the process:
 * clients keep theirs open, and one that was opened in advance and never used counts as busy to Node.
 */
import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'

export default plugin(async (app: FastifyInstance) => {
  let closing = false
  let running = 0
  const endConnections = (): void => {
    if (!closing) return
    // the reply's last bytes are handed to the system in this turn
    setImmediate(() => {
      if (running === 0) app.server.closeAllConnections()
      else app.server.closeIdleConnections()
    })
  }
  app.addHook('onRequest', (_request, _reply, done) => {
    running++
    done()
  })
  app.addHook('onResponse', (_request, _reply, done) => {
    running--
    endConnections()
    done()
  })
  app.addHook('preClose', (done) => {
    closing = true
    endConnections()
    done()
  })
}, { name: 'closing' })
