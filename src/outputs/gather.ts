/**
 * Reads what was served, as an auditor does: through the public API, so that the reading is itself on record. Lists the ends of a window, draws a sample of
 * each group, and reads the transcripts of those alone. Holds a sample of ids and the scores; never a text longer than it is scored.
 */
import type { Scored, Scorer } from './scorer.ts'
import { Sample } from './sample.ts'
import { answersOf, questionOf } from './transcript.ts'

/** Parsed JSON of a GET with the auditor's key. Throws, for people. */
export type Get = (path: string) => Promise<unknown>

export interface Window { readonly from: number, readonly to: number }

export interface PartOf { readonly id: string, readonly weight: number, readonly adapter_sha256: string | null }

/** One voice with one set of weights. */
export interface Group {
  readonly perspective: string
  readonly role: string | null
  readonly adapterSha256: string | null
  /** Of a blend: whose adapters, by which weights. */
  readonly parts: readonly PartOf[] | null
  /** Whole answers in the window. */
  readonly served: number
  readonly sampled: number
  readonly answers: readonly Read[]
  /** Transcripts that are there no more, or cannot be opened; and those whose answer is no text. */
  readonly gone: { readonly erased: number, readonly expired: number, readonly damaged: number, readonly unreadable: number }
}

export interface Read { readonly record: string, readonly choice: number, readonly scores: readonly Scored[] }

export interface Gathered {
  /** The tree's size that the listing is pinned to. */
  readonly asOf: number
  readonly groups: readonly Group[]
  /** Fixed texts of the policy: no perspective wrote them. */
  readonly policy: number
  /** Broken off, failed, left. */
  readonly broken: number
}

interface Told { readonly id: string, readonly leaf: string, readonly payload: { readonly state: string, readonly text?: string | null } }
interface Page { readonly as_of: number, readonly next: number | null, readonly data: readonly Told[] }
interface End { readonly type: string, readonly begin: string, readonly choice?: number, readonly status: string, readonly adapter_sha256?: string | null, readonly perspective?: { readonly id?: string, readonly role?: string, readonly parts?: readonly PartOf[] } | null }

const PAGE = 1000
/** Groups are made by what was served; a log cannot make this grow without end. */
const MOST_GROUPS = 256

interface Drawing { readonly perspective: string, readonly role: string | null, readonly adapterSha256: string | null, readonly parts: readonly PartOf[] | null, readonly sample: Sample }

export async function gather (get: Get, scorer: Scorer, { window, size, seed, progress }: { readonly window: Window, readonly size: number, readonly seed: string, readonly progress: (done: number, of: number) => void }): Promise<Gathered> {
  const drawings = new Map<string, Drawing>()
  let [asOf, policy, broken, after] = [null as number | null, 0, 0, -1]
  for (;;) {
    const page = await get(`/audit/v1/records?type=completion.end&from=${window.from}&to=${window.to}&limit=${PAGE}&after_index=${after}${asOf === null ? '' : `&as_of=${asOf}`}`) as Page
    asOf ??= page.as_of
    for (const one of page.data) {
      const end = JSON.parse(one.leaf) as End
      const { id = 'unknown', role = null, parts = null } = end.perspective ?? {}
      if (end.status !== 'complete') { broken++; continue }
      if (id === 'policy') { policy++; continue }
      const adapterSha256 = end.adapter_sha256 ?? null
      const name = `${id} ${role} ${adapterSha256} ${(parts ?? []).map((one) => `${one.weight}*${one.id}@${one.adapter_sha256}`).join('+')}`
      let drawing = drawings.get(name)
      if (!drawing) {
        if (drawings.size >= MOST_GROUPS) throw new Error(`More than ${MOST_GROUPS} kinds of voices were served in this window. Choose a shorter one.`)
        drawings.set(name, drawing = { perspective: id, role, adapterSha256, parts: parts && parts.map(({ id, weight, adapter_sha256 }) => ({ id, weight, adapter_sha256 })), sample: new Sample(size, seed) })
      }
      drawing.sample.offer(`${end.begin} ${end.choice ?? 0} ${one.id}`)
    }
    if (page.next === null) break
    after = page.next
  }
  const all = [...drawings.values()].toSorted((a, b) => a.perspective < b.perspective ? -1 : 1)
  const wanted = all.reduce((sum, { sample }) => sum + sample.ids().length, 0)
  let done = 0
  const groups: Group[] = []
  for (const { perspective, role, adapterSha256, parts, sample } of all) {
    const answers: Read[] = []
    const gone = { erased: 0, expired: 0, damaged: 0, unreadable: 0 }
    for (const each of sample.ids()) {
      const [begin, choice, end] = each.split(' ') as [string, string, string]
      const found = await read(get, begin, end)
      if (typeof found === 'string') gone[found]++
      else answers.push({ record: begin, choice: Number(choice), scores: found.answers.map((text) => scorer(found.question, text)) })
      progress(++done, wanted)
    }
    groups.push({ perspective, role, adapterSha256, parts, served: sample.seen, sampled: sample.ids().length, answers, gone })
  }
  return { asOf: asOf ?? 0, groups, policy, broken }
}

async function read (get: Get, begin: string, endId: string): Promise<{ question: string, answers: string[] } | keyof Group['gone']> {
  const exchange = await get(`/audit/v1/records/${begin}`) as Told & { readonly ends: readonly Told[] }
  const end = exchange.ends.find(({ id }) => id === endId)
  const state = end?.payload.state
  if (state === 'erased' || state === 'expired' || state === 'damaged') return state
  const answers = answersOf(end?.payload.text ?? '')
  // an exchange whose question alone is gone still shows what was said
  return answers.length === 0 ? 'unreadable' : { question: questionOf(exchange.payload.text ?? ''), answers }
}
