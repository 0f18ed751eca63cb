/** What answers for a perspective: an endpoint that speaks chat completions. Knows nothing of perspectives, records or the gateway's clients. */

/** One parsed chat.completion or chat.completion.chunk as an upstream sent it; unknown members are kept. */
export interface Wire { [member: string]: unknown }

export interface ExpertFacts {
  /** Name of the base or served model. */
  readonly model: string
  /** Versioned adapter name and the digest of its weights, where the expert has one that is known. */
  readonly adapter: string | null
  readonly adapterSha256: string | null
}

export type Availability = { readonly ok: true } | { readonly ok: false, readonly reason: string, readonly retryAfter: number }

/** OpenAI's request as the client sent it, less what is Parallax's own. */
export type ExpertRequest = Readonly<Record<string, unknown>>

/**
 * Promises, for every implementation:
 * - a failure is a ParallaxError whose message holds neither the upstream's address nor its key; a caller's mistake stays 400, a rate limit 429;
 * - aborting `signal` ends the upstream call at once;
 * - nothing is retried after the first byte, and never on another expert.
 */
export interface Expert {
  readonly facts: ExpertFacts
  /** What is known now without asking; the call itself may still fail. */
  availability (): Availability
  /** One whole chat.completion. */
  complete (request: ExpertRequest, signal: AbortSignal): Promise<Wire>
  /**
   * Resolves when the upstream accepted the request. Yields the chunks of each network read together, in order;
   * returns after `[DONE]` or a clean end, throws when the stream broke or carried an error.
   */
  stream (request: ExpertRequest, signal: AbortSignal): Promise<AsyncIterable<Wire[]>>
  close (): Promise<void>
}
