/**
 * What people say of answers: the promise, whoever keeps it. A rating of one answer, or a choice between two.
 * Knows nothing of HTTP, and nothing of what is trained with it.
 */

/** One answer of an exchange, as it was named: its begin record and the choice, which may be left out where there is one only. */
export interface Named { readonly record: string, readonly choice: number | null }

export interface Judged extends Named { readonly choice: number }

/** As the log has it. */
export interface Answer extends Judged {
  /** The begin record's place in the log. */
  readonly index: number
  readonly perspective: string
  readonly adapterSha256: string | null
}

interface Beside {
  /** Of people, so hostile text; bounded by the wire. */
  readonly comment: string | null
  /** May it train. Never without having been asked. */
  readonly consent: boolean
  /** The text that was agreed to; null without consent. */
  readonly consentVersion: string | null
}
export type Saying<About> = Beside & (
  | { readonly kind: 'rating', readonly rating: 'good' | 'bad', readonly about: About }
  | { readonly kind: 'choice', readonly preferred: About, readonly over: About }
)

/** What was said, as it is kept. */
export interface Given {
  /** That of its leaf. */
  readonly id: string
  readonly tenant: string
  readonly key: string
  /** Milliseconds since the epoch. */
  readonly at: number
  /** With it the leaf's commitment can be computed again; it is shown to its owner only. */
  readonly salt: Uint8Array
  readonly said: Saying<Answer>
}

export interface Speaker { readonly tenant: string, readonly key: string, readonly request: string }

/** What a key has said by now, so that no key can outweigh the others unseen. */
export interface KeyCount { readonly key: string, readonly good: number, readonly bad: number, readonly choices: number, readonly consented: number }

/**
 * - only about answers of the speaker's own tenant that ended whole: `record_not_found`, `record_open`, `invalid_request`;
 * - the newest of a key about the same thing takes the older one's place: one answer, or one pair, whichever way round;
 * - a `feedback` leaf is durable before anything is kept or withdrawn; log refuses: `audit_unavailable`, and nothing changed. A crash in
 *   between leaves a leaf of something that was not kept, never something without a leaf;
 * - it goes with the transcripts that it is about: erased or expired, so is what was said of them, comment included, and what is
 *   under a hold can neither be replaced nor withdrawn (`record_held`);
 * - the text of a comment is in no leaf.
 */
export interface Feedback {
  give (saying: Saying<Named>, by: Speaker): Promise<Given & { readonly receipt: { readonly record: string, readonly index: number, readonly leaf_hash: string } }>
  /** Newest first, of one tenant. */
  list (tenant: string, page: { readonly after?: string | undefined, readonly limit: number }): Promise<Given[]>
  /** Throws `not_found` where the tenant has none of this id. */
  withdraw (id: string, by: Speaker): Promise<void>
  /** Everybody's, oldest first, in bounded memory: for training, so without the comments. */
  everything (consent?: boolean): AsyncIterable<Given>
  counts (): Promise<KeyCount[]>
  /** Follows the log: lets go of what was said about transcripts that are gone by now. When it resolves, all of it is gone. */
  follow (): Promise<void>
  /** How much was given and withdrawn through this gateway since its start, for the metrics. */
  readonly told: Readonly<Record<'good' | 'bad' | 'choice' | 'withdrawn', number>>
  close (): Promise<void>
}

/** Durable, and shared by all replicas of one log. Methods reject with what the database says. */
export interface FeedbackStore {
  /** In the place of what the same key said about the same `thing`. */
  put (given: Given, thing: string): Promise<void>
  /** What a key said about a thing. */
  same (key: string, thing: string): Promise<Given | null>
  byId (id: string): Promise<Given | null>
  /** Descending by id, below `after`. */
  ofTenant (tenant: string, after: string | null, limit: number): Promise<Given[]>
  /** Ascending by id, above `after`; comments left out. */
  all (after: string | null, limit: number, consent: boolean | undefined): Promise<Given[]>
  /** About any of these records. */
  about (records: readonly string[]): Promise<Given[]>
  /** About records with `from` <= index < `before`. */
  between (from: number, before: number): Promise<Given[]>
  /** For good: not in a file, a journal or an old version of a row. */
  remove (ids: readonly string[]): Promise<void>
  counts (): Promise<KeyCount[]>
  /** How many leaves of the log were followed. */
  followed (): Promise<number>
  /** Only if it still is `from`: another gateway may have come further meanwhile. */
  followedTo (leaves: number, from: number): Promise<void>
  close (): Promise<void> | void
}

export const answersOf = (said: Saying<Answer>): readonly Answer[] => said.kind === 'rating' ? [said.about] : [said.preferred, said.over]
