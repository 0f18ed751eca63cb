/**
 * A stranger's check of an export: everything is computed again from the lines, and nothing of the gateway is asked or believed.
 * Built from the pure files only. Says what it checked, what is wrong, and what an export cannot show.
 */
import { createHash } from 'node:crypto'
import { RightEdge } from './merkle.ts'
import { openNote, openWithAny, parseCheckpoint, parseVerifier, type Checkpoint } from './note.ts'
import { commitment, leafHash } from './record.ts'

export interface Findings {
  readonly checked: string[]
  /** Empty where everything holds. */
  readonly wrong: string[]
  readonly notChecked: string[]
  readonly leaves: number
  /** The export's own, where its signature holds: what else the gateway serves can be held against it. */
  readonly checkpoint: Checkpoint | null
}

export interface VerifyOptions {
  /** The log's key (C2SP vkey), from elsewhere than the log itself; behind it those it had before, which a kept checkpoint may bear. */
  readonly verifier?: string | readonly string[] | undefined
  /** A checkpoint that was kept from before. */
  readonly kept?: string | undefined
}

interface Line { index?: number, id?: string, leaf?: string, leaf_hash?: string, payload?: Shown, manifest?: Manifest }
interface Shown { state: string, base64?: string, text?: string | null, salt?: string }
interface Manifest { count: number, first_index: number | null, last_index: number | null, as_of: number, sha256: string, verifier: string, checkpoint: string }
interface Leaf { v: number, id: string, type: string, t: number, key: string | null, key_seq: number | null, begin?: string, choices?: number, req_commit?: string, res_commit?: string, payload_commit?: string, records?: string[], from?: number | string, to?: string, before?: number, lost_size?: number }

/** Transcripts that are not there any more, against the leaves that say so: lawfully erased is something else than missing. */
class Gone {
  readonly #erased = new Map<string, number>()
  readonly #expired: number[] = []
  /** By record: its last erasure. */
  readonly #records = new Map<string, number>()
  readonly #ranges: { from: number, before: number }[] = []
  count = 0

  /** What a leaf takes away stands before it: none can excuse what is still to come. */
  note ({ type, records, from, before }: Leaf, index: number): void {
    if (type === 'erasure') for (const record of records ?? []) this.#records.set(record, index)
    if (type === 'payload.expired' && typeof from === 'number' && before !== undefined) this.#ranges.push({ from, before: Math.min(before, index) })
  }

  missing (state: 'erased' | 'expired', record: string, index: number): void {
    this.count++
    if (state === 'erased') this.#erased.set(record, index)
    else this.#expired.push(index)
  }

