/** What the reply says of the cache, from what each voice found there. */
import { cacheStatus, type Fate } from '../cache/cache-status.ts'

const FAR = ['hit', 'miss', 'request', 'bypass']
const distance = (fate: Fate): number => FAR.indexOf('hit' in fate ? 'hit' : fate.fwd)

export class CacheStatus {
  readonly #told: { cacheStatus?: string }
  #fate: Fate | undefined

  constructor (told: { cacheStatus?: string }) { this.#told = told }

  /** Of several voices the one that was furthest from the cache counts; of one, what it said last. */
  add (fate: Fate): void {
    if (!this.#fate || distance(fate) >= distance(this.#fate)) this.#say(fate)
  }

  stored (): void { if (this.#fate && 'fwd' in this.#fate) this.#say({ ...this.#fate, stored: true }) }

  #say (fate: Fate): void {
    this.#fate = fate
    this.#told.cacheStatus = cacheStatus(fate)
  }
}
