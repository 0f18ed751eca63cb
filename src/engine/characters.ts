/** Tokens -> text in whole characters: a token may end in the middle of one. Knows how to hold back, not how a token is spelt. */
import type { Token } from 'node-llama-cpp'

/** Spells tokens; `before` are the tokens that stand in front of them, for vocabularies that write a space between. */
export type Spell = (tokens: readonly Token[], before: readonly Token[]) => string

/** What the decoder writes, once, for the beginning of a character whose other bytes have not come (and for bytes that are none). */
const UNFINISHED = '\ufffd'
/** Tokens spelt anew at each step at most: a model that writes bytes that are no characters at all is not waited for. */
const PENDING = 32
/** How many tokens before suffice to know whether a space comes between. */
const BEFORE = 3

export class WholeCharacters {
  readonly #spell: Spell
  #before: readonly Token[] = []
  /** From the last place where a token and a character ended together. */
  #pending: Token[] = []
  /** Of the pending tokens' text, how much was given out. */
  #given = 0

  constructor (spell: Spell) { this.#spell = spell }

  /** The text that is certain once `token` came; sometimes none. */
  push (token: Token): string {
    this.#pending.push(token)
    const text = this.#spell(this.#pending, this.#before)
    // decoding runs from left to right: only the very last character can still become another
    if (!text.endsWith(UNFINISHED) || this.#pending.length >= PENDING) return this.#give(text, true)
    return this.#give(text.slice(0, -UNFINISHED.length), false)
  }

  /** What is left at the end, finished or not. */
  rest (): string {
    return this.#pending.length === 0 ? '' : this.#give(this.#spell(this.#pending, this.#before), true)
  }

  #give (text: string, whole: boolean): string {
    const fresh = text.slice(this.#given)
    this.#given = whole ? 0 : Math.max(this.#given, text.length)
    if (whole) {
      this.#before = this.#pending.slice(-BEFORE)
      this.#pending = []
    }
    return fresh
  }
}
