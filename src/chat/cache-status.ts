/** What the reply says of the cache (RFC 9211), from what each voice found there. */

export class CacheStatus {
  readonly #told: { cacheStatus?: string }
  #worst = -1

  constructor (told: { cacheStatus?: string }) { this.#told = told }

  /** Of several voices the one that was furthest from the cache counts. */
  add (how: 'hit' | 'collapsed' | 'miss' | 'bypass', ttl?: number): void {
    const rank = ['hit', 'miss', 'bypass'].indexOf(how === 'collapsed' ? 'miss' : how)
    // a call that joined another was a miss before
    if (how !== 'collapsed' && rank < this.#worst) return
    this.#worst = rank
    this.#told.cacheStatus = how === 'hit' ? `parallax; hit${ttl === undefined ? '' : `; ttl=${ttl}`}` : `parallax; fwd=${how === 'collapsed' ? 'miss; collapsed' : how}`
  }

  stored (): void { this.#told.cacheStatus += '; stored' }
}
