/**
 * Gives pending calls their places in the log. Any replica may do it, one at a time: the lock, the row of the head and its epoch each
 * see to that. Knows nothing of who waits for the places.
 */
import { clockLeaf, CLOCK_TOLERANCE_MS, type Entry, type StoreEffect } from '../entry.ts'
import { RightEdge } from '../merkle.ts'
import { checkpointText, signNote, type Signer } from '../note.ts'
import { unpackEntries, type Placed } from '../packet.ts'
import { fill, leafHash } from '../record.ts'
import { transaction, type Connection, type Database } from '../../database/database.ts'
import { applyEffect } from './effects.ts'
import { vacuum } from '../../database/vacuum.ts'
import { KEPT_EVERY, nodesFor } from './nodes.ts'
import { noteKeks, recountKeks } from './sealing.ts'

/** Calls and bytes that one group takes in. */
const CALLS = 500
const BYTES = 32 * 1024 * 1024
const LOCK = 'SELECT pg_try_advisory_xact_lock(hashtextextended(\'parallax sequencer\', 0)) AS got'

/** Where tests let a commit fail: before it happened, or after it did. */
export interface Faults { beforeCommit?: () => void, afterCommit?: () => void }

export interface SequencerOptions {
  readonly db: Database
  readonly signer: Signer
  /** Milliseconds since the epoch; absent: the database's clock, the same for all replicas. */
  readonly clock?: () => number
  readonly faults?: Faults
}

/** What became of each call that was pending; `size` and `checkpoint` are the log's after it. */
export interface Round { readonly calls: ReadonlyMap<string, readonly Placed[] | 'duplicate'>, readonly size: number, readonly checkpoint: string | null }

interface Head { readonly now: number, readonly epoch: number, readonly size: number, readonly t: number, readonly checkpoint: string | null }
interface Leaf { readonly entry: Entry, readonly replica: string | null, readonly index: number, readonly keySeq: number | null, readonly time: number, readonly bytes: Buffer, readonly hash: Buffer }

export class Sequencer {
  readonly #options: SequencerOptions
  /** The edge of the tree at this epoch; another replica's group makes it stale. */
  #edge: { readonly epoch: number, readonly tree: RightEdge } | null = null
  /** The largest size seen: a head that is smaller was set back under us. */
  #largest = 0
  #clockIsBehind = false
  #busy = false

  readonly #vacuum: () => void

  constructor (options: SequencerOptions) {
    this.#options = options
    this.#vacuum = vacuum(options.db, 'parallax.payload')
  }

  /** Places what is pending. Null where another replica is at it. Rejects where the store refused; it may have been kept all the same. */
  async round (): Promise<Round | null> {
    // one at a time here too: two would grow the same tree
    if (this.#busy) return null
    this.#busy = true
    try { return await this.#round() } finally { this.#busy = false }
  }

  /** Throws where the log is shorter than it was: nothing is to be placed on it by whoever knew it longer. */
  #seen (size: number): void {
    if (size < this.#largest) throw new Error(`the log has ${size} leaves and had ${this.#largest}: the database was set back to an older state while this gateway ran. Stop every gateway on it, and see what the next start says`)
    this.#largest = size
  }

  async #round (): Promise<Round | null> {
    const { db, faults } = this.#options
    const after: { edge?: { epoch: number, tree: RightEdge }, removed?: boolean } = {}
    const edge = this.#edge
    // whatever goes wrong from here on, what was grown in memory is not to be trusted
    this.#edge = null
    const round = await transaction(db, (client) => this.#place(client, edge, after), async (client) => {
      faults?.beforeCommit?.()
      await client.query('COMMIT')
      faults?.afterCommit?.()
    })
    this.#edge = after.edge ?? edge
    if (round) this.#largest = round.size
    if (after.removed) this.#vacuum()
    return round
  }

  async #place (client: Connection, known: { epoch: number, tree: RightEdge } | null, after: { edge?: { epoch: number, tree: RightEdge }, removed?: boolean }): Promise<Round | null> {
    // in a statement of its own: what the lock's last holder committed has to be seen by those that follow
    if (!(await client.query<{ got: boolean }>(LOCK)).rows[0]!.got) return null
    const head = (await client.query<Head>('SELECT epoch, size, t, checkpoint, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now FROM parallax.head FOR UPDATE')).rows[0]!
    this.#seen(head.size)
    const pending = (await client.query<{ call: string, replica: string, entries: Buffer }>(`SELECT call, replica, entries FROM
      (SELECT *, sum(length(entries)) OVER (ORDER BY seq) - length(entries) AS before FROM (SELECT * FROM parallax.pending ORDER BY seq LIMIT ${CALLS}) AS first) AS counted
      WHERE before < ${BYTES} ORDER BY seq`)).rows
    if (pending.length === 0) return { calls: new Map(), size: head.size, checkpoint: head.checkpoint }

