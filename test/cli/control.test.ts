import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { callControl, controlPath, isControl, isHeld, serveControl } from '../../src/control.ts'

const NOBODY = 65_534

const echo = (incoming: IncomingMessage, response: ServerResponse): void => {
  let body = ''
  incoming.on('data', (part) => { body += String(part) }).on('end', () => {
    response.end(JSON.stringify({ control: isControl(incoming), method: incoming.method, url: incoming.url, body }))
  })
}

t.test('a request through the socket is marked, one through a port is not, whatever it claims', async (t) => {
  const path = controlPath(t.testdir())
  const control = await serveControl({ path, handler: echo })
  t.teardown(() => control.close())
  t.same(await callControl(path, { method: 'POST', url: '/admin/v1/keys?x=1', body: { name: 'Zoë' } }), { status: 200, body: { control: true, method: 'POST', url: '/admin/v1/keys?x=1', body: '{"name":"Zoë"}' } })
  const server = createServer(echo).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const call = request({ port, headers: { 'x-control': 'true', 'x-forwarded-for': path, host: 'control.sock', connection: 'close' } }).end()
  const [response] = await once(call, 'response') as [IncomingMessage]
  t.match(JSON.parse(String(await response.toArray())), { control: false })
})

t.test('the socket is its owner\'s alone, whatever the umask, and the umask is as before', async (t) => {
  const umask = process.umask(0)
  t.teardown(() => process.umask(umask))
  const path = controlPath(t.testdir())
  const control = await serveControl({ path, handler: echo })
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.equal(process.umask(), 0)
  await control.close()
})

t.test('closing removes the socket, and lets a running request finish', async (t) => {
  const path = controlPath(t.testdir())
  const control = await serveControl({ path, handler: (_, response) => { setTimeout(() => response.end('"late"'), 100) } })
  const running = callControl(path, { method: 'GET', url: '/' })
  while (!await isHeld(path)) await new Promise(setImmediate)
  await new Promise((resolve) => { setTimeout(resolve, 30) })
  await control.close()
  t.same(await running, { status: 200, body: 'late' })
  t.notOk(existsSync(path))
  t.equal(await callControl(path, { method: 'GET', url: '/' }), null)
})

t.test('closing does not wait for ever', async (t) => {
  const path = controlPath(t.testdir())
  const control = await serveControl({ path, handler: () => {} })
  const running = callControl(path, { method: 'GET', url: '/' })
  const cut = t.rejects(running)
  await new Promise((resolve) => { setTimeout(resolve, 30) })
  const before = Date.now()
  await control.close(50)
  t.ok(Date.now() - before < 1000)
  await cut
})

t.test('a socket left by a killed gateway is nobody\'s and is taken over', async (t) => {
  const path = controlPath(t.testdir())
  const module = new URL('../../src/control.ts', import.meta.url).href
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', `import { serveControl } from ${JSON.stringify(module)}; await serveControl({ path: ${JSON.stringify(path)}, handler: () => {} }); process.kill(process.pid, 'SIGKILL')`])
  t.equal(child.signal, 'SIGKILL', String(child.stderr))
  t.ok(existsSync(path), 'it is left behind')
  t.equal(await isHeld(path), false)
  t.equal(await callControl(path, { method: 'GET', url: '/' }), null)
  const control = await serveControl({ path, handler: echo })
  t.equal(await isHeld(path), true)
  await control.close()
})

t.test('a socket that another gateway holds, or a file of that name, is left alone', async (t) => {
  const path = controlPath(t.testdir())
  const control = await serveControl({ path, handler: echo })
  await t.rejects(serveControl({ path, handler: echo }), /Another gateway answers/)
  t.match(await callControl(path, { method: 'GET', url: '/' }), { status: 200 }, 'and still answers')
  await control.close()
  writeFileSync(path, 'mine')
  await t.rejects(serveControl({ path, handler: echo }), /is not one\. Remove it/)
})

t.test('a path too long for a socket is reached by a shorter name for the same place', async (t) => {
  const root = t.testdir()
  const deep = join(root, 'd'.repeat(120))
  mkdirSync(deep)
  const path = controlPath(deep)
  const works = async (): Promise<void> => {
    const control = await serveControl({ path, handler: echo })
    t.ok(existsSync(path))
    t.equal(statSync(path).mode & 0o777, 0o600)
    t.equal(await isHeld(path), true)
    t.match(await callControl(path, { method: 'GET', url: '/' }), { status: 200 })
    await control.close()
    t.notOk(existsSync(path))
  }
  if (process.platform === 'linux') await works()
  else await t.rejects(serveControl({ path, handler: echo }), /too long .* DATA_DIR/)
  const cwd = process.cwd()
  process.chdir(deep)
  t.teardown(() => process.chdir(cwd))
  await works()
})

t.test('an answer that is not JSON is an error that shows its beginning', async (t) => {
  const path = controlPath(t.testdir())
  const control = await serveControl({ path, handler: (_, response) => { response.statusCode = 500; response.end('<html>') } })
  t.teardown(() => control.close())
  await t.rejects(callControl(path, { method: 'GET', url: '/' }), /answered 500 .*<html>/)
})

t.test('a socket of another user is said to be that', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'plx-'))
  chmodSync(root, 0o755)
  const path = controlPath(root)
  const control = await serveControl({ path, handler: echo })
  t.teardown(async () => { await control.close(); rmSync(root, { recursive: true }) })
  // root may open everything, so it stops being root for a moment; anybody else takes the right from himself
  const asNobody = process.getuid?.() === 0
  if (asNobody) process.seteuid?.(NOBODY)
  else chmodSync(path, 0)
  try {
    await t.rejects(callControl(path, { method: 'GET', url: '/' }), /belongs to another user/)
    await t.rejects(isHeld(path), /belongs to another user/)
  } finally {
    if (asNobody) process.seteuid?.(0)
  }
})
