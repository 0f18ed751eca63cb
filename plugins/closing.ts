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
  // counted at the server: hooks are skipped for a request that an earlier one refuses
  app.server.on('request', (_request, response) => {
    running++
    response.once('close', () => {
      running--
      endConnections()
    })
  })
  app.addHook('preClose', (done) => {
    closing = true
    endConnections()
    done()
  })
}, { name: 'closing' })
