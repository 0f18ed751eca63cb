/**
 * The control socket: a Unix socket in the data directory through which the command line speaks to the running gateway.
 * Whoever may open it owns the data directory, so plugins/auth takes such requests for the local administrator's.
 * Knows nothing of routes, keys or Fastify.
 */
import { closeSync, lstatSync, openSync, rmSync } from 'node:fs'
import { createServer, request } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { basename, dirname, join, relative } from 'node:path'

export interface ControlServer {
  /** Stops listening, lets running requests finish within `graceMs`, and removes the socket. */
  close(graceMs?: number): Promise<void>
}

/** sockaddr_un's path holds 104 bytes on macOS and 108 on Linux, a NUL among them; a longer one is cut without a word. */
const LONGEST_PATH = 103
const GRACE_MS = 2000
/** Unless whoever asks knows that it takes longer. */
const REPLY_LIMIT_MS = 30_000

const control = new WeakSet<IncomingMessage>()

/** Did this request come through the control socket? Nothing that a client sends can make it so. */
export const isControl = (raw: IncomingMessage): boolean => control.has(raw)

export const controlPath = (directory: string): string => join(directory, 'control.sock')

interface Address { readonly path: string, release(): void }

/** A way to write `path` that fits a socket's address, good until it is released. Throws where there is none. */
function addressOf (path: string): Address {
  const fits = [path, relative(process.cwd(), path)].find((one) => Buffer.byteLength(one) <= LONGEST_PATH)
  if (fits !== undefined) return { path: fits, release: () => {} }
  if (process.platform !== 'linux') throw new Error(`The path of the control socket is too long for the operating system (${Buffer.byteLength(path)} bytes, at most ${LONGEST_PATH}): ${path}. Set DATA_DIR to a shorter path, or start in its parent directory.`)
  const directory = openSync(dirname(path), 'r')
  return { path: `/proc/self/fd/${directory}/${basename(path)}`, release: () => closeSync(directory) }
}

const isNobody = (error: NodeJS.ErrnoException): boolean => error.code === 'ECONNREFUSED' || error.code === 'ENOENT'

const forPeople = (path: string, error: NodeJS.ErrnoException): Error =>
  error.code === 'EACCES' ? new Error(`${path} belongs to another user. Run this as the user that runs the gateway.`, { cause: error }) : error

/** Does somebody hold this socket? False where there is none, or where its process has died. */
export async function isHeld (path: string): Promise<boolean> {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return false
  const address = addressOf(path)
  try {
    return await new Promise((resolve, reject) => {
      const probe = connect(address.path)
      probe.once('connect', () => { probe.destroy(); resolve(true) })
      probe.once('error', (error) => { if (isNobody(error)) resolve(false); else reject(forPeople(path, error)) })
    })
  } finally {
    address.release()
  }
}

/** Removes a socket that nobody listens on; throws where somebody does, or where something else has that name. */
async function clear (path: string): Promise<void> {
  const there = lstatSync(path, { throwIfNoEntry: false })
  if (there === undefined) return
  if (!there.isSocket()) throw new Error(`${path} is in the way of the control socket and is not one. Remove it.`)
  if (await isHeld(path)) throw new Error(`Another gateway answers on ${path}. Stop it, or set DATA_DIR to another directory.`)
  rmSync(path, { force: true })
}

/** Listens on `path` (mode 0600) and hands every request, marked for `isControl`, to `handler`: with Fastify, `app.routing`. */
export async function serveControl ({ path, handler }: { path: string, handler: (request: IncomingMessage, response: ServerResponse) => void }): Promise<ControlServer> {
  await clear(path)
  const server = createServer((request, response) => {
    control.add(request)
    handler(request, response)
  })
  const address = addressOf(path)
  const listening = new Promise<void>((resolve, reject) => { server.once('listening', resolve).once('error', reject) })
  // libuv binds inside listen(), so the file never exists with another mode than this
  const umask = process.umask(0o177)
  try { server.listen(address.path) } finally { process.umask(umask) }
  try {
    await listening
  } catch (error) {
    address.release()
    throw error
  }
  server.unref()
  return {
    close: (graceMs = GRACE_MS) => new Promise((resolve) => {
      const timer = setTimeout(() => server.closeAllConnections(), graceMs)
      server.close(() => {
        clearTimeout(timer)
        address.release()
        rmSync(path, { force: true })
        resolve()
      })
      server.closeIdleConnections()
    }),
  }
}

export interface ControlReply { readonly status: number, readonly body: unknown }

/** One request through the socket of a running gateway. Null: nobody holds it. */
export async function callControl (path: string, { method, url, body, limitMs = REPLY_LIMIT_MS }: { method: string, url: string, body?: unknown, limitMs?: number }): Promise<ControlReply | null> {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return null
  const address = addressOf(path)
  try {
    const response = await new Promise<IncomingMessage | null>((resolve, reject) => {
      const text = body === undefined ? undefined : JSON.stringify(body)
      const headers = text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }
      const call = request({ socketPath: address.path, method, path: url, agent: false, headers }, resolve)
      call.setTimeout(limitMs, () => call.destroy(new Error(`The gateway on ${path} gave no answer within ${limitMs / 1000} s. Is it stopped or overloaded?`)))
      call.once('error', (error) => { if (isNobody(error)) resolve(null); else reject(forPeople(path, error)) })
      call.end(text)
    })
    return response === null ? null : { status: response.statusCode ?? 0, body: readJson(path, response.statusCode, Buffer.concat(await response.toArray() as Buffer[]).toString()) }
  } finally {
    address.release()
  }
}

function readJson (path: string, status: number | undefined, text: string): unknown {
  try {
    return text === '' ? null : JSON.parse(text)
  } catch (cause) {
    throw new Error(`The gateway on ${path} answered ${status} with something other than JSON: ${text.slice(0, 200)}`, { cause })
  }
}
