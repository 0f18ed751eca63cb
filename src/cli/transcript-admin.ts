/**
 * Who erases, holds and rotates: the running gateway, through its control socket, or, where none runs, this process.
 * Knows nothing of options or output.
 */
import { existsSync } from 'node:fs'
import type { AuditLog } from '../audit/log.ts'
import { callControl, controlPath, isHeld } from '../control.ts'
import { LOCAL_ADMIN } from '../keys/keys.ts'
import { makeRetention } from '../retention/retention.ts'
import { holdToWire, scopeOf, whoseOf, type ErasureBody, type ErasureObject, type ExpiryObject, type HoldBody, type HoldObject, type RotationObject } from '../retention/wire.ts'
import { replyError } from './key-admin.ts'

/** An end user's years of exchanges, or every key of a large log, take their time. */
const LIMIT_MS = 6 * 3_600_000

export interface TranscriptAdmin {
  erase (body: ErasureBody): Promise<ErasureObject>
  hold (body: HoldBody): Promise<void>
  lift (name: string, reason: string): Promise<void>
  holds (): Promise<HoldObject[]>
  expire (days?: number): Promise<ExpiryObject>
  rotate (): Promise<RotationObject>
  close (): Promise<void>
}

function throughGateway (path: string): TranscriptAdmin {
  const call = async <T>(method: string, url: string, body?: unknown): Promise<T> => {
    const reply = await callControl(path, { method, url: `/admin/v1${url}`, body, limitMs: LIMIT_MS })
    if (reply === null) throw new Error('The gateway stopped before it answered. Its log says what was done: look for the newest "erasure", "hold" or "kek" records.')
    if (reply.status >= 400) throw replyError(reply.status, reply.body)
    return reply.body as T
  }
  return {
    erase: (body) => call('POST', '/erasures', body),
    hold: async (body) => { await call('POST', '/holds', body) },
    lift: async (name, reason) => { await call('POST', `/holds/${encodeURIComponent(name)}/lift`, { reason }) },
    holds: async () => (await call<{ holds: HoldObject[] }>('GET', '/holds')).holds,
    expire: (days) => call('POST', '/expiry', { days }),
    rotate: () => call('POST', '/sealing/rotate'),
    close: async () => {},
  }
}

function here (log: AuditLog): TranscriptAdmin {
  // nothing is cached where no gateway runs, and how long transcripts live is said by whoever asks
  const retention = makeRetention({ audit: log, cache: null, days: null })
  const by = LOCAL_ADMIN.key
  return {
    erase: async (body) => {
      const { leaves, held, open, records } = await retention.erase(whoseOf(body), { by, reason: body.reason })
      return { leaves: [...leaves], held: [...held], open: [...open], records }
    },
    hold: (body) => retention.hold(body.name, scopeOf(body), { by, reason: body.reason }),
    lift: (name, reason) => retention.lift(name, { by, reason }),
    holds: async () => (await retention.holds()).map(holdToWire),
    expire: async (days) => {
      const { leaves, transcripts } = await retention.expire(days)
      return { leaves: [...leaves], transcripts }
    },
    rotate: async () => {
      const { from, ...rest } = await log.rotateKek()
      return { from: [...from], ...rest }
    },
    close: async () => {
      await retention.close()
      await log.close()
    },
  }
}

export async function openTranscriptAdmin (directory: string, openLog: (directory: string) => AuditLog | Promise<AuditLog>): Promise<TranscriptAdmin> {
  const socket = controlPath(directory)
  if (await isHeld(socket)) return throughGateway(socket)
  if (!existsSync(directory)) throw new Error(`There is no data directory ${directory}. DATA_DIR and --data-dir set it.`)
  return here(await openLog(directory))
}
