/**
 * What else than the user shaped an answer: instructions of the caller's, or earlier answers of somebody else. Remembers by whom this process's
 * answers were said, for that. Never says more than it knows: an earlier answer that it does not remember is somebody else's.
 */
import { LRUCache } from 'lru-cache'
import type { Context } from '../disclosure/disclose.ts'
import type { ChatRequest } from './request.ts'

const ANSWERS_KEPT = 20_000
const EDGE = 48

/** Not the text, only enough of it to know it again; whoever would forge one deceives nobody but themselves. */
const trace = (tenant: string, text: string): string => `${tenant} ${text.length} ${text.slice(0, EDGE)} ${text.slice(-EDGE)}`

export class SpokenBefore {
  readonly #by = new LRUCache<string, string>({ max: ANSWERS_KEPT })

  remember (tenant: string, perspective: string, text: string): void {
    if (text !== '') this.#by.set(trace(tenant, text), perspective)
  }

  of (request: ChatRequest, tenant: string, perspective: string): Context {
    let context: Context = 'fresh'
    for (const { role, content } of request.messages) {
      if (role === 'user') continue
      if (role !== 'assistant') return 'mixed'
      if (typeof content !== 'string' || this.#by.get(trace(tenant, content)) !== perspective) return 'mixed'
      context = 'same'
    }
    return context
  }
}
