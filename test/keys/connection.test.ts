/** One connection that many requests come over: who sent each is said by its own key, and by nothing that came before. */
import { Agent, request } from 'node:http'
import t from 'tap'
import { build } from '../helper.ts'

t.test('on an open connection every request is its own key\'s, and a key that no longer works is refused at once', async (t) => {
  const { url, keys, services } = await build(t)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => { agent.destroy() })
  const ports = new Set<number | undefined>()
  const status = (authorization?: string): Promise<number> => new Promise((resolve, reject) => {
    const asked = request(`${url}/admin/v1/keys`, { agent, headers: authorization === undefined ? {} : { authorization } }, (response) => {
      response.resume().on('end', () => { resolve(response.statusCode!) })
    })
    asked.on('socket', (socket) => { socket.on('connect', () => { ports.add(socket.localPort) }); if (!socket.connecting) ports.add(socket.localPort) })
    asked.on('error', reject).end()
  })
  const { secret, record } = await services.keys.create({ scopes: ['admin'] }, null)
  const other = await services.keys.create({ scopes: ['admin'] }, null)
  t.equal(await status(`Bearer ${secret}`), 200)
  t.equal(await status(`Bearer ${secret}`), 200)
  t.equal(await status(`Bearer ${keys.app}`), 403, 'another key on the same connection is another caller')
  t.equal(await status(`Bearer ${secret}`), 200)
  t.equal(await status(), 401, 'no key is nobody')
  t.equal(await status(`Bearer ${secret.slice(0, -1)}${secret.endsWith('0') ? '1' : '0'}`), 401, 'one letter off is nobody')
  t.equal(await status(`Bearer ${secret}`), 200)
  await services.keys.revoke(record.id, null)
  t.equal(await status(`Bearer ${secret}`), 401)
  t.equal(await status(`Bearer ${secret}`), 401)
  t.equal(await status(`Bearer ${other.secret}`), 200)
  t.equal(ports.size, 1, 'it was one connection')
})