  * unaccounted (): Generator<string> {
    const why = 'and no leaf of this export accounts for it (if that happened while it was pulled, pull again)'
    for (const [record, index] of this.#erased) if (!(this.#records.get(record)! > index)) yield `the transcript of leaf ${index} was erased, ${why}`
    const ranges = this.#ranges.toSorted((a, b) => a.from - b.from)
    let at = 0
    let reach = 0
    // both in order of the log: one pass
    for (const index of this.#expired) {
      while (at < ranges.length && ranges[at]!.from <= index) reach = Math.max(reach, ranges[at++]!.before)
      if (index >= reach) yield `the transcript of leaf ${index} expired, ${why}`
    }
  }
}

function utf8 (bytes: Uint8Array): string | null {
  try { return new TextDecoder('utf-8', { fatal: true }).decode(bytes) } catch { return null }
}

/** So many of each kind are told; a log with one altered leaf early on would else fill the screen. */
const TOLD = 20

/** `lines` are an export's, in order. Memory grows with what is open, not with the export. */
export async function verifyExport (lines: AsyncIterable<string>, { verifier, kept }: VerifyOptions = {}): Promise<Findings> {
  const wrong: string[] = []
  const blame = (what: string): void => { if (wrong.length < TOLD) wrong.push(what); else if (wrong.length === TOLD) wrong.push('… and more') }
  const edge = new RightEdge()
  const digest = createHash('sha256')
  const keySeqs = new Map<string, number>()
  const open = new Map<string, number>()
  let keptCheckpoint: Checkpoint | null = null
  let keptRoot: string | null = null
  let manifest: Manifest | undefined
  let signed: Checkpoint | null = null
  /** Left before the end: of what follows nothing can be said. */
  let left = false
  let lastTime = 0
  let payloads = 0
  const gone = new Gone()
  const restored: { index: number, lost: number }[] = []
  const rekeyed: { index: number, from: unknown, to: unknown }[] = []

  const keys = [verifier ?? []].flat().map(parseVerifier)
  const [key] = keys
  let keptFault: string | null = null
  if (kept !== undefined) {
    try { keptCheckpoint = parseCheckpoint(key ? openWithAny(kept, keys) : kept) } catch (error) { keptFault = (error as Error).message.replace(/\.$/, '') }
  }
  const noteKeptRoot = (): void => { if (edge.size === keptCheckpoint?.size) keptRoot = Buffer.from(edge.root()).toString('base64') }
  noteKeptRoot()

  for await (const text of lines) {
    if (text === '') continue
    if (manifest) { blame('there are lines after the manifest'); break }
    let line: Line
    try { line = JSON.parse(text) as Line } catch {
      left = true
      blame(edge.size > 0 ? `line ${edge.size + 1} is not JSON: the export was cut off or altered` : 'line 1 is not JSON: this is no NDJSON export (one pulled with format=csv cannot be verified)')
      break
    }
    if (line.manifest) { manifest = line.manifest; continue }
    if (typeof line.leaf !== 'string') {
      left = true
      blame(`line ${edge.size + 1} is no record of an export. It says: ${text.slice(0, 300)}`)
      break
    }
    digest.update(`${text}\n`)
    if (line.index !== edge.size) {
      left = true
      blame(`index ${line.index} stands where ${edge.size} should be: a leaf is missing, or the export was pulled with a filter, and only a whole one can be verified`)
      break
    }
    checkLine(line)
    noteKeptRoot()
  }

  function checkLine ({ index, id, leaf: text = '', leaf_hash: claimed, payload }: Line): void {
    const bytes = Buffer.from(text)
    const hash = leafHash(bytes)
    edge.append(hash)
    if (hash.toString('base64') !== claimed) blame(`leaf ${index} does not have the hash that the export gives for it`)
    let leaf: Leaf
    try { leaf = JSON.parse(text) as Leaf } catch { blame(`leaf ${index} is not JSON`); return }
    if (leaf.id !== id) blame(`leaf ${index} bears another id than its line`)
    if (leaf.t < lastTime) blame(`leaf ${index} is earlier than the leaf before it`)
    lastTime = leaf.t
    if (leaf.key !== null) {
      const expected = (keySeqs.get(leaf.key) ?? 0) + 1
      if (leaf.key_seq !== expected) blame(`leaf ${index} has key_seq ${leaf.key_seq} where ${leaf.key} is at ${expected}: a record of this key is missing`)
      keySeqs.set(leaf.key, leaf.key_seq ?? expected)
    }
    if (leaf.type === 'completion.begin') open.set(leaf.id, leaf.choices ?? 1)
    if (leaf.type === 'completion.end') {
      const missing = open.get(leaf.begin ?? '')
      if (missing === undefined) blame(`leaf ${index} ends an exchange that is not open`)
      else if (missing > 1) open.set(leaf.begin!, missing - 1)
      else open.delete(leaf.begin!)
    }
    const commit = leaf.req_commit ?? leaf.res_commit ?? leaf.payload_commit
    gone.note(leaf, index!)
    if (leaf.type === 'log.restored') restored.push({ index: index!, lost: leaf.lost_size ?? 0 })
    if (leaf.type === 'log.rekeyed') rekeyed.push({ index: index!, from: leaf.from, to: leaf.to })
    const shows = payload?.base64 !== undefined || typeof payload?.text === 'string'
    if (shows && (commit === undefined || payload.state !== 'present')) return blame(`line ${index! + 1} shows a transcript where ${commit === undefined ? 'its leaf commits to none' : `it says "${payload.state}"`}`)
    if (commit === undefined) return
    if (payload?.state === 'damaged') return blame(`the transcript of leaf ${index} is there and cannot be opened: it was altered, or its key is missing`)
    if (payload?.state === 'erased' || payload?.state === 'expired') return gone.missing(payload.state, leaf.begin ?? leaf.id, index!)
    if (payload?.state !== 'present' || payload.base64 === undefined || payload.salt === undefined) return blame(`the transcript of leaf ${index} is missing, and nothing says that it was erased`)
    payloads++
    const transcript = Buffer.from(payload.base64, 'base64')
    if (commitment(Buffer.from(payload.salt, 'base64'), leaf.id, transcript) !== commit) blame(`the transcript of leaf ${index} is not the one that the leaf commits to`)
    // people read the text, and only the bytes are committed to
    if (payload.text !== undefined && payload.text !== utf8(transcript)) blame(`the text shown for leaf ${index} is not what its base64 says`)
  }

  if (!left) for (const one of gone.unaccounted()) blame(one)
  const checked = [`${edge.size} leaves: index, hash, time, key_seq`, `${payloads} transcripts against their commitments`]
  if (gone.count > 0) checked.push(`${gone.count} transcripts that are gone, each by an erasure or an expiry on record`)
  const notChecked: string[] = []
  if (!manifest) { if (!left) blame('the manifest is missing: the export was cut off') } else if (!left) {
    if (manifest.sha256 !== digest.digest('hex') || manifest.count !== edge.size) blame('the lines are not those that the manifest was made of')
    else checked.push('the manifest over all lines')
    checkRoot(manifest)
  }
  if (open.size > 0) notChecked.push(`${open.size} exchanges had begun and not ended when this was exported`)
  if (keptFault !== null) blame(`the kept checkpoint: ${keptFault}${rekeyedFrom()}`)
  else if (left && keptRoot === null) notChecked.push('the leaves after that, and what depends on them')
  else if (keptCheckpoint) {
    if (keptRoot === null) blame(`the kept checkpoint has ${keptCheckpoint.size} leaves, the export only ${edge.size}: the log was cut short${excuse(keptCheckpoint.size)}`)
    else if (keptRoot !== keptCheckpoint.root.toString('base64')) blame(`the first ${keptCheckpoint.size} leaves are not those of the kept checkpoint: the history was rewritten${excuse(keptCheckpoint.size)}`)
    else checked.push(`the first ${keptCheckpoint.size} leaves are those of the kept checkpoint`)
  } else notChecked.push('whether the history was rewritten since an earlier day: keep a checkpoint, and give it with --checkpoint')
  notChecked.push('whether exchanges were never recorded, and whether others are shown another log: compare checkpoints and receipts with theirs')
  return { checked, wrong, notChecked, leaves: edge.size, checkpoint: signed }

  /** What the log itself says of a history that is another than it was. */
  function excuse (size: number): string {
    const told = restored.find(({ lost }) => lost >= size)
    return told ? `; leaf ${told.index} says that the log was set back to a backup, and what was lost` : ''
  }

  /** Why a kept checkpoint may bear another key, and why the export may. */
  function rekeyedFrom (): string {
    return rekeyed.map(({ index, from }) => `; leaf ${index} says that the log's key was ${String(from)} until then: if that is the one you knew, give it with another --vkey behind the first`).at(-1) ?? ''
  }
  function rekeyedTo (): string {
    return rekeyed.map(({ index, to }) => `; leaf ${index} says that the log's key was changed to ${String(to)}: have that confirmed where you had the old one, and give it first, the old one in another --vkey behind it`).at(-1) ?? ''
  }

  function checkRoot (one: Manifest): void {
    try {
      const checkpoint = signed = parseCheckpoint(openNote(one.checkpoint, key ?? parseVerifier(one.verifier)))
      if (checkpoint.size !== edge.size) notChecked.push(`the signed root: the export ends at ${edge.size} leaves, the checkpoint at ${checkpoint.size}`)
      else if (checkpoint.root.toString('base64') !== Buffer.from(edge.root()).toString('base64')) blame('the leaves do not add up to the root that was signed')
      else checked.push(`the signed checkpoint over ${checkpoint.size} leaves`)
      if (!key) notChecked.push('whether the key is the log\'s own: it came with the export; give the one you know with --vkey')
    } catch (error) { blame(`the checkpoint: ${(error as Error).message.replace(/\.$/, '')}${key ? rekeyedTo() : ''}`) }
  }
}
