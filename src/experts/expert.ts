/** What answers for a perspective: an endpoint that speaks chat completions. Knows nothing of perspectives, records or the gateway's clients. */

/** One parsed chat.completion or chat.completion.chunk as an upstream sent it; unknown members are kept. */
export interface Wire { [member: string]: unknown }

/** They never change during an expert's life: where another adapter is to answer, another expert takes its place. */
export interface ExpertFacts {
  /** Name of the base or served model. */
  readonly model: string
  /** Versioned adapter name and the digest of its weights, where the expert has one that is known. */
  readonly adapter: string | null
  readonly adapterSha256: string | null
  /** Of a blend: whose adapters answer, and by which weights; they sum to 1. */
  readonly parts?: readonly BlendPart[]
}

export interface BlendPart { readonly weight: number, readonly model: string, readonly adapter: string | null, readonly adapterSha256: string | null }

export type Availability = { readonly ok: true } | { readonly ok: false, readonly reason: string, readonly retryAfter: number }

/** OpenAI's request as the client sent it, less what is Parallax's own. */
export type ExpertRequest = Readonly<Record<string, unknown>>

/**
 * Promises, for every implementation:
 * - a failure is a ParallaxError whose message holds neither the upstream's address nor its key; a caller's mistake stays 400, a rate limit 429;
 * - aborting `signal` ends the upstream call at once;
 * - nothing is retried after the first byte, and never on another expert;
 * - no member of a request changes which adapter answers.
 */
export interface Expert {
  readonly facts: ExpertFacts
  /** How its adapter can be mixed with others'; absent where its wire has no way to. */
  readonly mixing?: Mixing
  /** Absent where its wire cannot tell the log-probability of a text that it did not write. */
  readonly scoring?: Scoring
  /** What is known now without asking; the call itself may still fail. */
  availability (): Availability
  /** One whole chat.completion. */
  complete (request: ExpertRequest, signal: AbortSignal): Promise<Wire>
  /**
   * Resolves when the upstream accepted the request. Yields the chunks of each network read together, in order;
   * returns after `[DONE]` or a clean end, throws when the stream broke or carried an error.
   */
  stream (request: ExpertRequest, signal: AbortSignal): Promise<AsyncIterable<Wire[]>>
  /** Of one that stands for several endpoints, or watches one. */
  endpoints? (): readonly EndpointState[]
  close (): Promise<void>
}

/** How likely an expert finds given texts: `items` as they are on the embedded engine's wire. */
export interface Scoring {
  score (items: readonly Wire[], signal: AbortSignal): Promise<readonly Wire[]>
}

export interface Mixing {
  /** Only experts whose servers are equal can be mixed: they stand behind the same one. */
  readonly server: string
  /** Answers by the weighted sum of the adapters of `parts`, which all stand behind this server. It shares this expert's connections; closing it closes nothing. */
  mix (facts: ExpertFacts, parts: readonly { readonly expert: Expert, readonly weight: number }[]): Expert
}

export interface EndpointState {
  /** As the operator named it, or its number: never its address. */
  readonly name: string
  readonly status: 'ok' | 'open' | 'half-open' | 'parked' | 'unhealthy'
  /** A sentence for people, where it is out. */
  readonly reason: string | null
  readonly inFlight: number
  /** Since the start. */
  readonly calls: number
  readonly failures: number
  readonly opened: number
  /** Calls that came here because another endpoint had failed, or was slow. */
  readonly retries: number
  readonly hedges: number
}
