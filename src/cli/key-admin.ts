/**
 * Who carries out a change of keys: the running gateway, through its control socket, or, where none runs, this process.
 * The store has one process, so there is never a choice. Knows nothing of options or output.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { callControl, controlPath, isHeld } from '../control.ts'
import type { AuditLog } from '../audit/log.ts'
import { LOCAL_ADMIN, type KeyStore } from '../keys/keys.ts'
import type { KeyLeaves } from '../keys/leaves.ts'
import { openKeyStore } from '../keys/sqlite.ts'
import { fromWire, toWire } from '../keys/wire.ts'
import type { IssuedKeyObject, KeyObject, NewKeyBody } from '../keys/wire.ts'

export interface KeyAdmin {
  create(key: NewKeyBody): Promise<IssuedKeyObject>
  list(): Promise<KeyObject[]>
  revoke(id: string): Promise<KeyObject>
  rotate(id: string, overlapSeconds: number): Promise<IssuedKeyObject>
  close(): Promise<void>
}

/** A running gateway refused or failed; what it said is the message. */
export function replyError (status: number, body: unknown): Error {
  const said = body as { detail?: unknown, title?: unknown, error?: { message?: unknown } } | null
  const text = [said?.detail, said?.error?.message, said?.title].find((one) => typeof one === 'string')
  return new Error(typeof text === 'string' ? text : `The gateway answered ${status} and gave no reason.`)
}

const unknownKey = (id: string): Error => new Error(`There is no key ${JSON.stringify(id)}. "parallax keys list" shows them.`)

function throughGateway (path: string): KeyAdmin {
  const call = async <T>(method: string, url: string, body?: unknown): Promise<T> => {
    const reply = await callControl(path, { method, url: `/admin/v1/keys${url}`, body })
    if (reply === null) throw new Error('The gateway stopped before it answered. Run the command again, after "parallax keys list" has shown what was done.')
    if (reply.status === 404) throw unknownKey(decodeURIComponent(url.split('/')[1] ?? ''))
    if (reply.status >= 400) throw replyError(reply.status, reply.body)
    return reply.body as T
  }
  return {
    create: (key) => call('POST', '', key),
    list: async () => (await call<{ keys: KeyObject[] }>('GET', '')).keys,
    revoke: (id) => call('DELETE', `/${encodeURIComponent(id)}`),
    rotate: (id, overlapSeconds) => call('POST', `/${encodeURIComponent(id)}/rotate`, { overlap_seconds: overlapSeconds }),
    close: async () => {},
  }
}

/** The log is opened with the first leaf: a mere list leaves no trace in it. */
async function here (directory: string, openLog: KeyAdminOptions['openLog'], openKeys: NonNullable<KeyAdminOptions['openKeys']>, checkDefault: KeyAdminOptions['checkDefault']): Promise<KeyAdmin> {
  let log: Promise<AuditLog> | undefined
  const opened = (): Promise<AuditLog> => log ??= Promise.resolve(openLog(directory))
  const store = await openKeys(directory, { append: async (drafts) => (await opened()).append(drafts), record: async (id) => (await opened()).record(id) })
  const by = LOCAL_ADMIN.key
  return {
    create: async (key) => {
      if (key.default_perspective) await checkDefault?.(key.default_perspective)
      const { secret, record } = await store.create(fromWire(key), by)
      return { secret, key: toWire(record) }
    },
    list: async () => store.list().map(toWire),
    revoke: async (id) => {
      const record = await store.revoke(id, by)
      if (record === null) throw unknownKey(id)
      return toWire(record)
    },
    rotate: async (id, overlapSeconds) => {
      const issued = await store.rotate(id, overlapSeconds, by)
      if (issued === null) throw unknownKey(id)
      return { secret: issued.secret, key: toWire(issued.record) }
    },
    close: async () => {
      await store.close()
      await (await log)?.close()
    },
  }
}

export interface KeyAdminOptions {
  readonly directory: string
  readonly openLog: (directory: string) => AuditLog | Promise<AuditLog>
  /** Where the keys are not in the directory. */
  readonly openKeys?: ((directory: string, audit: KeyLeaves) => Promise<KeyStore>) | undefined
  /** Throws where a default perspective is nothing that can be asked for. A running gateway asks its own perspectives. */
  readonly checkDefault?: ((name: string) => Promise<void>) | undefined
  /** May an empty store be made? Not to list or revoke: a mistyped directory should be said, not filled. */
  readonly make: boolean
}

export async function openKeyAdmin ({ directory, openLog, openKeys, checkDefault, make }: KeyAdminOptions): Promise<KeyAdmin> {
  const socket = controlPath(directory)
  if (await isHeld(socket)) return throughGateway(socket)
  if (openKeys) return here(directory, openLog, openKeys, checkDefault)
  if (!make && !existsSync(join(directory, 'keys.db'))) throw new Error(`There are no keys in ${directory}. Is it the right data directory? DATA_DIR and --data-dir set it; "parallax keys create" makes the first key.`)
  return here(directory, openLog, (at, audit) => openKeyStore({ directory: at, audit }), checkDefault)
}
