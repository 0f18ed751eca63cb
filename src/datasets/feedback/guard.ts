/**
 * So that no key outweighs the others, and no question: at most so many rows of a key, and of one kind and side on a question, by all keys and by one.
 * Which of a flood stay is decided by digest, so neither who came first nor who came last gains by it. Memory grows with keys, not with rows.
 */
import { number32 } from '../dice.ts'

export interface Limits { readonly perKey: number, readonly perPrompt: number, readonly perKeyAndPrompt: number }

interface Kept<T> { readonly place: number, readonly item: T }

export interface KeyShare { readonly key: string, readonly given: number, readonly kept: number }

export class KeyGuard<T extends { readonly id: string, readonly key: string }> {
  readonly #most: number
  readonly #seed: number
  readonly #keys = new Map<string, { given: number, kept: Kept<T>[] }>()

  constructor (most: number, seed: number) { this.#most = most; this.#seed = seed }

  add (item: T): void {
    const of = this.#keys.get(item.key) ?? { given: 0, kept: [] }
    this.#keys.set(item.key, of)
    of.given++
    of.kept.push({ place: number32(this.#seed, 'feedback', item.id), item })
    // tidied now and then, not with each row
    if (of.kept.length > 2 * this.#most) this.#tidy(of)
  }

  #tidy (of: { kept: Kept<T>[] }): void { of.kept = of.kept.toSorted((a, b) => a.place - b.place || (a.item.id < b.item.id ? -1 : 1)).slice(0, this.#most) }

  /** In an order that nobody chose. */
  kept (): T[] {
    for (const of of this.#keys.values()) this.#tidy(of)
    return [...this.#keys.values()].flatMap(({ kept }) => kept).toSorted((a, b) => a.place - b.place || (a.item.id < b.item.id ? -1 : 1)).map(({ item }) => item)
  }

  shares (): KeyShare[] { return [...this.#keys].map(([key, { given, kept }]) => ({ key, given, kept: Math.min(this.#most, kept.length) })).toSorted((a, b) => b.given - a.given || (a.key < b.key ? -1 : 1)) }
}

export class PromptGuard {
  readonly #limits: Limits
  readonly #prompts = new Map<string, number>()
  readonly #pairs = new Map<string, number>()

  constructor (limits: Limits) { this.#limits = limits }

  /** The reason why not, or undefined, and then it is counted. */
  refuses (prompt: string, key: string): string | undefined {
    const [all, own] = [this.#prompts.get(prompt) ?? 0, this.#pairs.get(`${key} ${prompt}`) ?? 0]
    if (own >= this.#limits.perKeyAndPrompt) return 'more than one key may say on one question'
    if (all >= this.#limits.perPrompt) return 'more than one question may have'
    this.#prompts.set(prompt, all + 1)
    this.#pairs.set(`${key} ${prompt}`, own + 1)
    return undefined
  }
}