    const tree = known?.epoch === head.epoch ? known.tree : new RightEdge(head.size, await nodesFor(client, head.size))
    const unpacked = pending.map((one) => ({ ...one, entries: unpackEntries(one.entries) }))
    const refused = await this.#duplicates(client, unpacked)
    const fine = unpacked.filter(({ call }) => !refused.has(call))
    const { leaves, nodes, time, placed } = await this.#leaves(client, head, tree, fine)
    await insert(client, leaves, nodes)
    after.removed = await this.#affect(client, leaves)

    const size = head.size + leaves.length
    const { signer } = this.#options
    const checkpoint = leaves.length === 0 ? head.checkpoint : signNote(checkpointText({ origin: signer.name, size, root: tree.root() }), [signer])
    await client.query('DELETE FROM parallax.pending WHERE call = ANY($1::uuid[])', [pending.map((one) => one.call)])
    if (refused.size > 0) await client.query('INSERT INTO parallax.refused (call) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING', [[...refused]])
    // the fence: nobody else can have moved the head meanwhile, lock or no lock
    const moved = await client.query('UPDATE parallax.head SET epoch = epoch + 1, size = $1, t = $2, checkpoint = $3 WHERE epoch = $4 AND size = $5', [size, time, checkpoint, head.epoch, head.size])
    if (moved.rowCount !== 1) throw new Error('another sequencer has moved the log meanwhile')
    after.edge = { epoch: head.epoch + 1, tree }
    const calls = new Map<string, readonly Placed[] | 'duplicate'>(placed)
    for (const call of refused) calls.set(call, 'duplicate')
    return { calls, size, checkpoint }
  }

  /** Calls with an id that is taken, or an end that was written by somebody else: refused as a whole, for a call is kept whole. */
  async #duplicates (client: Connection, calls: readonly { call: string, entries: Entry[] }[]): Promise<Set<string>> {
    const entries = calls.flatMap((one) => one.entries)
    const ends = entries.filter(isEnd)
    const taken = new Set((await client.query<{ id: string }>('SELECT id FROM parallax.leaf WHERE id = ANY($1::uuid[])', [entries.map((entry) => entry.id)])).rows.map((row) => row.id))
    const ended = new Set((await client.query<{ begin: string, choice: number }>('SELECT leaf.begin, leaf.choice FROM parallax.leaf JOIN unnest($1::uuid[], $2::int[]) AS one (begin, choice) ON leaf.begin = one.begin AND leaf.choice = one.choice',
      [ends.map((entry) => entry.begin), ends.map((entry) => entry.choice)])).rows.map((row) => `${row.begin}/${row.choice}`))
    const refused = new Set<string>()
    for (const { call, entries: own } of calls) {
      const names = own.flatMap((entry) => isEnd(entry) ? [`${entry.begin}/${entry.choice}`] : [])
      if (own.some((entry) => taken.has(entry.id)) || names.some((name) => ended.has(name))) {
        refused.add(call)
        continue
      }
      for (const entry of own) taken.add(entry.id)
      for (const name of names) ended.add(name)
    }
    return refused
  }

  async #leaves (client: Connection, head: Head, tree: RightEdge, calls: readonly { call: string, replica: string, entries: Entry[] }[]) {
    const now = this.#options.clock?.() ?? head.now
    const time = Math.max(now, head.t)
    const behind = time - now > CLOCK_TOLERANCE_MS
    const keys = [...new Set(calls.flatMap((one) => one.entries.flatMap((entry) => entry.key === null ? [] : [entry.key])))]
    const seqs = new Map((await client.query<{ key: string, last: number | null }>('SELECT key, (SELECT max(key_seq) FROM parallax.leaf WHERE leaf.key = asked.key) AS last FROM unnest($1::text[]) AS asked (key)', [keys])).rows.map(({ key, last }) => [key, Number(last ?? 0)]))
    const leaves: Leaf[] = []
    const nodes: { level: number, index: number, hash: Uint8Array }[] = []
    const place = (entry: Entry, replica: string | null): Placed => {
      const index = head.size + leaves.length
      let keySeq: number | null = null
      if (entry.key !== null) seqs.set(entry.key, keySeq = seqs.get(entry.key)! + 1)
      const bytes = Buffer.from(fill(entry.template, keySeq, time))
      const hash = leafHash(bytes)
      tree.append(hash, (level, at, root) => { if (level % KEPT_EVERY === 0) nodes.push({ level, index: at, hash: root }) })
      leaves.push({ entry, replica, index, keySeq, time, bytes, hash })
      return { index, keySeq, hash }
    }
    if (behind && !this.#clockIsBehind && calls.length > 0) place(clockLeaf(time - now), null)
    this.#clockIsBehind = behind
    const placed = new Map(calls.map(({ call, replica, entries }) => [call, entries.map((entry) => place(entry, replica))] as const))
    return { leaves, nodes, time, placed }
  }

  async #affect (client: Connection, leaves: readonly Leaf[]): Promise<boolean> {
    let removed = false
    for (const { entry } of leaves) {
      if (entry.effect === null) continue
      const effect = JSON.parse(entry.effect) as StoreEffect
      if ('rewrapped' in effect) await recountKeks(client, effect.rewrapped)
      else removed = await applyEffect(client, effect) || removed
    }
    const keks = new Set(leaves.flatMap(({ entry }) => entry.kek === null ? [] : [entry.kek]))
    if (keks.size > 0) await noteKeks(client, keks)
    return removed
  }
}

