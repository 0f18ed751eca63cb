/**
 * Kills the real gateway with `kill -9` under mixed load, again and again, and holds what its clients were given against its log.
 * On SQLite it is one; on PostgreSQL two share a log, and one of them is killed, or both.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { startPostgres } from '../fixtures/postgres.ts'
import { answer, startUpstream, type Upstream } from '../fixtures/upstream.ts'
import { check, type Broken, type Counted } from './check.ts'
import { Gateway } from './gateway.ts'
import { client, eraser, nothingSeen, type Seen } from './load.ts'

const FIXTURES = fileURLToPath(new URL('../fixtures/', import.meta.url))
const LANES = 12
/** An expert is let go within a second of its client's leaving. */
const LET_GO_MS = 3000

export type StoreName = 'sqlite' | 'postgres'
export type Outcome = Counted & { readonly broken: Broken[] }

export interface ChaosOptions {
  readonly store: StoreName
  /** Called after each round. */
  readonly tell?: (line: string) => void
}

/** Rounds of load, kill, restart, check. Null where there is no PostgreSQL. */
export async function chaos (rounds: number, { store, tell = () => {} }: ChaosOptions): Promise<Outcome | null> {
  const closers: (() => unknown)[] = []
  try {
    const server = store === 'sqlite' ? null : await startPostgres({ teardown: (close: () => unknown) => { closers.push(close) } })
    if (store === 'postgres' && server === null) return null
    const folder = mkdtempSync(join(tmpdir(), 'plx-chaos-'))
    closers.push(() => { rmSync(folder, { recursive: true, force: true }) })
    const expert = await startUpstream()
    closers.push(() => expert.close())
    let turn = 0
    expert.reply(() => answer(turn++ % 3 === 0 ? { delay: 3 } : {}))
    const file = join(folder, 'parallax.json')
    const experts = Object.fromEntries(['progressive', 'conservative'].map((id) => [id, { wire: 'openai', baseUrl: expert.url, model: 'mock' }]))
    writeFileSync(file, JSON.stringify({ perspectives: [join(FIXTURES, 'perspectives')], engine: { enabled: false }, experts }))
    const env = { PARALLAX_CONFIG: file, ...(server && { DATABASE_URL: await server.database(), PARALLAX_KEK: randomBytes(32).toString('base64') }) }
    const gateways = (server ? ['one', 'two'] : ['one']).map((name) => new Gateway(join(folder, name), env))
    for (const gateway of gateways) {
      closers.push(() => gateway.kill())
      await gateway.start()
    }
    const seen = nothingSeen()
    const broken: Broken[] = []
    let counted: Counted = { receipts: 0, streams: 0, leaves: 0, interrupted: 0, erased: 0 }
    for (let round = 1; round <= rounds; round++) {
      await oneRound(round, gateways, seen, store === 'sqlite')
      if (!await letGo(expert)) broken.push({ round, invariant: 'generations', what: 'an expert goes on for nobody' })
      for (const gateway of gateways) counted = await check(round, gateway, seen, broken)
      if (round === 1) await hold(gateways[0]!, seen)
      tell(`${store}, round ${round}: ${counted.leaves} leaves, ${counted.receipts} receipts and ${counted.streams} answers held against them, ${counted.interrupted} interrupted, ${counted.erased} erased, ${broken.length} broken`)
    }
    return { ...counted, broken }
  } finally {
    for (const close of closers.reverse()) await close()
  }
}

/** Load, death and life again. Where there are two, one lives on every other time. */
async function oneRound (round: number, gateways: readonly Gateway[], seen: Seen, rotates: boolean): Promise<void> {
  const stop = { now: false }
  const load = Array.from({ length: LANES }, (_, lane) => client(gateways[lane % gateways.length]!, lane, seen, stop))
  const erasing = eraser(gateways[round % gateways.length]!, seen, stop, rotates)
  // a gateway that has just started is slow: it dies when it has answered something, wherever it is by then
  const before = seen.texts.size
  for (let waited = 0; waited < 100 && seen.texts.size < before + LANES; waited++) await sleep(50)
  await sleep(Math.random() * 500)
  const dying = round % 3 === 0 ? gateways : [gateways[round % gateways.length]!]
  await Promise.all(dying.map((gateway) => gateway.kill()))
  // the one that lives goes on for a while, also while the other comes back
  const back = Promise.all(dying.map((gateway) => gateway.start()))
  if (dying.length < gateways.length) await back
  stop.now = true
  await Promise.all([...load, erasing, back])
}

async function letGo (expert: Upstream): Promise<boolean> {
  return Promise.race([Promise.all(expert.requests.map((request) => request.over)).then(() => true), sleep(LET_GO_MS, false)])
}

/** One answer is held from now on, and stays whatever is erased. */
async function hold (gateway: Gateway, seen: Seen): Promise<void> {
  const record = [...seen.texts.keys()].find((one) => !seen.erasing.has(one))
  if (record === undefined) return
  const reply = await gateway.call('admin', '/admin/v1/holds', { name: 'chaos', records: [record], reason: 'chaos' })
  if (reply.status === 201) seen.held = record
  else seen.impossible.push(`a hold was refused: ${reply.status} ${await reply.text()}`)
}
