/** Where one voice's words come from: a fixed text, the cache, or its expert, perhaps by a call that others share. Knows nothing of records or replies. */
import type { Ask, Cache, CachedAnswer, Called, Flights, Flown } from '../cache/cache.ts'
import type { Fate } from '../cache/cache-status.ts'
import { choicesOf, Gathered, isWhole, toChunks } from '../completion/completion.ts'
import type { Expert, ExpertRequest, Wire } from '../experts/expert.ts'
import { textCompletion } from './completion.ts'

export interface Said {
  /** The end record that a cached answer came from. */
  readonly source: string | null
  /** The record of whoever made the call that this one joined. */
  readonly joined: string | null
  /** False where no token was spent on it. */
  readonly spent: boolean
  /** Keeps the answer, once it is whole, under the record that ends its exchange; false where it is not kept, or not by this one. */
  keep (endRecord: string): boolean
}
export interface Whole extends Said { readonly completion: Wire }
export interface Streamed extends Said { readonly chunks: AsyncIterable<Wire[]>, readonly choices: number }

export interface Speech {
  /** The answer is known before it is asked for. */
  readonly ready: boolean
  /** Why there will be none, where that is known before. */
  readonly silent?: Error
  /** `record`: the exchange that asks, by which others who join can name it. */
  whole (signal: AbortSignal, record: string): Promise<Whole>
  /** Resolves when the expert accepted. */
  stream (signal: AbortSignal, record: string): Promise<Streamed>
}

const NOTHING_KEPT = { joined: null, keep: () => false } as const

/** A fixed text: nobody's tokens were spent, and nobody keeps it. */
export const fixedSpeech = (text: string, finish: 'stop' | 'content_filter'): Speech => readySpeech(textCompletion(text, finish), null)

export const cachedSpeech = ({ completion, source }: CachedAnswer): Speech => readySpeech(unspent(completion), source)

function readySpeech (completion: Wire, source: string | null): Speech {
  const said = { ...NOTHING_KEPT, source, spent: false }
  return {
    ready: true,
    whole: async () => ({ ...said, completion }),
    stream: async () => ({ ...said, chunks: replay(completion), choices: choicesOf(completion).length }),
  }
}

/** A voice that cannot speak, among others that perhaps can. */
export function silentSpeech (error: Error): Speech {
  const refuse = async (): Promise<never> => { throw error }
  return { ready: false, silent: error, whole: refuse, stream: refuse }
}

/** What may be kept of an answer, and shared. `share` is false for a caller who wants no answer that was made for another. */
export interface Keeping {
  readonly cache: Cache
  readonly flights: Flights
  readonly ask: Ask
  readonly share: boolean
  readonly store: boolean
}

/** Told when the words turn out to be of somebody else's call. */
export type Joined = (fate: Fate) => void

const choicesAsked = (request: ExpertRequest): number => typeof request['n'] === 'number' ? request['n'] : 1

/** The expert itself. Without `keeping` nothing is shared and nothing kept. */
export function expertSpeech (expert: Expert, request: ExpertRequest, keeping: Keeping | null, joined: Joined): Speech {
  const choices = choicesAsked(request)
  if (keeping?.share) return sharedSpeech(expert, request, keeping, joined)
  const said = { source: null, joined: null, spent: true }
  const keeper = (whole: () => Wire) => (endRecord: string): boolean => keeping?.store === true && keepIn(keeping, whole(), endRecord)
  return {
    ready: false,
    async whole (signal) {
      const completion = await expert.complete(request, signal)
      return { ...said, completion, keep: keeper(() => completion) }
    },
    async stream (signal) {
      const chunks = await expert.stream(request, signal)
      if (!keeping?.store) return { ...said, chunks, choices, keep: () => false }
      const gathered = new Gathered()
      return { ...said, chunks: gathering(chunks, gathered), choices, keep: keeper(() => gathered.completion()) }
    },
  }
}

function keepIn ({ cache, ask }: Keeping, completion: Wire, source: string): boolean {
  return isWhole(completion) && cache.set(ask.key, { completion, source, stored: Date.now(), tags: ask.tags }, ask.ttlSeconds) !== false
}

function sharedSpeech (expert: Expert, request: ExpertRequest, { flights, ask, store }: Keeping, told: Joined): Speech {
  const isCall = <T>(flown: Flown<T>): flown is Called<T> => {
    // an answer that was kept meanwhile came of somebody else's call, too
    if ('cached' in flown || flown.shared) told({ fwd: 'miss', collapsed: true })
    return !('cached' in flown)
  }
  const saidOf = (flown: Called<unknown>): Said => ({ source: null, joined: flown.shared ? flown.leader ?? null : null, spent: !flown.shared, keep: (source) => store && flown.keep(source) })
  return {
    ready: false,
    async whole (signal, record) {
      const flown = await flights.whole({ ...ask, record }, (whose) => expert.complete(request, whose), signal)
      if (!isCall(flown)) return cachedSpeech(flown.cached).whole(signal, record)
      return { ...saidOf(flown), completion: flown.shared ? unspent(flown.called) : flown.called }
    },
    async stream (signal, record) {
      const flown = await flights.stream({ ...ask, record }, (whose) => expert.stream(request, whose), signal)
      return isCall(flown) ? { ...saidOf(flown), chunks: flown.shared ? unspentStream(flown.called) : flown.called, choices: choicesAsked(request) } : cachedSpeech(flown.cached).stream(signal, record)
    },
  }
}

/** An answer that was paid for by another reports the tokens of its source as cached, for none were spent on it. */
function unspent (completion: Wire): Wire {
  const usage = completion['usage'] as Record<string, unknown> | undefined
  return usage ? { ...completion, usage: { ...usage, prompt_tokens_details: { ...(usage['prompt_tokens_details'] as object | undefined), cached_tokens: usage['prompt_tokens'] } } } : completion
}

/** The same of a stream. The chunks are everybody's who joined: none is changed. */
async function * unspentStream (chunks: AsyncIterable<Wire[]>): AsyncGenerator<Wire[]> {
  for await (const batch of chunks) yield batch.some((chunk) => chunk['usage']) ? batch.map(unspent) : batch
}

async function * replay (completion: Wire): AsyncGenerator<Wire[]> { yield toChunks(completion) }

async function * gathering (chunks: AsyncIterable<Wire[]>, gathered: Gathered): AsyncGenerator<Wire[]> {
  for await (const batch of chunks) {
    for (const chunk of batch) gathered.add(chunk)
    yield batch
  }
}