/** It closes its begin, which what comes in beside an end does not. */
const isEnd = (entry: Entry): boolean => entry.type === 'completion.end'

const buffer = (bytes: Uint8Array | null): Buffer | null => bytes === null ? null : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** One statement a table, however many rows. */
async function insert (client: Connection, leaves: readonly Leaf[], nodes: readonly { level: number, index: number, hash: Uint8Array }[]): Promise<void> {
  await client.query('INSERT INTO parallax.leaf (idx, id, hash, entry, t, type, key, key_seq, perspective, status, begin, choice) SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::bytea[], $4::bytea[], $5::bigint[], $6::text[], $7::text[], $8::bigint[], $9::text[], $10::text[], $11::uuid[], $12::int[])', [
    leaves.map((one) => one.index), leaves.map((one) => one.entry.id), leaves.map((one) => one.hash), leaves.map((one) => one.bytes), leaves.map((one) => one.time), leaves.map((one) => one.entry.type),
    leaves.map((one) => one.entry.key), leaves.map((one) => one.keySeq), leaves.map((one) => one.entry.perspective), leaves.map((one) => one.entry.status), leaves.map(({ entry }) => isEnd(entry) ? entry.begin : null), leaves.map(({ entry }) => isEnd(entry) ? entry.choice : null),
  ])
  const payloads = leaves.filter(({ entry }) => entry.payload !== null)
  if (payloads.length > 0) {
    await client.query('INSERT INTO parallax.payload (idx, record, salt, bytes, kek, wrapped, tenant, subject) SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::bytea[], $4::bytea[], $5::text[], $6::bytea[], $7::text[], $8::text[])', [
      payloads.map((one) => one.index), payloads.map(({ entry }) => entry.begin ?? entry.id), payloads.map(({ entry }) => buffer(entry.salt)), payloads.map(({ entry }) => buffer(entry.payload)),
      payloads.map(({ entry }) => entry.kek), payloads.map(({ entry }) => buffer(entry.wrapped)), payloads.map(({ entry }) => entry.tenant), payloads.map(({ entry }) => entry.subject),
    ])
  }
  if (nodes.length > 0) await client.query('INSERT INTO parallax.node (level, idx, hash) SELECT * FROM unnest($1::int[], $2::bigint[], $3::bytea[])', [nodes.map((one) => one.level), nodes.map((one) => one.index), nodes.map((one) => buffer(one.hash))])
  await openAndClose(client, leaves)
}

/** Begins without their ends so far, and whose they are: a begin that ends in the same group was never open to anyone. */
async function openAndClose (client: Connection, leaves: readonly Leaf[]): Promise<void> {
  const open = new Map<string, { missing: number, replica: string | null }>()
  const lessened = new Map<string, number>()
  for (const { entry, replica } of leaves) {
    if (entry.choices > 0) open.set(entry.id, { missing: entry.choices, replica })
    if (entry.begin === null || !isEnd(entry)) continue
    const own = open.get(entry.begin)
    if (own) own.missing--
    else lessened.set(entry.begin, (lessened.get(entry.begin) ?? 0) + 1)
  }
  const rows = [...open].filter(([, { missing }]) => missing > 0)
  if (rows.length > 0) await client.query('INSERT INTO parallax.open_record (id, missing, replica) SELECT * FROM unnest($1::uuid[], $2::int[], $3::uuid[])', [rows.map(([id]) => id), rows.map(([, one]) => one.missing), rows.map(([, one]) => one.replica)])
  if (lessened.size === 0) return
  await client.query('UPDATE parallax.open_record SET missing = missing - ended.count FROM unnest($1::uuid[], $2::int[]) AS ended (id, count) WHERE open_record.id = ended.id', [[...lessened.keys()], [...lessened.values()]])
  await client.query('DELETE FROM parallax.open_record WHERE missing <= 0 AND id = ANY($1::uuid[])', [[...lessened.keys()]])
}
