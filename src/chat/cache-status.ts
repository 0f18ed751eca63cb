/** What the reply says of the cache, from what each voice found there. */
import { cacheStatus, type Fate } from '../cache/cache-status.ts'

const FAR = ['hit', 'miss', 'request', 'bypass']
/** Another's call is nearer than one's own, and one that is kept than one that is not. */
const distance = (fate: Fate): number => 'hit' in fate ? 0 : FAR.indexOf(fate.fwd) - (fate.collapsed ? 0.5 : 0) - (fate.stored ? 0.25 : 0)

export class CacheStatus {
  readonly #told: { cacheStatus?: string }
  readonly #fates = new Map<number, Fate>()

  constructor (told: { cacheStatus?: string }) { this.#told = told }

  /** Of several voices the one that was furthest from the cache counts; of one, what it said last. */
  add (fate: Fate, choice = 0): void {
    this.#fates.set(choice, fate)
    this.#told.cacheStatus = cacheStatus([...this.#fates.values()].reduce((far, one) => distance(one) > distance(far) ? one : far))
  }

  /** A voice's answer is kept now. */
  stored (choice = 0): void {
    const fate = this.#fates.get(choice)
    if (fate && 'fwd' in fate) this.add({ ...fate, stored: true }, choice)
  }
}
