/**
 * What else than the user shaped an answer: instructions of the caller's, or earlier answers of somebody else. Remembers by whom this process's
 * answers were said, for that. Never says more than it knows: an earlier answer that it does not remember is somebody else's.
 */
import type { Context } from '../disclosure/disclose.ts'
import type { ChatRequest } from './request.ts'

/** At most so many, and the newest half of that at least. */
const ANSWERS_KEPT = 20_000
const EDGE = 48

/** Not the text, only enough of it to know it again; whoever would forge one deceives nobody but themselves. */
const trace = (tenant: string, text: string): string => `${tenant} ${text.length} ${text.slice(0, EDGE)} ${text.slice(-EDGE)}`

export class SpokenBefore {
  /** By whom. When there are too many the older half goes at once: the order of use, kept one by one, would cost every answer more. */
  #newer = new Map<string, string>()
  #older = new Map<string, string>()

  remember (tenant: string, perspective: string, text: string): void {
    if (text === '') return
    if (this.#newer.size >= ANSWERS_KEPT / 2) {
      this.#older = this.#newer
      this.#newer = new Map()
    }
    this.#newer.set(trace(tenant, text), perspective)
  }

  #by (tenant: string, text: string): string | undefined {
    const known = trace(tenant, text)
    return this.#newer.get(known) ?? this.#older.get(known)
  }

  of (request: ChatRequest, tenant: string, perspective: string): Context {
    let context: Context = 'fresh'
    for (const { role, content } of request.messages) {
      if (role === 'user') continue
      if (role !== 'assistant') return 'mixed'
      if (typeof content !== 'string' || this.#by(tenant, content) !== perspective) return 'mixed'
      context = 'same'
    }
    return context
  }
}
