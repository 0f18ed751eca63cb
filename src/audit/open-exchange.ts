/** One exchange between its begin and its ends, over any store that can append. */
import { newId } from '../ids.ts'
import { GrowingBytes } from './growing-bytes.ts'
import type { Exchange, LeafDraft, Receipt } from './log.ts'
import { isTaken, isUnsure } from './queue.ts'

type End = Parameters<Exchange['end']>[0]

export interface ExchangeRooms {
  append (drafts: readonly LeafDraft[], how?: { readonly patient?: boolean }): Promise<Receipt[]>
  /** Resolves when they are durable, perhaps before their places are known. */
  accept (drafts: readonly LeafDraft[]): Promise<void>
  readonly journal: { append (record: string, choice: number, bytes: Uint8Array): void, release (record: string): void }
  /** Puts on record what was sent of a choice that somebody else has closed without it. Absent where nobody else can. */
  readonly late?: (begin: LeafDraft, choice: number, sent: Uint8Array) => Promise<void>
  /** Called once, when the last end is durable. */
  closed (): void
}

export class OpenExchange implements Exchange {
  readonly record: string
  readonly #begin: LeafDraft
  readonly #rooms: ExchangeRooms
  readonly #choices: number
  /** What was sent of each choice. */
  readonly #sent = new Map<number, GrowingBytes>()
  readonly #ends = new Map<number, Promise<Receipt>>()
  /** Ends that the store refused, by choice. */
  readonly #failed = new Map<number, LeafDraft>()
  #begun: Promise<void> | undefined
  /** A begin was refused that may be kept all the same. */
  #perhapsBegun = false
  #timer: NodeJS.Timeout | undefined
  #durableEnds = 0

  constructor (begin: LeafDraft, deferMs: number, rooms: ExchangeRooms) {
    this.record = begin.id
    this.#begin = begin
    this.#rooms = rooms
    this.#choices = Number(begin.fields['choices'] ?? 1)
    if (deferMs <= 0) void this.begun().catch(() => {})
    else this.#timer = setTimeout(() => { void this.begun().catch(() => {}) }, deferMs)
  }

  begun (): Promise<void> {
    clearTimeout(this.#timer)
    return this.#begun ?? this.#beginBy(this.#rooms.accept([this.#begin]))
  }

  /** A begin that was refused is tried again by whoever needs it next; one that was kept when it was refused is taken then, and that is as good. */
  #beginBy (attempt: Promise<unknown>): Promise<void> {
    const begun = this.#begun = attempt.then(() => {}, (error: unknown) => {
      if (isTaken(error)) return
      this.#perhapsBegun ||= isUnsure(error)
      if (this.#begun === begun) this.#begun = undefined
      throw error
    })
    return begun
  }

  chunk (bytes: Uint8Array, choice = 0): void {
    this.#rooms.journal.append(this.record, choice, bytes)
    let sent = this.#sent.get(choice)
    if (!sent) this.#sent.set(choice, sent = new GrowingBytes())
    sent.add(bytes)
  }

  end (end: End): Promise<Receipt> {
    const choice = end.choice ?? 0
    let ended = this.#ends.get(choice)
    if (!ended) this.#ends.set(choice, ended = this.#end(end, choice))
    return ended
  }

  async #end ({ status, fields, answer }: End, choice: number): Promise<Receipt> {
    const payload = answer ?? this.#sent.get(choice)?.bytes() ?? Buffer.alloc(0)
    const draft: LeafDraft = { type: 'completion.end', id: newId(), key: this.#begin.key, fields: { ...fields, begin: this.record, status, bytes_sent: payload.length, ...(this.#choices > 1 && { choice }) }, payload, ...(this.#begin.owner && { owner: this.#begin.owner }) }
    try {
      const receipt = await this.#place(draft)
      this.#ended(choice)
      return receipt
    } catch (error) {
      if (isTaken(error) && await this.#bringIn(choice)) {
        this.#ended(choice)
        throw error
      }
      // of what never began nothing is on record, and nothing is to be closed: an outage must not pile up what it refuses
      if (this.#begun || this.#perhapsBegun) this.#failed.set(choice, draft)
      else this.#rooms.closed()
      throw error
    }
  }

  /**
   * Closes as `interrupted` what could not be ended while the store refused: its caller was told so. The leaf keeps its id,
   * so that an end which was kept after all is not written twice.
   */
  async closeFailed (): Promise<void> {
    for (const [choice, draft] of this.#failed) {
      // taken out first: the store may come and go again meanwhile, and an end counts once
      this.#failed.delete(choice)
      try {
        await this.#place({ ...draft, fields: { ...draft.fields, status: 'interrupted' } })
      } catch (error) {
        if (!isTaken(error) || !await this.#bringIn(choice)) {
          this.#failed.set(choice, draft)
          return
        }
      }
      this.#ended(choice)
    }
  }

  /** Its end stands in the log, ours or another's: then what was sent has to stand there as well before it is let go. False where the log cannot take it now. */
  async #bringIn (choice: number): Promise<boolean> {
    const sent = this.#sent.get(choice)
    if (!sent || !this.#rooms.late) return true
    return this.#rooms.late(this.#begin, choice, sent.bytes()).then(() => true, () => false)
  }

  #ended (choice: number): void {
    this.#sent.delete(choice)
    if (++this.#durableEnds < this.#choices) return
    this.#rooms.journal.release(this.record)
    this.#rooms.closed()
  }

  /** A begin that is still held back, or that the store refused, goes into the same commit as its end: no end stands in the log without it. */
  async #place (end: LeafDraft): Promise<Receipt> {
    if (this.#begun || this.#choices > 1) await this.begun()
    else {
      clearTimeout(this.#timer)
      // a few milliseconds are nothing to an answer that came in one piece, and larger groups cost everybody less
      const both = this.#rooms.append([this.#begin, end], { patient: true })
      this.#beginBy(both).catch(() => {})
      try { return (await both)[1]! } catch (error) { if (!isTaken(error)) throw error }
    }
    return (await this.#rooms.append([end]))[0]!
  }
}
