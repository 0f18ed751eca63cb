/** Cuts a text at the first stop string, also one that comes in pieces. Pure. */
export class StopMatcher {
  readonly #stops: readonly string[]
  #held = ''
  stopped = false

  constructor (stops: readonly string[]) { this.#stops = stops }

  /** What can be shown for certain after `text` came: never any part of a stop string. */
  push (text: string): string {
    if (this.#stops.length === 0) return text
    const all = this.#held + text
    const hits = this.#stops.map((stop) => all.indexOf(stop)).filter((at) => at >= 0)
    if (hits.length > 0) {
      this.stopped = true
      this.#held = ''
      return all.slice(0, Math.min(...hits))
    }
    const keep = Math.max(...this.#stops.map((stop) => overlap(all, stop)))
    this.#held = keep === 0 ? '' : all.slice(-keep)
    return keep === 0 ? all : all.slice(0, -keep)
  }

  /** What was held back and turned out to be no stop string. */
  rest (): string {
    const rest = this.#held
    this.#held = ''
    return rest
  }
}

/** Length of the longest end of `text` that begins `stop`. */
function overlap (text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) if (stop.startsWith(text.slice(-length))) return length
  return 0
}
